"""From a host name to its addresses, looked up once.

A name that is looked up a second time may lead elsewhere (rebinding), so connections go to addresses that were
checked, and the certificate is verified against the name.
"""

import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import ip_address

from mailsettings.network.threads import DaemonThreads
from mailsettings.smtp.embedding import Address

MAX_CONCURRENT_LOOKUPS = 64
"""More than tests at once: a look-up that nobody waits for any more takes a thread until the resolver gives up."""

Resolve = Callable[[str], Sequence[Address]]


def resolve_with_system(host: str) -> Sequence[Address]:
    """All addresses of *host*, in the system's order of preference. Raises `OSError`; blocks."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    # A scope, as in fe80::1%eth0, is of no matter to the policy and refused with its address.
    texts = [str(sockaddr[0]).partition("%")[0] for *_, sockaddr in found]
    return [ip_address(text) for text in dict.fromkeys(texts)]


class HostLookup:
    """Looks names up on threads of its own; an address needs no looking up."""

    def __init__(self, resolve: Resolve = resolve_with_system) -> None:
        self._resolve = resolve
        self._threads = DaemonThreads(MAX_CONCURRENT_LOOKUPS, "look-up")

    async def addresses(self, host: str) -> Sequence[Address]:
        """Return all addresses of *host*, without zones, which compare as other addresses. Raises `OSError`."""
        with suppress(ValueError):
            return [ip_address(host.partition("%")[0])]
        return await self._threads.run(lambda: self._resolve(host))
