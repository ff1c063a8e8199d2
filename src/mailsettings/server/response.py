"""Send responses: what uvicorn leaves out, a deadline for slow readers, and plain-text errors."""

import http
from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable, Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle


def with_http_corrections(app: ASGIApp, cycle: RequestResponseCycle, count: Callable[[int], None]) -> ASGIApp:
    """Return *app* with corrected responses to the request of *cycle*; *count* gets the size of each body part."""
    app = _dropping_after_disconnect(app, cycle, count)
    if cycle.waiting_for_100_continue:
        app = _closing_without_continue(app, cycle)
    if cycle.scope["http_version"] == "1.0":
        app = _without_chunks(app, cycle)
    return app


def _dropping_after_disconnect(app: ASGIApp, cycle: RequestResponseCycle, count: Callable[[int], None]) -> ASGIApp:
    """Drop the rest of a response once the client has disconnected: uvloop raises on later writes."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_if_open(message: Message) -> None:
            if cycle.transport.is_closing():
                cycle.disconnected = True
            await send(message)
            count(len(message.get("body", b"")))

        await app(scope, receive, send_if_open)

    return run


def _without_chunks(app: ASGIApp, cycle: RequestResponseCycle) -> ASGIApp:
    """Send no chunks to HTTP/1.0 (RFC 9112 6.1): without a length, the end of the connection ends the body."""
    cycle.chunked_encoding = False

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_unchunked(message: Message) -> None:
            if message["type"] == "http.response.body":
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_unchunked)

    return run


def _closing_without_continue(app: ASGIApp, cycle: RequestResponseCycle) -> ASGIApp:
    """Close the connection after a final response in place of `100 Continue`.

    The client may still send the body or leave it out (RFC 9110 10.1.1), so the next bytes on the connection are
    either that body or another request.
    """

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_and_close(message: Message) -> None:
            if cycle.waiting_for_100_continue and cycle.more_body:
                cycle.keep_alive = False
            await send(message)

        await app(scope, receive, send_and_close)

    return run


MIN_READ_BYTES = 128 * 1024
"""Bytes of a waiting response that a client must read within the time limit."""


class ResponseDeadline:
    """A client has *seconds* to read each `MIN_READ_BYTES` bytes, however the response is divided into parts."""

    def __init__(
        self, loop: AbstractEventLoop, seconds: float, unsent: Callable[[], int], give_up: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._seconds = seconds
        self._unsent = unsent
        self._give_up = give_up
        self._timer: TimerHandle | None = None
        self._begun_at = 0.0
        self._sent = 0  # bytes, some of which may be unread
        self._start_again()

    def add(self, size: int) -> None:
        """Count *size* bytes as sent."""
        self._sent += size

    def begin(self) -> None:
        """Start the timer, if it does not run already."""
        if self._timer is None:
            self._begun_at = self._loop.time()
            self._timer = self._loop.call_later(max(0, self._left), self._over)

    def end(self) -> None:
        """Stop the timer: the client has read everything so far."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._left -= self._loop.time() - self._begun_at
            self._has_taken_enough()

    def reset(self) -> None:
        """Give the client the whole time again, for the next response."""
        self.end()
        self._start_again()

    def _start_again(self) -> None:
        self._left = self._seconds
        self._sent = 0

    def _has_taken_enough(self) -> bool:
        unsent = self._unsent()
        if unsent and self._sent - unsent < MIN_READ_BYTES:
            return False
        if self._sent - unsent >= MIN_READ_BYTES:
            self._left = self._seconds
            self._sent = unsent
        return True

    def _over(self) -> None:
        self._timer = None
        self._left = 0
        if not self._has_taken_enough():
            self._give_up()
        elif self._unsent():
            self.begin()


RETRY_AFTER_SECONDS = 1


def plain_text_response(status: int, headers: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """Return the bytes of a whole response, with *headers* in addition to its own."""
    text = http.HTTPStatus(status).phrase.encode()
    own = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(text)).encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"connection", b"close"),
    ]
    if status == http.HTTPStatus.SERVICE_UNAVAILABLE:
        own.append((b"retry-after", str(RETRY_AFTER_SECONDS).encode()))
    lines = b"".join(b"%b: %b\r\n" % header for header in (*headers, *own))
    return STATUS_LINE[status] + lines + b"\r\n" + text
