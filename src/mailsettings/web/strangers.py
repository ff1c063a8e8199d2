"""How many requests of strangers are carried out at once: callers without a good access token, or before it."""

import logging

from starlette.types import ASGIApp, Receive, Scope, Send

from mailsettings.web.capacity import CAPACITY, Capacity
from mailsettings.web.seldom import SeldomLog

EXEMPT = "/health/"
"""Answered at once, and asked for by balancers that would take a refusal for a failure."""
_STRANGER = "stranger"
_BODY = b"Too many requests are being answered. Try again in 1 second."

_log = SeldomLog(logging.getLogger("mailsettings.connection"))


class StrangersGate:
    """Answers 429 to an address that has more than its share, 503 when all have too many.

    It is no API's, so that the answer is plain text. Where the server has put no capacity into the state, as in
    tests without a server, there is no limit.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the request until it is over, or until `now_known`."""
        capacity: Capacity | None = scope.get("state", {}).get(CAPACITY)
        if scope["type"] != "http" or capacity is None or scope["path"].startswith(EXEMPT):
            await self._app(scope, receive, send)
            return
        stranger = _Stranger(capacity, _address(scope))
        if not stranger.enter():
            await _refuse(503 if stranger.everything_is_taken() else 429, send)
            return
        scope[_STRANGER] = stranger
        try:
            await self._app(scope, receive, send)
        finally:
            stranger.leave()


def now_known(scope: Scope) -> None:
    """Count a request no more: its caller has shown a good access token."""
    stranger: _Stranger | None = scope.get(_STRANGER)
    if stranger is not None:
        stranger.authenticated()


class _Stranger:
    """One request; the address is that of the client, which a trusted proxy has told."""

    def __init__(self, capacity: Capacity, address: str | None) -> None:
        self._capacity = capacity
        self._pool = capacity.strangers
        self._address = address
        self._sharer = capacity.sharer(address)
        self._is_in = False

    def enter(self) -> bool:
        self._is_in = self._pool.take(self._sharer)
        if not self._is_in:
            _log.warning(
                "Refused a request from %s: %d of %d requests without authentication are being answered, "
                "%d of them from there.",
                self._address,
                self._pool.used,
                self._pool.most,
                self._pool.used_by(self._sharer),
            )
        return self._is_in

    def everything_is_taken(self) -> bool:
        return self._pool.is_full(self._sharer)

    def leave(self) -> None:
        if self._is_in:
            self._is_in = False
            self._pool.add(self._sharer, -1)

    def authenticated(self) -> None:
        self._capacity.remember(self._address)
        self.leave()


def _address(scope: Scope) -> str | None:
    client = scope.get("client")
    return client[0] if client else None


async def _refuse(status: int, send: Send) -> None:
    headers = {
        b"content-type": b"text/plain; charset=utf-8",
        b"content-length": str(len(_BODY)).encode(),
        b"retry-after": b"1",
        b"cache-control": b"no-store",
        b"connection": b"close",
        b"x-content-type-options": b"nosniff",
    }
    await send({"type": "http.response.start", "status": status, "headers": list(headers.items())})
    await send({"type": "http.response.body", "body": _BODY})
