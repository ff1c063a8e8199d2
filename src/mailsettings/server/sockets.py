"""The sockets that the HTTP server listens on: one for each address.

A socket of IPv6 serves IPv6 alone. A socket for both families would show clients of IPv4 by addresses such as
`::ffff:192.0.2.1`, which no setting and no log expects.
"""

import os
import socket
from collections.abc import Sequence
from contextlib import suppress


def listening_sockets(hosts: Sequence[str], port: int, backlog: int) -> list[socket.socket]:
    """Return a socket for each address of *hosts*. Raises `OSError` that names the address."""
    opened: list[socket.socket] = []
    try:
        for family, address in _addresses(hosts, port):
            opened.append(_listening(family, address, backlog))
    except OSError:
        for each in opened:
            each.close()
        raise
    return opened


Address = tuple[str, int] | tuple[str, int, int, int]


def _addresses(hosts: Sequence[str], port: int) -> Sequence[tuple[int, Address]]:
    found: dict[Address, int] = {}
    for host in hosts:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except socket.gaierror as error:
            raise OSError(error.errno, f"Cannot listen on {host}: {error.strerror}.") from error
        found.update({address: family for family, _, _, _, address in answers})  # type: ignore[misc]
    return [(family, address) for address, family in found.items()]


def _listening(family: int, address: Address, backlog: int) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere the option lets a second program take the port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            with suppress(OSError):
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
        made.listen(backlog)
    except OSError as error:
        made.close()
        shown = f"[{address[0]}]" if family == socket.AF_INET6 else address[0]
        raise OSError(error.errno, f"Cannot listen on {shown}:{address[1]}: {error.strerror}.") from error
    made.setblocking(False)  # noqa: FBT003  # of the standard library
    return made
