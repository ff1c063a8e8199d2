"""Minimal HTTP for benchmarks: requests as bytes, and many connections that repeat a request for some seconds."""

import asyncio
import sys
import time
from dataclasses import dataclass

CONNECTIONS = 16


@dataclass(frozen=True)
class Round:
    """The results of one subject in one round; times are in milliseconds."""

    per_second: float
    p50: float
    p99: float


def request(method: str, path: str, token: str, body: bytes = b"") -> bytes:
    """Return one complete request."""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def exchange(port: int, sent: bytes) -> bytes:
    """Return the body of the answer to *sent*; any status other than a success ends the program."""

    async def ask() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        head, body = await _answer(reader)
        writer.close()
        _require_success(head, body)
        return body

    return asyncio.run(ask())


async def load(port: int, sent: bytes, seconds: float) -> Round:
    """Repeat a request on all connections, each as soon as the previous answer arrived."""
    end = time.perf_counter() + seconds
    times: list[float] = []

    async def ask() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (begun := time.perf_counter()) < end:
            writer.write(sent)
            head, body = await _answer(reader)
            times.append(time.perf_counter() - begun)
            _require_success(head, body)
        writer.close()

    begun = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(CONNECTIONS)))
    took = time.perf_counter() - begun
    times.sort()
    return Round(len(times) / took, times[len(times) // 2] * 1000, times[int(len(times) * 0.99)] * 1000)


async def _answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return head, await reader.readexactly(int(length or 0))


def _require_success(head: bytes, body: bytes) -> None:
    if not head.startswith(b"HTTP/1.1 2"):
        sys.exit(f"unexpected answer: {head.decode()}{body.decode()}")
