"""A mail server behind a delay, for benchmarks: it counts the flights of each session up to the final 250.

The delay simulates a network: data arrives half a round trip later, and a connection takes one round trip
before it can be used. A flight is all data that one side sends before it must wait for the other side.
"""

import asyncio
import multiprocessing
import ssl
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

ROUND_TRIP_SECONDS = 0.05
_OFFERS = b"250-mail.example.org\r\n250-PIPELINING\r\n250-SIZE 35882577\r\n%b250 8BITMIME\r\n"
_READ = 65536
_TIMER_SECONDS = 0.0015  # epoll waits whole milliseconds
_PROCESSES = multiprocessing.get_context("fork")
_SERVERS: set[asyncio.Server] = set()


class Mailbox:
    """`flights` of the last session up to its final 250, the connection's own included; `mails` in all."""

    def __init__(self, round_trip_seconds: float) -> None:
        self.round_trip_seconds = round_trip_seconds
        self._flights = _PROCESSES.Value("i", 0)
        self._mails = _PROCESSES.Value("i", 0)
        self._sent: Counter[int] = Counter()

    @property
    def flights(self) -> int:
        """Return the flights of the last session."""
        return int(self._flights.value)

    @property
    def mails(self) -> int:
        """Return the mails of all sessions."""
        return int(self._mails.value)

    def begin(self, port: int, flights: int) -> None:
        """Start a session from *port* that has taken *flights* so far."""
        self._sent[port] = flights

    def count(self, port: int) -> None:
        """Count a flight of the client of the session from *port*."""
        self._sent[port] += 1

    def deliver(self, port: int) -> None:
        """Count a mail of the session from *port*."""
        self._flights.value = self._sent[port]
        self._mails.value += 1


@contextmanager
def serving(
    context: ssl.SSLContext, *, implicit: bool, starttls: bool, round_trip_seconds: float = ROUND_TRIP_SECONDS
) -> Iterator[tuple[int, Mailbox]]:
    """Yield the port of the delay, in a separate process, so that it takes no time from the clients."""
    mailbox = Mailbox(round_trip_seconds)
    told, tells = _PROCESSES.Pipe(duplex=False)

    async def serve() -> None:
        tells.send(await _listen(mailbox, context, implicit=implicit, starttls=starttls))
        await asyncio.Event().wait()

    process = _PROCESSES.Process(target=lambda: asyncio.run(serve()), daemon=True)
    process.start()
    try:
        yield told.recv(), mailbox
    finally:
        process.terminate()
        process.join()


async def _listen(mailbox: Mailbox, context: ssl.SSLContext, *, implicit: bool, starttls: bool) -> int:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            await _converse(mailbox, reader, writer, context if starttls else None)
        writer.close()

    behind = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context if implicit else None)
    port = behind.sockets[0].getsockname()[1]

    async def delay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _delay(mailbox, reader, writer, port, speaks_first=not implicit)

    front = await asyncio.start_server(delay, "127.0.0.1", 0)
    _SERVERS.update({behind, front})
    return int(front.sockets[0].getsockname()[1])


async def _delay(
    mailbox: Mailbox,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    port: int,
    *,
    speaks_first: bool,
) -> None:
    """Forward bytes both ways with half a round trip of delay; delay the connection by a whole round trip."""
    await asyncio.sleep(mailbox.round_trip_seconds * (1.5 if speaks_first else 1))
    back_reader, back_writer = await asyncio.open_connection("127.0.0.1", port)
    session: int = back_writer.get_extra_info("sockname")[1]
    # If the server speaks first, its greeting answers the client's last packet of the connection.
    mailbox.begin(session, 2 if speaks_first else 1)
    listened = asyncio.Event()
    listened.set()

    async def there() -> None:
        while data := await _read(reader):
            if listened.is_set():
                mailbox.count(session)
                listened.clear()
            _later(back_writer, data, mailbox.round_trip_seconds / 2)

    async def back() -> None:
        while data := await _read(back_reader):
            _later(writer, data, mailbox.round_trip_seconds / 2)
            listened.set()

    await asyncio.wait(
        {asyncio.ensure_future(there()), asyncio.ensure_future(back())}, return_when="FIRST_COMPLETED"
    )
    await asyncio.sleep(mailbox.round_trip_seconds)
    back_writer.close()
    writer.close()


async def _read(reader: asyncio.StreamReader) -> bytes:
    """Return what comes next, or nothing at the end, however the connection ends."""
    with suppress(ConnectionError):
        return await reader.read(_READ)
    return b""


def _later(writer: asyncio.StreamWriter, data: bytes, seconds: float) -> None:
    """Wait, precise to 0.1 ms: timers alone are a whole millisecond late each time."""
    loop = asyncio.get_running_loop()
    due = loop.time() + seconds

    def write_when_due() -> None:
        if loop.time() < due:
            loop.call_soon(write_when_due)
        else:
            writer.write(data)

    loop.call_at(due - _TIMER_SECONDS, write_when_due)


async def _converse(
    mailbox: Mailbox,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    context: ssl.SSLContext | None,
) -> None:
    """Accept every mail and every login."""
    session: int = writer.get_extra_info("peername")[1]
    writer.write(b"220 mail.example.org ESMTP\r\n")
    while line := (await reader.readline()).upper():
        match line.split()[0]:
            case b"EHLO":
                encrypted = writer.get_extra_info("ssl_object") is not None
                extra = (
                    b"250-AUTH PLAIN LOGIN CRAM-MD5\r\n" if encrypted else b"250-STARTTLS\r\n" if context else b""
                )
                writer.write(_OFFERS % extra)
            case b"STARTTLS" if context is not None:
                writer.write(b"220 Go ahead\r\n")
                await writer.start_tls(context)
            case b"AUTH" if line.split()[1] == b"PLAIN":
                writer.write(b"235 2.7.0 Yes\r\n")
            case b"AUTH":
                writer.write(b"334 PDFAbWFpbD4=\r\n")
                await reader.readline()
                writer.write(b"235 2.7.0 Yes\r\n")
            case b"DATA":
                writer.write(b"354 Go ahead\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                mailbox.deliver(session)
                writer.write(b"250 2.0.0 Queued\r\n")
            case b"QUIT":
                writer.write(b"221 Bye\r\n")
                return
            case _:
                writer.write(b"250 OK\r\n")
