"""Check the Host header (RFC 9112 3.2): exactly one, well formed, and an allowed name."""

import re
from collections.abc import Callable, Collection

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mailsettings.web.request_errors import HostNotAllowed

# A name or an address literal with an optional port (RFC 3986 3.2.2), without user info and percent-encoding, in
# which two parsers could read different hosts.
_HOST = re.compile(rb"([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.IGNORECASE)


class HostMiddleware:
    """Refuses requests for hosts that are not *allowed*; `*.example.org` stands for all names below example.org.

    So a client cannot inject a foreign host into URLs built from the header, and a browser cannot be led here
    under a foreign name (DNS rebinding). Starlette's TrustedHostMiddleware accepts a second Host header, and
    redirects.
    """

    def __init__(
        self,
        app: ASGIApp,
        allowed: Collection[str],
        refuse: Callable[[Scope, Exception], Response],
        exempt: str | None = None,
        token_path: str | None = None,
    ) -> None:
        self._app = app
        self._names = {name.lower() for name in allowed if not name.startswith("*.")}
        self._endings = tuple(name[1:].lower() for name in allowed if name.startswith("*."))
        self._any = not allowed
        self._refuse = refuse
        self._exempt = exempt
        self._token_path = token_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Process the request or refuse it.

        Paths that begin with *exempt* are served under any host name, and *token_path* also under the address that
        the client connected to: Prometheus gets its token at the replica that it scrapes.
        """
        if scope["type"] == "http" and not self._is_exempt(scope["path"]):
            values = [value for name, value in scope["headers"] if name == b"host"]
            problem = self._problem(values, scope)
            if problem:
                await self._refuse(scope, HostNotAllowed(problem))(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _is_exempt(self, path: str) -> bool:
        return self._exempt is not None and path.startswith(self._exempt)

    def _problem(self, values: list[bytes], scope: Scope) -> str | None:
        # RFC 9112 3.2: respond with 400 to a missing, repeated or invalid Host header.
        if len(values) != 1:
            return "Send exactly one Host header."
        match = _HOST.fullmatch(values[0])
        if match is None:
            return "The Host header must be a host name or an address, with or without a port."
        name = match[1].decode().lower()
        if not (self._any or self._is_ours(name) or self._is_address_of_tokens(name, scope)):
            return "The name in the Host header is not one of this service's allowed hosts."
        return None

    def _is_address_of_tokens(self, name: str, scope: Scope) -> bool:
        # A web page of another site has a name for its host: it cannot make a browser send an address here.
        local = scope.get("server")
        return scope["path"] == self._token_path and local is not None and name.strip("[]") == local[0]

    def _is_ours(self, name: str) -> bool:
        return name in self._names or name.endswith(self._endings)
