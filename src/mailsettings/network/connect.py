"""Connect to a host with several addresses, a quarter of a second apart (Happy Eyeballs, RFC 8305).

Trying one address after the other would let a dead IPv6 route use up the whole deadline; trying all at once would
burden servers. A name can have hundreds of addresses, so only the first few are tried.
"""

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import zip_longest

from mailsettings.domain.connection_test import FailureCode
from mailsettings.domain.observation import AddressAttempt
from mailsettings.network.policy import Address

ATTEMPT_DELAY_SECONDS = 0.25  # RFC 8305 5: the recommended value
CONNECT_TIMEOUT_SECONDS = 5.0
MAX_ADDRESSES = 6
"""The addresses of a host to try, the families in turn."""
MAX_UNTRIED_SHOWN = 20
"""The untried addresses that a report lists."""
REFUSED = "refused"
_NO_ANSWER = "no answer"

IsAllowed = Callable[[Address, int], Awaitable[bool]]
"""Return whether a connection to this port of this address is allowed."""


class NotConnected(Exception):
    """No address accepted the connection; `attempts` has the result of each, `code` the summary."""

    def __init__(self, attempts: Sequence[AddressAttempt], code: FailureCode) -> None:
        super().__init__(code)
        self.attempts = tuple(attempts)
        self.code = code


class HappyEyeballs:
    """Connects to the first of *addresses* that answers; afterwards `attempts` has the result of each.

    Every outbound SMTP connection is made here, so this class asks *is_allowed* before each.
    """

    def __init__(
        self,
        addresses: Sequence[Address],
        port: int,
        is_allowed: IsAllowed,
        seconds: float = CONNECT_TIMEOUT_SECONDS,
    ) -> None:
        self._waiting, self._untried = select_addresses(addresses)
        self._port = port
        self._is_allowed = is_allowed
        self._seconds = seconds
        self._running: dict[asyncio.Task[socket.socket], tuple[Address, float]] = {}
        self._errors: list[OSError] = []
        self.attempts: list[AddressAttempt] = []

    async def connect(self) -> socket.socket:
        """Return the connected socket. Raises `NotConnected`."""
        try:
            async with asyncio.timeout(self._seconds):
                while self._waiting or self._running:
                    self._start_next()
                    if (sock := await self._first_answer()) is not None:
                        return sock
        except TimeoutError as error:
            self._errors.append(error)
            self._note_the_rest(_NO_ANSWER)
        finally:
            await self._stop()
        raise NotConnected(self.attempts, _failure_code(self._errors))

    def _start_next(self) -> None:
        if self._waiting:
            address = self._waiting.pop(0)
            task = asyncio.create_task(self._connected(address))
            self._running[task] = (address, asyncio.get_running_loop().time())

    async def _first_answer(self) -> socket.socket | None:
        """Return the first connected socket, or None when it is time for the next attempt."""
        head_start = ATTEMPT_DELAY_SECONDS if self._waiting else None
        done, _ = await asyncio.wait(self._running, timeout=head_start, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if (error := task.exception()) is None:
                self._note(task, "")
                return task.result()
            self._note(task, _problem(error))
            self._errors.append(error if isinstance(error, OSError) else OSError())
        return None

    async def _connected(self, address: Address) -> socket.socket:
        if not await self._is_allowed(address, self._port):
            raise PermissionError
        return await _open_socket(address, self._port)

    def _note(self, task: asyncio.Task[socket.socket], problem: str | None) -> None:
        address, begun = self._running.pop(task)
        milliseconds = round((asyncio.get_running_loop().time() - begun) * 1000)
        self.attempts.append(AddressAttempt(str(address), milliseconds, problem))

    def _note_the_rest(self, problem: str | None) -> None:
        for task in list(self._running):
            task.cancel()
            self._note(task, problem)

    async def _stop(self) -> None:
        """Close the slower sockets, also a socket that connected at the same moment."""
        losers = list(self._running)
        self._note_the_rest(None)
        for loser in await asyncio.gather(*losers, return_exceptions=True):
            if isinstance(loser, socket.socket):
                loser.close()
        self.attempts += [AddressAttempt(str(address), 0, None) for address in self._waiting]
        self.attempts += [
            AddressAttempt(str(address), 0, None, tried=False) for address in self._untried[:MAX_UNTRIED_SHOWN]
        ]


def select_addresses(addresses: Sequence[Address]) -> tuple[list[Address], list[Address]]:
    """Return the addresses to try, the families in turn, and the remaining addresses."""
    ordered = list(interleave_families(addresses))
    return ordered[:MAX_ADDRESSES], ordered[MAX_ADDRESSES:]


def interleave_families(addresses: Sequence[Address]) -> Iterable[Address]:
    """Return *addresses* in the resolver's order, the two families alternating (RFC 8305 4)."""
    first = [address for address in addresses if address.version == addresses[0].version]
    other = [address for address in addresses if address.version != addresses[0].version]
    return (address for pair in zip_longest(first, other) for address in pair if address is not None)


def _problem(error: BaseException) -> str:
    match error:
        case ConnectionRefusedError():
            return REFUSED
        case TimeoutError():
            return _NO_ANSWER
        case OSError(errno=errno.ENETUNREACH | errno.EHOSTUNREACH | errno.EADDRNOTAVAIL | errno.EAFNOSUPPORT):
            return "unreachable"
        case _:
            return "failed"


def _failure_code(errors: Sequence[OSError]) -> FailureCode:
    """Return the code for all *errors*: a timeout (perhaps a firewall) says most, a missing route least."""
    if any(isinstance(error, TimeoutError) for error in errors):
        return FailureCode.CONNECTION_TIMED_OUT
    if any(isinstance(error, ConnectionRefusedError) for error in errors):
        return FailureCode.CONNECTION_REFUSED
    return FailureCode.HOST_UNREACHABLE


async def _open_socket(address: Address, port: int) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004  # IP's own number
    # asyncio sets TCP_NODELAY only if the protocol is named; Nagle's algorithm costs STARTTLS a round trip.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.settimeout(0)
        await asyncio.get_running_loop().sock_connect(sock, (str(address), port))
    except BaseException:
        sock.close()
        raise
    return sock
