"""One connection of a client: how much of a request is received and for how long, before anything reads it.

uvicorn has no option for either: it keeps a header of any length, and waits for one for ever, as it does for
a client that takes no more of its answer. What is refused here is no request of any API yet, so that the answer
is plain text.
"""

import asyncio
import logging
import socket
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
"""Of HTTP, that are answered. The parser knows more: HTTP/0.9, and 2.0 by the name alone."""
MAX_HEAD_BYTES = 16 * 1024
MAX_TRANSFER_BYTES = 1024 * 1024
"""Of a body as it is sent, with its chunk extensions, or after it was refused: a client that is cut off while
it sends may never read its answer (RFC 9112 9.6)."""
SEND_BUFFER_BYTES = 128 * 1024
"""Bytes that the system keeps for a client. Left alone it keeps megabytes, and tells of progress by as many."""
MAX_PIPELINED_REQUESTS = 100
"""Requests that wait for the answer to an earlier one; a single packet holds thousands."""
CLOSE_TIMEOUT_SECONDS = 5
"""For who is still sending, or taking the end of an answer, when the program has been told to end."""
DRAINING_STATE_KEY = "draining"
"""The name in the application's state (ASGI lifespan) of whether it has been told to end, and still serves."""

_log = logging.getLogger("mailsettings.connection")
_limited_log = RateLimitedLog(_log)


@dataclass(frozen=True, slots=True)
class ConnectionTimeouts:
    """Seconds until the whole header, and from then on until the whole body, has to be here.

    Those of `answer` are for the next `MIN_READ_BYTES` of a long answer.
    """

    head: float = 10
    body: float = 30
    answer: float = 30


class _StopParsing(Exception):
    """Stops the parser."""


