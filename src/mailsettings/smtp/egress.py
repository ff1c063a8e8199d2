"""Where a connection test may connect to. Pure; the names of the settings are said so that a refusal can help.

A test connects on request, from inside the organisation's network. Mail relays are commonly on private
addresses, so those are open; what is never a relay of somebody else's is closed: the machine itself, its
neighbours by link, clouds' metadata servers, multicast and reserved space, and every IPv6 form of these.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NETWORKS_SETTING = "MAILSETTINGS_SMTP_ALLOWED_NETWORKS"
PORTS_SETTING = "MAILSETTINGS_SMTP_ALLOWED_PORTS"
DEFAULT_PORTS = frozenset({25, 465, 587, 1025, 2465, 2525, 2587})

# IANA's special-purpose registries, and the metadata servers of Alibaba, Azure, Oracle and Amazon.
_CLOSED = tuple(
    ip_network(network)
    for network in (
        *("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4"),
        *("::/128", "::1/128", "fe80::/10", "fec0::/10", "ff00::/8"),
        *("100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32", "fd00:ec2::254/128"),
    )
)
_NAT64 = IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48")  # RFC 6052, RFC 8215
_COMPATIBLE = IPv6Network("::/96")  # RFC 4291 2.5.5.1


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """Networks that are open although the rule closes them, and the ports that are open; None for any."""

    allowed_networks: tuple[Network, ...] = ()
    allowed_ports: frozenset[int] | None = DEFAULT_PORTS

    def allows_port(self, port: int) -> bool:
        """Whether a test may use *port*."""
        return self.allowed_ports is None or port in self.allowed_ports

    def allows(self, address: Address) -> bool:
        """Whether a test may connect to *address*, by any address that it stands for."""
        return all(
            any(form in network for network in self.allowed_networks)
            or not any(form in network for network in _CLOSED)
            for form in _forms(address)
        )


ANYWHERE = EgressPolicy((IPv4Network("0.0.0.0/0"), IPv6Network("::/0")), None)
"""For whoever has a shell on this machine, and could connect anywhere without us."""


def _forms(address: Address) -> Iterator[Address]:
    """*address*, and the IPv4 address that is inside it."""
    inner = _embedded(address) if isinstance(address, IPv6Address) else None
    # A mapped address is nothing but its IPv4 form; the others are addresses of their own as well.
    if inner is None or not (isinstance(address, IPv6Address) and address.ipv4_mapped):
        yield address
    if inner is not None:
        yield inner


def _embedded(address: IPv6Address) -> IPv4Address | None:
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour
    if address.teredo:
        return address.teredo[1]
    low = IPv4Address(int(address) & 0xFFFFFFFF)
    if any(address in network for network in _NAT64):
        return low
    return low if address in _COMPATIBLE and int(address) > 1 else None
