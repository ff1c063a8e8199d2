"""What uvicorn leaves out when it sends an answer: old clients, and clients that wait to send their body."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


def answering(app: ASGIApp, cycle: RequestResponseCycle) -> ASGIApp:
    """Return *app* with the answer of *cycle* put right, where its request is one of these."""
    if cycle.waiting_for_100_continue:
        app = _closing_unless_continued(app, cycle)
    if cycle.scope["http_version"] == "1.0":
        app = _unchunked(app, cycle)
    return app


def _unchunked(app: ASGIApp, cycle: RequestResponseCycle) -> ASGIApp:
    """HTTP/1.0 has no chunks (RFC 9112 6.1): without a length, the body ends with the connection."""
    cycle.chunked_encoding = False

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_unchunked(message: Message) -> None:
            if message["type"] == "http.response.body":
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_unchunked)

    return run


def _closing_unless_continued(app: ASGIApp, cycle: RequestResponseCycle) -> ASGIApp:
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
