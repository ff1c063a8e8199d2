"""The mail server that relays hand mail to, for benchmarks, in a separate process: STARTTLS, a login, counts.

It lets so many connections log in at once, answers others with 432 as Exchange Online does, and takes a given time
for each message.
"""

import asyncio
import multiprocessing
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import cast

import uvloop

_PROCESSES = multiprocessing.get_context("fork")
_END = b"\r\n.\r\n"


class Target:
    """The port of the server, and what it counted."""

    def __init__(self) -> None:
        self.port = 0
        self._messages = _PROCESSES.Value("q", 0)
        self._refused = _PROCESSES.Value("q", 0)
        self._logins = _PROCESSES.Value("q", 0)

    @property
    def counts(self) -> tuple[int, int, int]:
        """Return the messages, the refused logins and the accepted logins so far."""
        return int(self._messages.value), int(self._refused.value), int(self._logins.value)

    def count_message(self) -> None:
        """Count a message."""
        self._messages.value += 1

    def count_login(self, *, accepted: bool) -> None:
        """Count a login."""
        (self._logins if accepted else self._refused).value += 1


class _Limits:
    """How many connections may be logged in, how long a message takes, and how many are logged in."""

    def __init__(self, logins: int, seconds: float) -> None:
        self.logins = logins
        self.seconds = seconds
        self.now = 0


@contextmanager
def target(context: ssl.SSLContext, *, max_logins: int = 1000, seconds: float = 0) -> Iterator[Target]:
    """Run the server until the block ends."""
    counted, (told, tells) = Target(), _PROCESSES.Pipe(duplex=False)

    async def serve() -> None:
        limits = _Limits(max_logins, seconds)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Session(counted, context, limits), "127.0.0.1", 0, backlog=1024)
        tells.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    process = _PROCESSES.Process(target=lambda: uvloop.run(serve()), daemon=True)
    process.start()
    counted.port = told.recv()
    try:
        yield counted
    finally:
        process.terminate()
        process.join()


class _Session(asyncio.Protocol):
    """A connection: commands line by line, content up to its end without keeping it."""

    def __init__(self, counted: Target, context: ssl.SSLContext, limits: _Limits) -> None:
        self._counted = counted
        self._context = context
        self._limits = limits
        self._buffer = b""
        self._in_content = False
        self._busy = False
        self._encrypted = False
        self._logged_in = False
        self._tasks = set[asyncio.Task[None]]()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if not self._encrypted:
            self._transport.write(b"220 mail.example.org ESMTP\r\n")

    def connection_lost(self, _error: Exception | None) -> None:
        if self._logged_in:
            self._limits.now -= 1
            self._logged_in = False

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while not self._busy and self._buffer and (self._end_content() if self._in_content else self._take_line()):
            pass

    def _end_content(self) -> bool:
        before, end, rest = self._buffer.partition(_END)
        if not end:
            self._buffer = before[-len(_END) :]
            return False
        self._buffer, self._in_content, self._busy = rest, False, True
        if self._limits.seconds:
            asyncio.get_running_loop().call_later(self._limits.seconds, self._accept)
        else:
            self._accept()
        return True

    def _accept(self) -> None:
        self._counted.count_message()
        self._transport.write(b"250 2.0.0 Queued\r\n")
        self._busy = False
        self.data_received(b"")

    def _take_line(self) -> bool:
        line, end, rest = self._buffer.partition(b"\r\n")
        if not end:
            return False
        self._buffer = rest
        self._answer(line)
        return True

    def _answer(self, line: bytes) -> None:
        match line[:4].upper():
            case b"EHLO":
                offer = b"250-AUTH PLAIN LOGIN\r\n" if self._encrypted else b"250-STARTTLS\r\n"
                self._transport.write(
                    b"250-mail.example.org\r\n250-PIPELINING\r\n250-SIZE 35882577\r\n"
                    + offer
                    + b"250 8BITMIME\r\n"
                )
            case b"STAR":
                self._transport.pause_reading()
                self._transport.write(b"220 2.0.0 Go ahead\r\n")
                task = asyncio.create_task(self._encrypt())
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            case b"AUTH":
                self._log_in()
            case b"MAIL" if not self._logged_in:
                self._transport.write(b"530 5.7.0 Log in first\r\n")
            case b"DATA":
                self._in_content = True
                self._buffer = b"\r\n" + self._buffer  # so that a lone dot ends empty content too
                self._transport.write(b"354 Go ahead\r\n")
            case b"QUIT":
                self._transport.write(b"221 2.0.0 Bye\r\n")
                self._transport.close()
            case _:
                self._transport.write(b"250 2.1.0 OK\r\n")

    def _log_in(self) -> None:
        accepted = self._limits.now < self._limits.logins
        self._counted.count_login(accepted=accepted)
        self._logged_in = accepted
        self._limits.now += accepted
        self._transport.write(
            b"235 2.7.0 Yes\r\n" if accepted else b"432 4.3.2 Concurrent connections limit exceeded\r\n"
        )

    async def _encrypt(self) -> None:
        self._encrypted = True
        with suppress(OSError, RuntimeError):
            transport = await asyncio.get_running_loop().start_tls(
                self._transport, self, self._context, server_side=True
            )
            assert transport is not None
            self._transport = transport
