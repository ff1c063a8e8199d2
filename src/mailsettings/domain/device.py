"""Devices: printers, applications and other programs that submit mail to the relay, and what each may send.

A device is not a person: its secret is random, made by this service, and allows nothing but sending.
"""

import ipaddress
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from mailsettings.domain.errors import DeviceNotFound, InvalidSetting, MailServerNotFound
from mailsettings.domain.naming import mail_server_ref, require_description, require_name
from mailsettings.domain.setting import Setting
from mailsettings.domain.values import MAX_HOST_LENGTH, require_mail_address

Peer = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
DeviceRef = int | str
"""What a caller addresses a device by: its id or its name."""

MAX_RECIPIENTS = 100
"""The recipients of one message that a server must accept (RFC 5321 4.5.3.1.8), and the default limit."""
MAX_RECIPIENTS_LIMIT = 1000
MAX_MESSAGES_PER_MINUTE = 100_000
MIN_MESSAGE_BYTES = 1024
MAX_MESSAGE_BYTES = 2**31 - 1
MAX_LIST_LENGTH = 50
MIN_IPV4_PREFIX = 8
MIN_IPV6_PREFIX = 33
"""Narrower than /32, the size of the allocation of a whole provider, as a /8 is of IPv4."""

ANY_SENDER = "*"
_MAPPED = IPv6Network("::ffff:0:0/96")
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Device:
    """A device, and the limits of what it may send.

    `senders` are addresses, `*@` and a domain, or `*` for any. `networks` restrict where a login may come from;
    with `trusts_network` they replace the login. `mail_server_id` is None for the default mail server.
    With `sends_as_stored_sender` the relay replaces the sender by that of the mail server. A limit of None does
    not apply; sizes are in bytes. `secret_stamp` changes with each new secret.
    """

    id: int
    name: str
    senders: tuple[str, ...] = ()
    from_domains: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()
    trusts_network: bool = False
    mail_server_id: int | None = None
    sends_as_stored_sender: bool = False
    sends_null_sender: bool = False
    messages_per_minute: int | None = None
    max_recipients: int = MAX_RECIPIENTS
    max_message_bytes: int | None = None
    enabled: bool = True
    description: str = ""
    secret_stamp: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        require_name(self.name)
        require_description(self.description)
        require_senders(self.senders)
        require_from_domains(self.from_domains)
        require_networks(self.networks)
        if self.trusts_network and not self.networks:
            raise InvalidSetting(Setting.TRUSTS_NETWORK, "needs a network; name the networks of the device.")
        require_limit(Setting.MAX_RECIPIENTS, self.max_recipients)
        require_limit(Setting.MESSAGES_PER_MINUTE, self.messages_per_minute)
        require_limit(Setting.MAX_MESSAGE_BYTES, self.max_message_bytes)

    def allows_sender(self, address: str) -> bool:
        """Return whether *address* may be the envelope sender; "" is the null sender (RFC 5321 4.5.5)."""
        if not address:
            return self.sends_null_sender
        return self.sends_as_stored_sender or _matches(address, self.senders)

    def allows_from(self, address: str) -> bool:
        """Return whether *address* may be in `From:`: of a domain listed for it, or an allowed sender."""
        domain = address.rpartition("@")[2].lower()
        listed = any(domain == each.lower() for each in self.from_domains)
        return listed or (bool(address) and self.allows_sender(address))

    def allows_peer(self, peer: Peer) -> bool:
        """Return whether *peer* may submit as this device; any peer may without networks."""
        return not self.networks or any(plain_peer(peer) in network for network in self.networks)

    def shares_network_with(self, other: "Device") -> bool:
        """Return whether some address is in the networks of both."""
        return any(mine.overlaps(theirs) for mine in self.networks for theirs in other.networks)


def device_ref(text: str) -> DeviceRef:
    """Return the id or the name in *text*. Raises `DeviceNotFound` for any other text."""
    try:
        return mail_server_ref(text)
    except MailServerNotFound:
        raise DeviceNotFound from None


def require_senders(senders: Collection[str]) -> None:
    """Refuse anything but addresses, `*@` with a domain, and `*`."""
    _require_length(Setting.SENDERS, senders)
    if not all(map(_is_sender, senders)):
        raise InvalidSetting(
            Setting.SENDERS, "must be addresses like scan@example.com, *@example.com for a domain, or * for any."
        )


