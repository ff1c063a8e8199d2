"""An id for each request, and one line in the log: method, path, status, time. Never the query or a header."""

import logging
import re
import time
import uuid

from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID = b"x-request-id"
_TAKEN = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_log = logging.getLogger("mailsettings.access")


class AccessLog:
    """Pure ASGI. The id is the caller's own, if it sent a plain one, and is sent back."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and tell of it when it is answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope["request_id"] = request_id.decode()
        status = 0
        begun = time.perf_counter()

        async def add_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (REQUEST_ID, request_id)]
            await send(message)

        # The path is taken before it is rewritten, and without what follows the question mark.
        method, path = scope["method"], scope["path"]
        try:
            await self._app(scope, receive, add_id)
        finally:
            if _log.isEnabledFor(logging.INFO):
                _tell(f"{method} {_one_line(path)} {status}", begun, scope["request_id"])


def _request_id(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == REQUEST_ID and _TAKEN.fullmatch(value):
            return bytes(value)
    return uuid.uuid4().hex.encode()


def _tell(what: str, begun: float, request_id: str) -> None:
    milliseconds = round((time.perf_counter() - begun) * 1000)
    _log.info("%s %d ms", what, milliseconds, extra={"request_id": request_id})


def _one_line(path: str) -> str:
    return path if path.isprintable() else ascii(path)
