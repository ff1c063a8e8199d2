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
    requests: int


def request(method: str, path: str, token: str, body: bytes = b"", headers: str = "") -> bytes:
    """Return one complete request; each of the other *headers* ends with a line break."""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n{headers}"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def exchange(port: int, sent: bytes) -> bytes:
    """Return the body of the answer to *sent*; any status other than a success ends the program."""
    return whole(port, sent)[1]


def whole(port: int, sent: bytes) -> tuple[bytes, bytes]:
    """Return header and body of the answer to *sent*; any other status than a success or 304 ends the program."""

    async def ask() -> tuple[bytes, bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        head, body = await _answer(reader)
        writer.close()
        _require_success(head, body)
        return head, body

    return asyncio.run(ask())


async def load(port: int, sent: bytes, seconds: float, connections: int = CONNECTIONS) -> Round:
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
    await asyncio.gather(*(ask() for _ in range(connections)))
    took = time.perf_counter() - begun
    times.sort()
    return Round(
        len(times) / took, times[len(times) // 2] * 1000, times[int(len(times) * 0.99)] * 1000, len(times)
    )


async def _answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    has_body = not head.startswith(b"HTTP/1.1 304")  # RFC 9110 15.4.5
    return head, await reader.readexactly(int(length or 0)) if has_body else b""


def _require_success(head: bytes, body: bytes) -> None:
    if not head.startswith((b"HTTP/1.1 2", b"HTTP/1.1 304")):
        sys.exit(f"unexpected answer: {head.decode()}{body.decode()}")
