"""A small HTTP listener without tokens: health for supervisors and metrics for monitoring systems.

It works without uvicorn and the APIs, because the relay has it too. It reads no body, keeps no connection, and
answers while the database is away.
"""

import asyncio
import errno
import json
import logging
import os
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from http import HTTPStatus

from mailsettings.domain.errors import StoreUnavailable
from mailsettings.domain.listening import ListenAddress

MAX_HEAD_BYTES = 8 * 1024
MAX_CONNECTIONS = 64
EXCHANGE_TIMEOUT_SECONDS = 10.0
"""For the whole of a request and its response; the database may take some seconds of it."""
RETRY_SECONDS = 1.0
STATUS_STATE_KEY = "status"
"""The key of the `Status` in the application's state (ASGI lifespan)."""
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_log = logging.getLogger("mailsettings.status")


class AddressTaken(Exception):
    """Another program listens on the address, or this machine does not have it; `str()` is one sentence."""

    def __init__(self, address: ListenAddress, error: OSError) -> None:
        super().__init__(f"Cannot listen on {address}: {os.strerror(error.errno) if error.errno else error}.")


@dataclass(frozen=True, slots=True)
class Status:
    """What the listener shows: `ready` raises `StoreUnavailable` if the process is not ready."""

    ready: Callable[[], Awaitable[None]]
    metrics: Callable[[], Awaitable[bytes]]
    is_draining: Callable[[], bool] = lambda: False


@dataclass(frozen=True, slots=True)
class _Response:
    code: HTTPStatus
    body: bytes
    media_type: str = "application/json"
    field: str = ""

    def encode(self, *, with_body: bool) -> bytes:
        head = (
            f"HTTP/1.1 {self.code.value} {self.code.phrase}\r\ncontent-type: {self.media_type}\r\n"
            f"content-length: {len(self.body)}\r\ncache-control: no-store\r\n{self.field}connection: close\r\n\r\n"
        )
        return head.encode() + (self.body if with_body else b"")


def require_free(address: ListenAddress) -> None:
    """Raise `AddressTaken` if this process cannot listen on *address*."""
    try:
        with closing(listening_socket(address)):
            pass
    except OSError as error:
        raise AddressTaken(address, error) from error


def listening_socket(address: ListenAddress) -> socket.socket:
    """Return a socket that is bound to *address*; `::` serves IPv4 too. Raises `OSError`."""
    family, *_, place = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    both = family == socket.AF_INET6 and address.host == "::"
    return socket.create_server(place[:2], family=family, dualstack_ipv6=both and socket.has_dualstack_ipv6())


async def serve_status(
    address: ListenAddress,
    status: Status,
    timeout_seconds: float = EXCHANGE_TIMEOUT_SECONDS,
    retry_seconds: float = RETRY_SECONDS,
) -> None:
    """Answer requests on *address* until cancelled.

    While the address is taken, try again: another worker of the same service answers there, with the sums of all.
    """
    while True:
        try:
            listening = listening_socket(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                _log.warning("%s", AddressTaken(address, error))
            await asyncio.sleep(retry_seconds)
        else:
            await _Listener(status, timeout_seconds).serve(listening)


class _Listener:
    def __init__(self, status: Status, timeout_seconds: float) -> None:
        self._status = status
        self._timeout_seconds = timeout_seconds
        self._open: set[asyncio.Task[None]] = set()

    async def serve(self, listening: socket.socket) -> None:
        server = await asyncio.start_server(self._accept, sock=listening, limit=MAX_HEAD_BYTES)
        try:
            await asyncio.get_running_loop().create_future()  # until cancelled
        finally:
            server.close()
            for task in self._open:
                task.cancel()

    def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        if len(self._open) >= MAX_CONNECTIONS:
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._exchange(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _exchange(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            # Its errors: the client left (IncompleteReadError), sent too much, or took too long.
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                async with asyncio.timeout(self._timeout_seconds):
                    head = await reader.readuntil(b"\r\n\r\n")
                    method, _, rest = head.partition(b" ")
                    response = await self._response(method, rest.split(b" ", 1)[0].partition(b"?")[0])
                    writer.write(response.encode(with_body=method != b"HEAD"))
                    await writer.drain()
        finally:
            writer.close()

    async def _response(self, method: bytes, path: bytes) -> _Response:
        answers = {b"/health/live": _live, b"/health/ready": self._ready, b"/metrics": self._metrics}
        if path not in answers:
            return _json(HTTPStatus.NOT_FOUND, message="This path does not exist.")
        if method not in {b"GET", b"HEAD"}:
            return _json(HTTPStatus.METHOD_NOT_ALLOWED, "allow: GET, HEAD\r\n", message="Use GET or HEAD.")
        return await answers[path]()

    async def _ready(self) -> _Response:
        if self._status.is_draining():
            return _not_ready("This process is shutting down.")
        try:
            await self._status.ready()
        except StoreUnavailable as away:
            return _not_ready(str(away))
        return _json(HTTPStatus.OK, status="ready")

    async def _metrics(self) -> _Response:
        return _Response(HTTPStatus.OK, await self._status.metrics(), METRICS_TYPE)


async def _live() -> _Response:
    return _json(HTTPStatus.OK, status="live")


def _not_ready(why: str) -> _Response:
    return _json(HTTPStatus.SERVICE_UNAVAILABLE, "retry-after: 5\r\n", status="not_ready", message=why)


def _json(code: HTTPStatus, field: str = "", **members: str) -> _Response:
    return _Response(code, json.dumps(members).encode(), field=field)
