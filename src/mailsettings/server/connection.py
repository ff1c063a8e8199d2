"""One client connection: limits on the size and the time of each request and response.

uvicorn has no such options: it keeps a header of any length, and waits without limit for a header or for a client
that reads no more of its response. A request that is refused here belongs to no API yet, so the response is plain
text.
"""

import asyncio
import logging
import socket
import time
from asyncio import TimerHandle
from dataclasses import dataclass
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from mailsettings.logs import RateLimitedLog
from mailsettings.server.capacity import Allocation, ConnectionSlot
from mailsettings.server.request import PendingBytes, announces_body, body_parser
from mailsettings.server.response import ResponseDeadline, plain_text_response, with_http_corrections

HTTP_VERSIONS = {"1.0", "1.1"}
"""The HTTP versions that are served. The parser also accepts HTTP/0.9, and 2.0 by name only."""
MAX_HEAD_BYTES = 16 * 1024  # unless the settings allow longer access tokens
MAX_TRANSFER_BYTES = 1024 * 1024
"""Of a body on the wire, with chunk extensions. It is larger than the limit of a body, since a client that is cut
off while it sends may never read the 413 (RFC 9112 9.6)."""
SEND_BUFFER_BYTES = 128 * 1024
"""The socket's send buffer. By default Linux grows it to megabytes, and reports progress in steps as large."""
MAX_PIPELINED_REQUESTS = 100
"""Requests that wait for the response to an earlier one; a single packet can hold thousands."""
CLOSE_TIMEOUT_SECONDS = 5
"""For clients that still send a request or read the end of a response when the server shuts down."""
DRAINING_STATE_KEY = "draining"
"""The key in the application's state (ASGI lifespan) that is true while the server drains before it stops."""

ARRIVED_SCOPE_KEY = "mailsettings.arrived"  # when the headers were complete, on `time.perf_counter`

