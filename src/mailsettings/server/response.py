"""What uvicorn leaves out when it sends an answer.

Clients of HTTP/1.0, clients that wait to send their body, and clients that go away between two parts of an answer.
"""

from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


def with_http_corrections(app: ASGIApp, cycle: RequestResponseCycle, count: Callable[[int], None]) -> ASGIApp:
    """Return *app*, whose answer to the request of *cycle* is put right; *count* gets the size of each part."""
    app = _dropping_after_disconnect(app, cycle, count)
    if cycle.waiting_for_100_continue:
        app = _closing_without_continue(app, cycle)
    if cycle.scope["http_version"] == "1.0":
        app = _without_chunks(app, cycle)
    return app


def _dropping_after_disconnect(app: ASGIApp, cycle: RequestResponseCycle, count: Callable[[int], None]) -> ASGIApp:
    """Drop what follows when a write has found the client gone; uvloop raises for a transport that is closed."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_if_open(message: Message) -> None:
            if cycle.transport.is_closing():
                cycle.disconnected = True
            await send(message)
            count(len(message.get("body", b"")))

        await app(scope, receive, send_if_open)

    return run


def _without_chunks(app: ASGIApp, cycle: RequestResponseCycle) -> ASGIApp:
    """HTTP/1.0 has no chunks (RFC 9112 6.1): without a length, the body ends with the connection."""
    cycle.chunked_encoding = False

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_unchunked(message: Message) -> None:
            if message["type"] == "http.response.body":
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_unchunked)

    return run


def _closing_without_continue(app: ASGIApp, cycle: RequestResponseCycle) -> ASGIApp:
    """Close the connection after an answer in place of `100 Continue`.

    The client may send the body all the same or leave it out (RFC 9110 10.1.1), so that what comes next on the
    connection can be either that body or another request.
    """

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_and_close(message: Message) -> None:
            if cycle.waiting_for_100_continue and cycle.more_body:
                cycle.keep_alive = False
            await send(message)

        await app(scope, receive, send_and_close)

    return run
