"""What every answer tells a browser, whichever API or page it is of."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ALWAYS = [(b"x-content-type-options", b"nosniff")]
_BY_HTTPS = [*_ALWAYS, (b"strict-transport-security", b"max-age=31536000")]


class ResponseHeaders:
    """Adds them to all answers; Strict-Transport-Security to those by https alone (RFC 6797 7.2). Pure ASGI."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and the answer back with its headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        added = _BY_HTTPS if scope["scheme"] == "https" else _ALWAYS

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *added]
            await send(message)

        await self._app(scope, receive, send_with_headers)