_log = logging.getLogger("mailsettings.connection")
_limited_log = RateLimitedLog(_log)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Seconds for the whole head of a request, then for the whole body, and for reading the response.

    `answer` is the limit for each `MIN_READ_BYTES` bytes of a long response. `head_bytes` limits the head's size.
    """

    head: float = 10
    body: float = 30
    answer: float = 30
    head_bytes: int = MAX_HEAD_BYTES


class _StopParsing(Exception):
    """Raised in a callback of the parser, which stops it."""


class BoundedConnection(HttpToolsProtocol):
    """uvicorn's protocol with limits. It supports no WebSockets: run uvicorn with `ws="none"`."""

    def __init__(
        self, slot: ConnectionSlot, allocation: Allocation, limits: ConnectionLimits, **options: Any
    ) -> None:
        super().__init__(**options)
        self.is_made = False
        self._slot = slot
        self._allocation = allocation
        self._limits = limits
        self._deadline: TimerHandle | None = None
        self._response_deadline = ResponseDeadline(self.loop, limits.answer, self._unsent, self._abort_slow_reader)
        self._pending = PendingBytes()
        self._in_message = False
        self._in_body = False
        self._half_closed = False
        self._received = 0  # bytes since the last message or head ended
        self._refusal = 400

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Start the time limit of the first request."""
        super().connection_made(transport)
        self.is_made = True
        self._slot.close = transport.abort
        # Report unsent bytes at once, and let the application write nothing while there are any.
        transport.set_write_buffer_limits(high=1, low=0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._start_timeout()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timers and give back what the connection holds."""
        self._cancel_timeout()
        self._response_deadline.end()
        self._slot.release()
        self._allocation.set(0)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Pause the application and start the time limit for reading the response."""
        super().pause_writing()
        self._response_deadline.begin()
        self._update_allocation()

    def resume_writing(self) -> None:
        """Continue the response."""
        self._response_deadline.end()
        self._update_allocation()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Parse *data*, then check the limits of size, capacity and time."""
        self._received += len(data)
        self._unset_keepalive_if_required()
        self._parse(data)
        if self.transport.is_closing() or not (self._in_message or self._received):
            return
        if self._received > (MAX_TRANSFER_BYTES if self._in_body else self._limits.head_bytes):
            self._refuse(413 if self._in_body else 431)
        elif not self._allocation.try_raise_to(self._pending.total + self._unsent()):
            self._refuse_for_capacity()
        elif self._deadline is None:
            self._start_timeout()

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn's closes at once
        """Answer complete requests after the client has closed its side, as `nc -N` does (RFC 9112 9.6).

        Over TLS the event loop closes both sides, whatever this returns.
        """
        self._half_closed = True
        if self._in_body and not self.pipeline:
            return False  # the request that is being processed will never be complete
        if self._in_body:
            self.pipeline.popleft()  # the newest request, which will never be complete either
        self._in_message = self._in_body = False
        self._cancel_timeout()
        return self._is_answering()

    def on_response_complete(self) -> None:
        """Continue with the next request, or close if the client has closed its side."""
        is_last = not self.pipeline
        super().on_response_complete()
        self._pending.answer()
        self._update_allocation()
        if self._unsent():
            self._response_deadline.begin()
        else:
            self._response_deadline.reset()
        if is_last:
            self.cycle.body = bytearray()  # uvicorn keeps it until the next request
            self._slot.mark_idle()
            if self._half_closed:
                self.transport.close()

    def on_message_begin(self) -> None:
        """Start to count a new request."""
        if len(self.pipeline) >= MAX_PIPELINED_REQUESTS:
            raise _StopParsing
        super().on_message_begin()
        self._in_message = True
        self._pending.begin()

    def on_url(self, url: bytes) -> None:
        """Count the request's target as part of its head."""
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count each header field, and ignore trailers.

        uvicorn would add trailers to the headers, where they could pass for a field that a proxy in front of the
        server sets or removes (RFC 9110 6.5.1).
        """
        self._count(len(name) + len(value) + len(": \r\n"))
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Check the HTTP version, and start the time limit of the body."""
        if self.parser.get_http_version() not in HTTP_VERSIONS:
            raise _StopParsing
        self._slot.mark_busy()
        super().on_headers_complete()
        # Requests that arrived together share one question to the database about what has changed.
        self.scope[ARRIVED_SCOPE_KEY] = time.perf_counter()  # type: ignore[literal-required]
        if self.app_state.get(DRAINING_STATE_KEY):
            self.cycle.keep_alive = False  # so that the client connects elsewhere before this server ends
        self._cancel_timeout()
        self._in_body = True
        self._received = 0

    def on_body(self, body: bytes) -> None:
        """Count the part of the body that is kept."""
        self._pending.add_to_body(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Cancel the time limit until the next request begins."""
        if self.parser.should_upgrade() and announces_body(self.headers):
            return  # an offered upgrade: the parser stops here, before the body
        self._cancel_timeout()
        self._in_message = self._in_body = False
        self._received = 0
        self._pending.complete()
        super().on_message_complete()

    def shutdown(self) -> None:
        """Close after the current response; a client that sends or reads gets `CLOSE_TIMEOUT_SECONDS`."""
        super().shutdown()
        if self.transport.is_closing():
            # TLS would wait for the close_notify of the client, and for the client to read all sent bytes.
            self.loop.call_later(CLOSE_TIMEOUT_SECONDS, self.transport.abort)
        elif self._deadline is not None:
            self._cancel_timeout()
            self._deadline = self.loop.call_later(CLOSE_TIMEOUT_SECONDS, self._time_out)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:  # type: ignore[override]
        super()._start_asgi_task(cycle, with_http_corrections(app, cycle, self._response_deadline.add))  # type: ignore[arg-type]  # uvicorn's own types of ASGI

    def _parse(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = self._feed(rest)
        except HttpParserError:
            self._refuse(self._refusal)

    def _feed(self, data: memoryview) -> memoryview:
        """Return the unparsed rest: the parser stops after a header section that offers an upgrade."""
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as stopped:
            if self._in_body:
                self.parser = body_parser(self, self.headers)
            return data[stopped.args[0] :]
        return data[:0]

    def _count(self, size: int) -> None:
        self._pending.head += size
        if self._pending.head > self._limits.head_bytes:
            self._refusal = 431
            raise _StopParsing

    def _start_timeout(self) -> None:
        seconds = self._limits.body if self._in_body else self._limits.head
        self._deadline = self.loop.call_later(seconds, self._time_out)

    def _cancel_timeout(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _unsent(self) -> int:
        return self.transport.get_write_buffer_size()

    def _abort_slow_reader(self) -> None:
        _log.info("Closed the connection of %s, which does not read its response", self.client and self.client[0])
        self.transport.abort()  # close() would wait for the client again

    def _update_allocation(self) -> None:
        self._allocation.set(self._pending.total + self._unsent())

    def _time_out(self) -> None:
        self._deadline = None
        if self.flow.read_paused:
            self._start_timeout()  # the server itself has paused reading, because of an earlier request
        elif not self._in_body and self._is_answering():
            self.cycle.keep_alive = False  # closes the connection after that response
        elif self._in_message:
            self._refuse(408)
        else:
            self.transport.close()

    def _refuse_for_capacity(self) -> None:
        _limited_log.warning(
            "Refused a request from %s: %d bytes of requests and unread responses are held, %d for this address.",
            self.client and self.client[0],
            *self._allocation.levels(),
        )
        self._refuse(503)

    def _refuse(self, status: int) -> None:
        """Close the connection, with a plain-text response unless another response is pending or has begun."""
        if self.transport.is_closing():
            return
        _log.info("Refused an incomplete request from %s: %d", self.client and self.client[0], status)
        waiting = self._in_body and not self.cycle.response_started
        if not self.pipeline and (waiting or not (self._in_body or self._is_answering())):
            self.transport.write(plain_text_response(status, self.server_state.default_headers))
        if self._is_answering():
            self.cycle.disconnected = True  # so that the application sends no second response
            self.cycle.message_event.set()
        self._cancel_timeout()
        self.transport.close()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete  # type: ignore[redundant-expr]  # None at first
