"""One line in the log for each request: method, path, status, milliseconds. Never the query or a header."""

import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger("mailsettings.access")


class AccessLog:
    """Pure ASGI; adds nothing to a request when its level is switched off."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and tell of it when it is answered."""
        if scope["type"] != "http" or not _log.isEnabledFor(logging.INFO):
            await self._app(scope, receive, send)
            return
        status = 0
        begun = time.perf_counter()

        async def note_status(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        # The path is taken before it is rewritten, and without what follows the question mark.
        method, path = scope["method"], scope["path"]
        try:
            await self._app(scope, receive, note_status)
        finally:
            milliseconds = round((time.perf_counter() - begun) * 1000)
            _log.info("%s %s %d %d ms", method, _one_line(path), status, milliseconds)


def _one_line(path: str) -> str:
    return path if path.isprintable() else ascii(path)
