"""Devices that submit mail, for benchmarks, in a separate process: a connection for each message.

They send one command at a time, as printers do, or RCPT and DATA together where they pipeline.
"""

import asyncio
import base64
import multiprocessing
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import uvloop

_PROCESSES = multiprocessing.get_context("fork")
_LIMIT = 1 << 20


@dataclass(frozen=True)
class Place:
    """Where devices submit and how: with a user they log in, with a context they use STARTTLS."""

    port: int
    user: str = ""
    secret: str = ""
    context: ssl.SSLContext | None = None
    sender: str = "scan@example.com"


@dataclass(frozen=True)
class Load:
    """So many messages of so many bytes, so many at a time, each tried once and for so long."""

    messages: int
    at_once: int
    size: int = 2048
    pipelining: bool = False
    timeout: float = 120


class Result(NamedTuple):
    """The last reply code of a message, or 0 if none came in time; and the seconds it took."""

    code: int
    seconds: float


class Refused(Exception):
    """The server did not reply as expected."""


def run(place: Place, load: Load) -> tuple[Sequence[Result], float]:
    """Return the result of each message, and the seconds of all together."""
    told, tells = _PROCESSES.Pipe(duplex=False)
    process = _PROCESSES.Process(target=lambda: tells.send(uvloop.run(_run(place, load))), daemon=True)
    process.start()
    results: tuple[Sequence[Result], float] = told.recv()
    process.join()
    return results


async def _run(place: Place, load: Load) -> tuple[Sequence[Result], float]:
    content, left, results = _content(place.sender, load.size), iter(range(load.messages)), list[Result]()

    async def worker() -> None:
        for _ in left:
            results.append(await _timed(place, load, content))

    begun = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(load.at_once)))
    return results, time.perf_counter() - begun


def _content(sender: str, size: int) -> bytes:
    head = (
        f"From: {sender}\r\nTo: ops@example.com\r\nSubject: Scan\r\nDate: Sat, 28 Nov 2026 12:00:00 +0000\r\n"
        "Message-ID: <1@example.com>\r\n\r\n"
    ).encode()
    return head + (b"x" * 76 + b"\r\n") * ((size - len(head)) // 78)


async def _timed(place: Place, load: Load, content: bytes) -> Result:
    begun, code = time.perf_counter(), 0
    try:
        async with asyncio.timeout(load.timeout):
            await submit(place, content, pipelining=load.pipelining)
        code = 250
    except Refused as refused:
        code = refused.args[0]
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        code = 0
    return Result(code, time.perf_counter() - begun)


async def idle(place: Place, count: int) -> Sequence[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Return so many connections that have logged in, from a hundred addresses of this machine."""
    return [await _begin(place, f"127.0.1.{1 + number % 100}") for number in range(count)]


async def submit(place: Place, content: bytes, *, pipelining: bool) -> None:
    """Send one message over a new connection. Raises `Refused`, `OSError`, `asyncio.IncompleteReadError`."""
    reader, writer = await _begin(place)
    try:
        await _envelope(reader, writer, place.sender, pipelining=pipelining)
        writer.write(content)
        await writer.drain()
        await _ask(reader, writer, ".")
        writer.write(b"QUIT\r\n")
    finally:
        writer.close()


async def _begin(place: Place, address: str | None = None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect from *address*, encrypt and log in."""
    local = (address, 0) if address else None  # uvloop binds to no address otherwise
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port, limit=_LIMIT, local_addr=local)
    try:
        await _expect(reader, 220)
        await _ask(reader, writer, "EHLO [127.0.0.1]")
        if place.context:
            await _ask(reader, writer, "STARTTLS", 220)
            await writer.start_tls(place.context, server_hostname="127.0.0.1")
            await _ask(reader, writer, "EHLO [127.0.0.1]")
        await _log_in(reader, writer, place)
    except BaseException:
        writer.close()
        raise
    return reader, writer


async def _log_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, place: Place) -> None:
    if place.user:
        response = base64.b64encode(f"\0{place.user}\0{place.secret}".encode()).decode()
        await _ask(reader, writer, f"AUTH PLAIN {response}", 235)


async def _envelope(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sender: str, *, pipelining: bool
) -> None:
    mail, recipient = f"MAIL FROM:<{sender}>", "RCPT TO:<ops@example.com>"
    if pipelining:
        writer.write(f"{mail}\r\n{recipient}\r\nDATA\r\n".encode())
        for code in (250, 250, 354):
            await _expect(reader, code)
    else:
        await _ask(reader, writer, mail)
        await _ask(reader, writer, recipient)
        await _ask(reader, writer, "DATA", 354)


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, command: str, code: int = 250) -> None:
    writer.write(f"{command}\r\n".encode())
    await _expect(reader, code)


async def _expect(reader: asyncio.StreamReader, code: int) -> None:
    while True:
        line = await reader.readuntil(b"\r\n")
        if line[3:4] != b"-":
            break
    if int(line[:3]) != code:
        raise Refused(int(line[:3]))
