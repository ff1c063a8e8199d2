"""Limit concurrent requests: of each principal, and of callers without a valid access token."""

import logging
from collections import Counter

from starlette.types import ASGIApp, Receive, Scope, Send

from mailsettings.logs import RateLimitedLog
from mailsettings.server.capacity import CAPACITY_STATE_KEY, Capacity
from mailsettings.web.request_errors import TooManyRequests


class ConcurrentRequests:
    """Counts requests in this process, for all APIs together; *limit* is that of each principal."""

    def __init__(self, limit: int = 32) -> None:
        self._limit = limit
        self._running: Counter[str] = Counter()

    def enter(self, name: str) -> None:
        """Count one more request of *name*. Raises `TooManyRequests`."""
        if self._running[name] >= self._limit:
            raise TooManyRequests
        self._running[name] += 1

    def leave(self, name: str) -> None:
        """Count one request of *name* less."""
        self._running[name] -= 1
        if not self._running[name]:
            del self._running[name]


HEALTH_PREFIX = "/health/"
"""Health checks are cheap, and a load balancer would take a refusal for a failure."""
_SCOPE_KEY = "stranger"
_BODY = b"Too many requests are in progress. Try again in 1 second."

_log = RateLimitedLog(logging.getLogger("mailsettings.connection"))


class UnauthenticatedLimitMiddleware:
    """Answers 429 to an address with too many requests, and 503 when all addresses together have too many.

    It belongs to no API, so the response is plain text. Without a `Capacity` in the state, such as in tests
    without a server, there is no limit.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the request until its end, or until `mark_authenticated`."""
        capacity: Capacity | None = scope.get("state", {}).get(CAPACITY_STATE_KEY)
        if scope["type"] != "http" or capacity is None or scope["path"].startswith(HEALTH_PREFIX):
            await self._app(scope, receive, send)
            return
        unauthenticated = _UnauthenticatedRequest(capacity, _client_address(scope))
        if not unauthenticated.enter():
            await _refuse(503 if unauthenticated.is_pool_full() else 429, send)
            return
        scope[_SCOPE_KEY] = unauthenticated
        try:
            await self._app(scope, receive, send)
        finally:
            unauthenticated.leave()


def mark_authenticated(scope: Scope) -> None:
    """Stop counting a request: its caller has shown a valid access token."""
    unauthenticated: _UnauthenticatedRequest | None = scope.get(_SCOPE_KEY)
    if unauthenticated is not None:
        unauthenticated.authenticated()


class _UnauthenticatedRequest:
    """One request; the address is the client's, as a trusted proxy reports it."""

    def __init__(self, capacity: Capacity, address: str | None) -> None:
        self._capacity = capacity
        self._pool = capacity.unauthenticated
        self._address = address
        self._client_key = capacity.client_key(address)
        self._is_counted = False

    def enter(self) -> bool:
        # Counted first, since verifying passwords and tokens is the costly part of such requests.
        self._is_counted = self._pool.take(self._client_key)
        if not self._is_counted:
            _log.warning(
                "Refused a request from %s: %d of %d unauthenticated requests are in progress, "
                "%d of them from this address.",
                self._address,
                self._pool.used,
                self._pool.limit,
                self._pool.used_by(self._client_key),
            )
        return self._is_counted

    def is_pool_full(self) -> bool:
        return self._pool.is_full(self._client_key)

    def leave(self) -> None:
        if self._is_counted:
            self._is_counted = False
            self._pool.add(self._client_key, -1)

    def authenticated(self) -> None:
        self._capacity.remember(self._address)
        self.leave()


def _client_address(scope: Scope) -> str | None:
    client = scope.get("client")
    return client[0] if client else None


async def _refuse(status: int, send: Send) -> None:
    headers = {
        b"content-type": b"text/plain; charset=utf-8",
        b"content-length": str(len(_BODY)).encode(),
        b"retry-after": b"1",
        b"cache-control": b"no-store",
        b"connection": b"close",  # a refused client gives its connection back
        b"x-content-type-options": b"nosniff",
    }
    await send({"type": "http.response.start", "status": status, "headers": list(headers.items())})
    await send({"type": "http.response.body", "body": _BODY})
