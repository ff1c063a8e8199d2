"""The IPv4 addresses inside an IPv6 address: what is sent to it may end, somewhere on its way, at one of them."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")  # RFC 8215
_LOW_BITS = (
    NAT64,
    LOCAL_NAT64,  # as a /96; where else the IPv4 address can be in it, only its network knows
    IPv6Network("::ffff:0:0:0/96"),  # translated, RFC 2765 2.1
    IPv6Network("::/96"),  # compatible, RFC 4291 2.5.5.1
)
_ISATAP = {0x0000_5EFE, 0x0200_5EFE}  # RFC 5214 6.1: the interface identifier, under any prefix
_LOOPBACK: dict[Address, Address] = {IPv4Address(0): IPv4Address("127.0.0.1"), IPv6Address(0): IPv6Address(1)}


def address_forms(address: Address) -> Iterator[Address]:
    """*address*, and the IPv4 addresses that are inside it."""
    # A mapped address is nothing but its IPv4 form; the others are addresses of their own as well.
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        yield address.ipv4_mapped
        return
    yield address
    if isinstance(address, IPv6Address):
        yield from _embedded_addresses(address)


def reachable_addresses(address: Address) -> frozenset[Address]:
    """Where a connection to *address* can arrive: no address at all is loopback to the system."""
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
