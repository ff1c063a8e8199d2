"""Authenticate callers by a bearer token, before anything else of the request is read (RFC 6750)."""

import time
from collections.abc import Callable, Collection
from functools import lru_cache
from ipaddress import ip_address

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mailsettings.domain.access import Moment, Origin, Principal
from mailsettings.domain.errors import MailSettingsError, NotAuthenticated
from mailsettings.server.connection import ARRIVED_SCOPE_KEY
from mailsettings.use_cases.login import Authenticator
from mailsettings.web.concurrency import ConcurrentRequests, mark_authenticated
from mailsettings.web.request_errors import RequestError, SeveralCredentials


class BearerAuthMiddleware:
    """Requires a valid token, except on *public_paths*, and limits the concurrent requests of each principal.

    It runs before the router, so that unauthenticated callers learn nothing from unknown paths, wrong methods and
    malformed bodies. Pure ASGI: Starlette's BaseHTTPMiddleware costs half the throughput of a small response.
    """

    def __init__(
        self,
        app: ASGIApp,
        authentication: Authenticator,
        public_paths: Collection[str],
        refuse: Callable[[Scope, Exception], Response],
        concurrent_requests: ConcurrentRequests,
    ) -> None:
        self._app = app
        self._authentication = authentication
        self._public_paths = public_paths
        self._refuse = refuse
        self._concurrent_requests = concurrent_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Put the principal into the scope and process the request, or refuse it."""
        if scope["type"] != "http" or scope["path"] in self._public_paths:
            await self._app(scope, receive, send)
            return
        try:
            moment = Moment(scope.get(ARRIVED_SCOPE_KEY) or time.perf_counter())
            principal = await self._authentication.by_token(_bearer_token(scope), origin_of(scope), moment)
            # From here the limit of the principal applies instead of the limit of unauthenticated requests.
            mark_authenticated(scope)
            self._concurrent_requests.enter(principal.name)
        except (MailSettingsError, RequestError) as refusal:
            # The body stays unread: the server discards it or closes the connection.
            await self._refuse(scope, refusal)(scope, receive, send)
            return
        scope["principal"] = principal
        try:
            await self._app(scope, receive, send)
        finally:
            self._concurrent_requests.leave(principal.name)


class FixedCallerMiddleware:
    """Makes every request that of one principal: for a program that calls an API in its own process."""

    def __init__(self, app: ASGIApp, caller: Principal) -> None:
        self._app = app
        self._caller = caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Put the principal into the scope and process the request."""
        scope["principal"] = self._caller
        await self._app(scope, receive, send)


def origin_of(scope: Scope) -> Origin:
    """Return where a request came from, with the id from `ExchangeMiddleware`."""
    client = scope.get("client")
    return Origin(valid_address(client[0]) if client else None, scope.get("request_id"), scope.get("api"))


@lru_cache(1024)
def valid_address(text: str) -> str | None:
    """Return *text* if it is an address: a trusted proxy may pass on any text."""
    try:
        return str(ip_address(text))
    except ValueError:
        return None


def current_principal(request: HTTPConnection) -> Principal:
    """Return the principal that `BearerAuthMiddleware` has authenticated."""
    principal: Principal = request.scope["principal"]
    return principal


def _bearer_token(scope: Scope) -> str:
    values: list[bytes] = [value for name, value in scope["headers"] if name == b"authorization"]
    # RFC 6750 3.1: several credentials are an invalid_request; a proxy might have checked a different one.
    if len(values) > 1:
        raise SeveralCredentials
    if not values:
        raise NotAuthenticated("Send an access token: Authorization: Bearer <token>.", presented=False)
    scheme, _, token = values[0].decode("latin-1").partition(" ")
    # The scheme is case-insensitive (RFC 9110 11.1); a token is ASCII (RFC 6750 2.1, b64token).
    token = token.strip()
    if scheme.lower() != "bearer" or not token or not token.isascii():
        raise NotAuthenticated("The Authorization header must be: Bearer <token>.", presented=bool(token))
    return token
