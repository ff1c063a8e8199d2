"""From a host name to a connected socket: looked up once, checked, and connected to what was checked.

A name that is looked up a second time may lead elsewhere (rebinding), so the connection goes to an address that
passed, and the certificate is verified against the name.
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


async def connect(addresses: Sequence[Address], port: int, deadline: float) -> socket.socket:
    """A socket connected to the first address that answers before *deadline*, in the event loop's time.

    Each address gets its share of what is left. Raises the last address's `OSError`, or `TimeoutError`.
    """
    loop = asyncio.get_running_loop()
    failure: OSError = OSError("there is no address to connect to")
    for number, address in enumerate(addresses):
        share = (deadline - loop.time()) / (len(addresses) - number)
        try:
            return await asyncio.wait_for(_connected(address, port), share)
        except OSError as error:  # TimeoutError is one
            failure = error
    raise failure


async def _connected(address: Address, port: int) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004  # IP's own number
    # With the protocol named, asyncio switches Nagle's delay off, which costs STARTTLS a round trip.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.settimeout(0)
        await asyncio.get_running_loop().sock_connect(sock, (str(address), port))
    except BaseException:
        sock.close()
        raise
    return sock
