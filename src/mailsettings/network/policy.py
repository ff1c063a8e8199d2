"""Decide which addresses and ports connection tests and webhooks may use.

A test connects on request, from inside the organisation's network. Mail relays often have private addresses, so
private networks are open unless a preset closes them. Addresses that never belong to a relay are always closed:
this machine, link-local neighbours, cloud metadata servers, multicast and reserved space, and the IPv6 forms of
all of these. An IPv6 address is judged together with every IPv4 address embedded in it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import NamedTuple

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")  # RFC 8215
_LOW_BITS = (
    NAT64,
    LOCAL_NAT64,  # read as a /96; its network may put the IPv4 address elsewhere (RFC 8215)
    IPv6Network("::ffff:0:0:0/96"),  # translated, RFC 2765 2.1
    IPv6Network("::/96"),  # compatible, RFC 4291 2.5.5.1
)
_ISATAP = {0x0000_5EFE, 0x0200_5EFE}  # RFC 5214 6.1: the interface identifier, under any prefix
_LOOPBACK: dict[Address, Address] = {IPv4Address(0): IPv4Address("127.0.0.1"), IPv6Address(0): IPv6Address(1)}


def address_forms(address: Address) -> Iterator[Address]:
    """Yield *address* and the IPv4 addresses embedded in it."""
    # A mapped address (RFC 4291 2.5.5.2) is only a notation; the other forms are also addresses themselves.
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        yield address.ipv4_mapped
        return
    yield address
    if isinstance(address, IPv6Address):
        yield from _embedded_addresses(address)


def reachable_addresses(address: Address) -> frozenset[Address]:
    """Return where a connection to *address* can arrive; the unspecified address arrives at loopback."""
    return frozenset(_LOOPBACK.get(form, form) for form in address_forms(address))


def _embedded_addresses(address: IPv6Address) -> Iterator[IPv4Address]:
    if address.sixtofour:
        yield address.sixtofour
    if address.teredo:
        server, client = address.teredo
        yield server
        yield client
    high, low = divmod(int(address), 2**32)
    in_low_bits = any(address in network for network in _LOW_BITS) and int(address) > 1
    if in_low_bits or high & 0xFFFF_FFFF in _ISATAP:
        yield IPv4Address(low)


NETWORKS_SETTING = "MAILSETTINGS_SMTP_ALLOWED_NETWORKS"
PORTS_SETTING = "MAILSETTINGS_SMTP_ALLOWED_PORTS"
DEFAULT_PORTS = frozenset({25, 465, 587, 1025, 2465, 2525, 2587})

# Metadata servers, where clouds give a machine its credentials, from the clouds' documentation.
_METADATA = tuple(
    ip_network(network)
    for network in (
        *("169.254.0.0/16", "fe80::a9fe:a9fe/128"),  # most of them; OpenStack
        *("100.100.100.200/32", "fd00:100::100:200/128"),  # Alibaba
        "fd00:ec2::/32",  # Amazon: EC2 is at ::254, EKS Pod Identity at ::23, and no customer has an address there
        "168.63.129.16/32",  # Azure
        "fd20:ce::254/128",  # Google
        "fd00:a9fe:a9fe::1/128",  # Linode
        *("192.0.0.192/32", "fd00:c1::a9fe:a9fe/128"),  # Oracle
        "fd00:42::42/128",  # Scaleway
    )
)
# IANA's special-purpose registries, and metadata servers.
_ALWAYS_CLOSED = _METADATA + tuple(
    ip_network(network)
    for network in (
        *("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4"),
        *("::/128", "::1/128", "fe80::/10", "fec0::/10", "ff00::/8"),
        str(LOCAL_NAT64),  # the position of the IPv4 address in it depends on the network
    )
)
# Globally reachable space by IANA's registries, and the special-purpose networks in it.
_GLOBAL_UNICAST = (ip_network("0.0.0.0/0"), ip_network("2000::/3"), NAT64)
_NOT_GLOBAL = tuple(
    ip_network(network)
    for network in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"),  # RFC 1918, RFC 6598
        *("192.0.0.0/24", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"),  # protocols, documentation
        *("192.88.99.0/24", "198.18.0.0/15"),  # relays of 6to4 (RFC 7526), benchmarks
        *("2001::/23", "2001:db8::/32", "3fff::/20"),  # protocols and Teredo, documentation
    )
)


class EgressPreset(StrEnum):
    """The networks that are open without a list; the allowed networks are open in addition."""

    PRIVATE = "private"
    """Private and public addresses."""
    PUBLIC = "public"
    """Only globally reachable addresses."""
    ALLOWLIST = "allowlist"
    """Nothing."""


class Endpoint(NamedTuple):
    """A listening socket; the host is a name, an address, or empty for all addresses of this machine."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """The open networks and ports (None: any port), and our own endpoints, which no list opens."""

    allowed_networks: tuple[Network, ...] = ()
    allowed_ports: frozenset[int] | None = DEFAULT_PORTS
    preset: EgressPreset = EgressPreset.PRIVATE
    own: tuple[Endpoint, ...] = ()

    def allows_port(self, port: int) -> bool:
        """Return whether a test may use *port*."""
        return self.allowed_ports is None or port in self.allowed_ports

    def allows(self, address: Address) -> bool:
        """Return whether *address*, and every address embedded in it, is open."""
        return all(self._lists(form) or self._opens(form) for form in address_forms(address))

    def _lists(self, form: Address) -> bool:
        """Return whether the list opens *form*. A metadata server needs a network as narrow as its own."""
        narrowest = max((network.prefixlen for network in _METADATA if form in network), default=0)
        return any(form in network and network.prefixlen >= narrowest for network in self.allowed_networks)

    def _opens(self, form: Address) -> bool:
        match self.preset:
            case EgressPreset.PRIVATE:
                return not _is_within(form, _ALWAYS_CLOSED)
            case EgressPreset.PUBLIC:
                return _is_within(form, _GLOBAL_UNICAST) and not _is_within(form, (*_ALWAYS_CLOSED, *_NOT_GLOBAL))
            case _:  # an allowlist
                return False


UNRESTRICTED = EgressPolicy((IPv4Network("0.0.0.0/0"), IPv6Network("::/0")), None)
"""For `mailsettings probe`: a user with a shell on this machine can connect anywhere anyway."""


def _is_within(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)
