"""Devices: printers, applications and other programs that submit mail to the relay, and what each may send.

A device is not a person: its secret is random, made by this service, and allows nothing but sending.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Peer = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_RECIPIENTS = 100
"""The recipients of one message that a server must accept (RFC 5321 4.5.3.1.8), and the default limit."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device, and the limits of what it may send.

    `senders` are addresses, or `*@` and a domain. `networks` restrict where a login may come from;
    with `trusts_network` they replace the login. `mail_server_id` is None for the default mail server.
    With `sends_as_stored_sender` the relay replaces the sender by that of the mail server. A limit of None does
    not apply; sizes are in bytes.
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

    def allows_sender(self, address: str) -> bool:
        """Return whether *address* may be the envelope sender; "" is the null sender (RFC 5321 4.5.5)."""
        if not address:
            return self.sends_null_sender
        return self.sends_as_stored_sender or _matches(address, self.senders)

    def allows_from(self, address: str) -> bool:
        """Return whether *address* may be in `From:`: of a domain listed for it, or an allowed sender."""
        domain = address.rpartition("@")[2].lower()
        return domain in self.from_domains or (bool(address) and self.allows_sender(address))

    def allows_peer(self, peer: Peer) -> bool:
        """Return whether *peer* may submit as this device; any peer may without networks."""
        return not self.networks or any(_plain(peer) in network for network in self.networks)


def _matches(address: str, patterns: tuple[str, ...]) -> bool:
    # The local part is compared without case too: mailboxes that differ in case alone do not occur in practice,
    # and devices capitalise as they like.
    wanted = address.lower()
    domain = wanted.rpartition("@")[2]
    return any(pattern.lower() in {wanted, f"*@{domain}"} for pattern in patterns)


def _plain(peer: Peer) -> Peer:
    """Return the IPv4 address in an IPv4-mapped IPv6 address (RFC 4291 2.5.5.2)."""
    return (isinstance(peer, IPv6Address) and peer.ipv4_mapped) or peer
