"""Process the requests of every API and page: their ids, common response headers, and listeners.

Each listener, such as the access log, gets an `Exchange` when the response is over. It names the route by its
template, so that listeners need not keep what a client wrote into a path.
"""

import logging
import random
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mailsettings import logs
from mailsettings.domain.access import Principal
from mailsettings.web.auth import valid_address

REQUEST_ID_HEADER = "x-request-id"
HEALTH_PATH = "/health/"
# Plain enough for every log format and header; other ids are replaced, so that they cannot forge log lines.
_ACCEPTED_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# Browsers must not guess another media type (Fetch standard, section X-Content-Type-Options).
_ALWAYS = [(b"x-content-type-options", b"nosniff")]
# RFC 6797 7.2: over plain HTTP the header must not be sent.
_ALWAYS_OVER_HTTPS = [*_ALWAYS, (b"strict-transport-security", b"max-age=31536000")]


@dataclass(slots=True)
class Exchange:
    """A request and its outcome; `status` stays 0 without a response."""

    api: str
    scope: Scope
    request_id: str
    status: int = 0
    seconds: float = 0
    trace_id: str | None = None

    @property
    def method(self) -> str:
        """The method as the client sent it; any token is possible."""
        method: str = self.scope["method"]
        return method

    @property
    def path(self) -> str:
        """The path as the client sent it, still percent-encoded, without the query."""
        raw: bytes = self.scope["raw_path"]
        return raw.decode("latin-1")

    @property
    def operation(self) -> str | None:
        """The template of the route; None without a route, such as for an unknown path or a rejected caller."""
        route: Any = self.scope.get("route")
        return None if route is None else route.path

    @property
    def client(self) -> str | None:
        """The address of the client, as far as it is known; behind a trusted proxy the address in its header."""
        client = self.scope.get("client")
        return valid_address(client[0]) if client else None

    @property
    def is_passed_probe(self) -> bool:
        """Whether this is a request of a supervisor or a balancer for the health, and all is well."""
        return (self.operation or "").startswith(HEALTH_PATH) and self.status == HTTPStatus.OK

    @property
    def caller(self) -> str | None:
        """The name of the authenticated caller; None before the authentication."""
        principal: Principal | None = self.scope.get("principal")
        return None if principal is None else principal.name


ExchangeListener = Callable[[Exchange], None]


def no_trace() -> None:
    """Return no id, where no traces are sent."""


class ExchangeMiddleware:
    """Gives each request an id, and each listener the finished exchange.

    The id is taken from X-Request-ID or *id_header* if it is plain text. *trace_id* returns the current trace, if
    there is one. Pure ASGI: see `BearerAuthMiddleware`.
    """

    def __init__(
        self,
        app: ASGIApp,
        api: str,
        listeners: Sequence[ExchangeListener],
        id_header: str | None = None,
        trace_id: Callable[[], str | None] = no_trace,
    ) -> None:
        self._app = app
        self._api = api
        self._listeners = listeners
        self._trace_id = trace_id
        self._id_headers = [name.encode() for name in (id_header, REQUEST_ID_HEADER) if name]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Process the request, add the headers to the response, and call the listeners at the end."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        exchange = self._begin(scope)
        added = self._headers(exchange)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                exchange.trace_id = self._trace_id()  # the span ends before the listeners are called
                message["headers"] = [*message.get("headers", ()), *added]
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            # Also after an error or a disconnect, so that the log and the metrics have every request.
            exchange.seconds = time.perf_counter() - begun
            for listener in self._listeners:
                listener(exchange)

    def _begin(self, scope: Scope) -> Exchange:
        request_id = _sent_id(scope, self._id_headers) or f"{random.getrandbits(128):032x}"  # an id, no secret
        scope["request_id"] = request_id
        scope["api"] = self._api
        # Never reset: uvicorn logs an escaped exception after this middleware has returned, in the same task.
        logs.request_id.set(request_id)
        return Exchange(self._api, scope, request_id)

    def _headers(self, exchange: Exchange) -> list[tuple[bytes, bytes]]:
        request_id = exchange.request_id.encode()
        always = _ALWAYS_OVER_HTTPS if exchange.scope["scheme"] == "https" else _ALWAYS
        return [*always, *((name, request_id) for name in self._id_headers)]


def _sent_id(scope: Scope, names: Sequence[bytes]) -> str | None:
    """Return the first plain id, in the order of *names*."""
    sent = {name: value for name, value in scope["headers"] if name in names and _ACCEPTED_ID.fullmatch(value)}
    return next((sent[name].decode() for name in names if name in sent), None)


MAX_LOGGED_PATH_LENGTH = 500
"""Characters. Paths of unauthenticated callers are logged too, and may be thousands of characters long."""

_log = logging.getLogger("mailsettings.access")


def log_exchange(exchange: Exchange) -> None:
    """Log method, path, status and time as text, and the same and more as separate JSON members.

    Passed probes of the health come every few seconds, so their lines are only at the level debug.
    """
    level = logging.DEBUG if exchange.is_passed_probe else logging.INFO
    if not _log.isEnabledFor(level):
        return
    method, path = _printable(exchange.method), _printable(exchange.path[:MAX_LOGGED_PATH_LENGTH])
    milliseconds = round(exchange.seconds * 1000, 1)
    members = {
        "method": method,
        "path": path,  # without the query, where clients put tokens (RFC 6750 2.3)
        "route": exchange.operation,
        "status": exchange.status,
        "duration_ms": milliseconds,
        "api": exchange.api,
        "principal": exchange.caller,
        "client": exchange.client,
        **({} if exchange.trace_id is None else {"trace_id": exchange.trace_id}),
        "request_id": exchange.request_id,
    }
    logs.request_line(_log, level, f"{method} {path} {exchange.status} {milliseconds:.1f} ms", members)


def _printable(text: str) -> str:
    return text if text.isprintable() else ascii(text)
