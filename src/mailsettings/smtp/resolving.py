"""From a host name to its addresses, looked up once.

A name that is looked up a second time may lead elsewhere (rebinding), so connections go to addresses that were
checked, and the certificate is verified against the name.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address

from mailsettings.smtp.egress import Address

LOOK_UPS_AT_ONCE = 4
"""The system's resolver blocks a thread for as long as it likes; these are of no use to anybody else."""

Resolve = Callable[[str], Sequence[Address]]


def resolve_by_system(host: str) -> Sequence[Address]:
    """All addresses of *host*, in the system's order of preference. Raises `OSError`; blocks."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    # A scope, as in fe80::1%eth0, is of no matter to the policy and refused with its address.
    texts = [str(sockaddr[0]).partition("%")[0] for *_, sockaddr in found]
    return [ip_address(text) for text in dict.fromkeys(texts)]


class HostLookup:
    """Looks names up on threads of its own, so that a slow name server holds up nothing else."""

    def __init__(self, resolve: Resolve = resolve_by_system) -> None:
        self._resolve = resolve
        self._threads = ThreadPoolExecutor(LOOK_UPS_AT_ONCE, thread_name_prefix="look-up")

    async def addresses(self, host: str) -> Sequence[Address]:
        """All addresses of *host*. Raises `OSError`."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._resolve, host)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)