class BoundedConnection(HttpToolsProtocol):
    """uvicorn's own protocol with limits. It never becomes a WebSocket: run uvicorn with `ws="none"`."""

    def __init__(
        self, slot: ConnectionSlot, allocation: Allocation, timeouts: ConnectionTimeouts, **options: Any
    ) -> None:
        super().__init__(**options)
        self.is_made = False
        self._slot = slot
        self._allocation = allocation
        self._timeouts = timeouts
        self._deadline: TimerHandle | None = None
        self._response_deadline = ResponseDeadline(
            self.loop, timeouts.answer, self._unsent, self._abort_slow_reader
        )
        self._pending = PendingBytes()
        self._in_message = False
        self._in_body = False
        self._half_closed = False
        self._received = 0  # bytes since the end of the message, or else of the head, before
        self._refusal = 400

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Wait for a first request no longer than for any other."""
        super().connection_made(transport)
        self.is_made = True
        self._slot.close = transport.abort
        # What the client has not taken shall be known at once, and nothing be added to it.
        transport.set_write_buffer_limits(high=1, low=0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._start_timeout()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadlines, and make room."""
        self._cancel_timeout()
        self._response_deadline.end()
        self._slot.release()
        self._allocation.set(0)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Let nothing be added to what the client has not taken, and wait for it."""
        super().pause_writing()
        self._response_deadline.begin()
        self._update_allocation()

    def resume_writing(self) -> None:
        """Go on with the answer."""
        self._response_deadline.end()
        self._update_allocation()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Parse what came, and see whether the rest of it may take longer or be longer."""
        self._received += len(data)
        self._unset_keepalive_if_required()
        self._parse(data)
        if self.transport.is_closing() or not (self._in_message or self._received):
            return
        if self._received > (MAX_TRANSFER_BYTES if self._in_body else MAX_HEAD_BYTES):
            self._refuse(413 if self._in_body else 431)
        elif not self._allocation.try_raise_to(self._pending.total + self._unsent()):
            self._refuse_for_capacity()
        elif self._deadline is None:
            self._start_timeout()

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn's closes at once
        """Answer what was asked before the client closed its side, as `nc -N` does (RFC 9112 9.6).

        Over TLS the event loop closes both sides, whatever this returns.
        """
        self._half_closed = True
        if self._in_body and not self.pipeline:
            return False  # the request that is being carried out will never be complete
        if self._in_body:
            self.pipeline.popleft()  # the newest; the same goes for it
        self._in_message = self._in_body = False
        self._cancel_timeout()
        return self._is_answering()

    def on_response_complete(self) -> None:
        """Go on with the next request, or close when the client has closed its side."""
        is_last = not self.pipeline
        super().on_response_complete()
        self._pending.answer()
        self._update_allocation()
        if self._unsent():
            self._response_deadline.begin()
        else:
            self._response_deadline.reset()
        if is_last:
            self.cycle.body = bytearray()  # which uvicorn keeps until the next request
            self._slot.mark_idle()
            if self._half_closed:
                self.transport.close()

    def on_message_begin(self) -> None:
        """Count anew."""
        if len(self.pipeline) >= MAX_PIPELINED_REQUESTS:
            raise _StopParsing
        super().on_message_begin()
        self._in_message = True
        self._pending.begin()

    def on_url(self, url: bytes) -> None:
        """Count the request's target to its head."""
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count each field, and leave out those after the body.

        uvicorn would put such a trailer among the headers, where it could pass for one that a proxy in front
        of us has set or removed (RFC 9110 6.5.1).
        """
        self._count(len(name) + len(value) + len(": \r\n"))
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Go on to the body."""
        if self.parser.get_http_version() not in HTTP_VERSIONS:
            raise _StopParsing
        self._slot.mark_busy()
        super().on_headers_complete()
        if self.app_state.get(DRAINING_STATE_KEY):
            self.cycle.keep_alive = False  # so that the client goes elsewhere, and loses no request when we end
        self._cancel_timeout()
        self._in_body = True
        self._received = 0

    def on_body(self, body: bytes) -> None:
        """Count it, as far as it is kept."""
        self._pending.add_to_body(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for nothing, until something of a next request comes."""
        if self.parser.should_upgrade() and announces_body(self.headers):
            return  # the parser stops here, before the body
        self._cancel_timeout()
        self._in_message = self._in_body = False
        self._received = 0
        self._pending.complete()
        super().on_message_complete()

    def shutdown(self) -> None:
        """Close, after the answer if one is owed; for what depends on the client there is little time left."""
        super().shutdown()
        if self.transport.is_closing():
            # TLS would wait for the client to say goodbye too, and what is sent for it to be taken.
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
        """Return what the parser has left: it stops after a header section that offers an upgrade."""
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as stopped:
            if self._in_body:
                self.parser = body_parser(self, self.headers)
            return data[stopped.args[0] :]
        return data[:0]

    def _count(self, size: int) -> None:
        self._pending.head += size
        if self._pending.head > MAX_HEAD_BYTES:
            self._refusal = 431
            raise _StopParsing

    def _start_timeout(self) -> None:
        seconds = self._timeouts.body if self._in_body else self._timeouts.head
        self._deadline = self.loop.call_later(seconds, self._time_out)

    def _cancel_timeout(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _unsent(self) -> int:
        return self.transport.get_write_buffer_size()

    def _abort_slow_reader(self) -> None:
        _log.info("Hung up on %s, which does not take its answer", self.client and self.client[0])
        self.transport.abort()  # closing would wait for the client once more

    def _update_allocation(self) -> None:
        self._allocation.set(self._pending.total + self._unsent())

    def _time_out(self) -> None:
        self._deadline = None
        if self.flow.read_paused:
            self._start_timeout()  # it is we who take no more, because of an earlier request
        elif not self._in_body and self._is_answering():
            self.cycle.keep_alive = False  # which closes the connection after that answer
        elif self._in_message:
            self._refuse(408)
        else:
            self.transport.close()

    def _refuse_for_capacity(self) -> None:
        _limited_log.warning(
            "Refused a request from %s: %d bytes of requests and untaken answers are kept, %d of them of there.",
            self.client and self.client[0],
            *self._allocation.levels(),
        )
        self._refuse(503)

    def _refuse(self, status: int) -> None:
        """Close the connection, with an answer if none is owed to an earlier request or already begun."""
        if self.transport.is_closing():
            return
        _log.info("Refused %s while it was sending: %d", self.client and self.client[0], status)
        waiting = self._in_body and not self.cycle.response_started
        if not self.pipeline and (waiting or not (self._in_body or self._is_answering())):
            self.transport.write(plain_text_response(status, self.server_state.default_headers))
        if self._is_answering():
            self.cycle.disconnected = True  # so that it does not answer too
            self.cycle.message_event.set()
        self._cancel_timeout()
        self.transport.close()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete  # type: ignore[redundant-expr]  # None at first