def require_from_domains(domains: Collection[str]) -> None:
    """Refuse anything but domains."""
    _require_length(Setting.FROM_DOMAINS, domains)
    if not all(len(domain) <= MAX_HOST_LENGTH and _DOMAIN.fullmatch(domain) for domain in domains):
        raise InvalidSetting(Setting.FROM_DOMAINS, "must be domains like example.org, without a sign @.")


def require_networks(networks: Collection[Network]) -> None:
    """Refuse networks that are too wide to say where a device is."""
    _require_length(Setting.NETWORKS, networks)
    for network in networks:
        if network.prefixlen < (MIN_IPV4_PREFIX if network.version == 4 else MIN_IPV6_PREFIX):  # noqa: PLR2004  # IPv4
            raise InvalidSetting(
                Setting.NETWORKS,
                f"must not be wider than /{MIN_IPV4_PREFIX} for IPv4 and /{MIN_IPV6_PREFIX} for IPv6.",
            )


def parse_network(text: str) -> Network:
    """Return the network or the single address in *text*, as IPv4 if IPv6 contains it. Raises `InvalidSetting`."""
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        raise InvalidSetting(
            Setting.NETWORKS,
            "must be networks like 10.1.0.0/16, with zeros after the prefix, or single addresses.",
        ) from None
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        address = network.network_address.ipv4_mapped
        return IPv4Network((int(address or 0), network.prefixlen - _MAPPED.prefixlen))
    return network


_LIMITS: Mapping[Setting, tuple[int, int]] = {
    Setting.MAX_RECIPIENTS: (1, MAX_RECIPIENTS_LIMIT),
    Setting.MESSAGES_PER_MINUTE: (1, MAX_MESSAGES_PER_MINUTE),
    Setting.MAX_MESSAGE_BYTES: (MIN_MESSAGE_BYTES, MAX_MESSAGE_BYTES),
}


def require_limit(setting: Setting, value: int | None) -> None:
    """Refuse a limit outside the range of *setting*."""
    least, most = _LIMITS[setting]
    if value is not None and not least <= value <= most:
        raise InvalidSetting(setting, f"must be between {least} and {most}.")


def plain_peer(peer: Peer) -> Peer:
    """Return the IPv4 address in an IPv4-mapped IPv6 address (RFC 4291 2.5.5.2), any other as it is."""
    return (isinstance(peer, IPv6Address) and peer.ipv4_mapped) or peer


def described(device: Device | None) -> dict[Setting, object]:
    """Return all settings as plain values, for the audit log."""
    if device is None:
        return {}
    return {
        Setting.NAME: device.name,
        Setting.DESCRIPTION: device.description or None,
        Setting.SENDERS: list(device.senders),
        Setting.FROM_DOMAINS: list(device.from_domains),
        Setting.NETWORKS: [str(network) for network in device.networks],
        Setting.TRUSTS_NETWORK: device.trusts_network,
        Setting.MAIL_SERVER: device.mail_server_id,
        Setting.SENDS_AS_STORED_SENDER: device.sends_as_stored_sender,
        Setting.SENDS_NULL_SENDER: device.sends_null_sender,
        Setting.MESSAGES_PER_MINUTE: device.messages_per_minute,
        Setting.MAX_RECIPIENTS: device.max_recipients,
        Setting.MAX_MESSAGE_BYTES: device.max_message_bytes,
        Setting.ENABLED: device.enabled,
    }


def difference(before: Device | None, after: Device | None) -> dict[str, dict[str, object]]:
    """Return each setting that differs, with `before` and `after`."""
    old, new = described(before), described(after)
    return {
        str(setting): {"before": old.get(setting), "after": new.get(setting)}
        for setting in (old or new)
        if old.get(setting) != new.get(setting)
    }


def _matches(address: str, patterns: tuple[str, ...]) -> bool:
    # The local part is compared without case too: mailboxes that differ in case alone do not occur in practice,
    # and devices capitalise as they like.
    wanted = address.lower()
    domain = wanted.rpartition("@")[2]
    return any(pattern.lower() in {wanted, f"*@{domain}", ANY_SENDER} for pattern in patterns)


def _is_sender(text: str) -> bool:
    try:
        # Any local part will do in place of the star.
        require_mail_address(Setting.SENDERS, f"x{text[1:]}" if text.startswith("*@") else text)
    except InvalidSetting:
        return text == ANY_SENDER
    return True


def _require_length(setting: Setting, items: Collection[object]) -> None:
    if len(items) > MAX_LIST_LENGTH:
        raise InvalidSetting(setting, f"must not be more than {MAX_LIST_LENGTH}.")
