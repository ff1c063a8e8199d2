"""The HTTP client for requests to other services: the OpenID Connect issuer, the token authority, the webhook.

Unlike httpx, httpcore follows no redirects, keeps no cookies and reads no proxies from the environment. This
module adds what httpcore lacks: the egress policy, one deadline for the whole request and a limit for the body.
"""

import asyncio
import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit

import httpcore

from mailsettings import __version__
from mailsettings.network.connect import HappyEyeballs, IsAllowed, NotConnected
from mailsettings.network.guard import HostLookup
from mailsettings.network.policy import Address

MAX_BODY_BYTES = 256 * 1024
HTTPS_PORT = 443
_HEADERS = {"user-agent": f"mailsettings/{__version__}", "accept-encoding": "identity"}


class RequestFailed(Exception):
    """There is no response; `str()` says why, without the address and without anything that the peer sent."""


@dataclass(frozen=True, slots=True)
class Response:
    """A response; the names in `headers` are lower-case. MSAL reads it too."""

    status_code: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """Return the body as text."""
        return self.body.decode(errors="replace")

    @property
    def is_success(self) -> bool:
        """Return whether the status is of the class 2xx (RFC 9110 15.3)."""
        return HTTPStatus.OK <= self.status_code < HTTPStatus.MULTIPLE_CHOICES


class HTTPClient:
    """Sends requests over *network*; *tls* verifies the hosts."""

    def __init__(self, network: "GuardedNetwork", tls: ssl.SSLContext) -> None:
        self._network = network
        self._tls = tls

    async def _pool(self, to: httpcore.URL) -> httpcore.AsyncConnectionPool:
        """Return a pool for one request: the next one looks the host up and checks its addresses again."""
        through = self._network.through
        if through is None or to.scheme != b"https":  # plain HTTP is for loopback alone
            return httpcore.AsyncConnectionPool(self._tls, network_backend=self._network)
        await self._network.require_allowed(to.host.decode(), to.port or HTTPS_PORT)
        return httpcore.AsyncConnectionPool(self._tls, proxy=through.proxy, network_backend=through.network)

    async def request(  # noqa: PLR0913  # a request has as many parts
        self,
        method: str,
        url: str,
        *,
        deadline: float,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> Response:
        """Return the response to one request, before *deadline* of the event loop's clock.

        Redirects are responses like any other. With *max_body_bytes* 0 no body is read. Raises `RequestFailed`.
        """
        with _failures():
            async with asyncio.timeout_at(deadline):
                return await self._send(method, url, {**_HEADERS, **(headers or {})}, content, max_body_bytes)

    async def reach(self, url: str, *, deadline: float) -> None:
        """Connect to the host of *url*, with TLS for `https`, and send nothing. Raises `RequestFailed`."""
        _, to = _parsed(url)
        is_encrypted, host = to.scheme == b"https", to.host.decode()
        if is_encrypted and (through := self._network.through) is not None:
            await self._reach_proxy(through, deadline)
            return
        with _failures():
            async with asyncio.timeout_at(deadline):
                stream = await self._network.connect_tcp(host, to.port or (HTTPS_PORT if is_encrypted else 80))
                try:
                    if is_encrypted:
                        await stream.start_tls(self._tls, host)
                finally:
                    await stream.aclose()

    @staticmethod
    async def _reach_proxy(through: "ProxyRoute", deadline: float) -> None:
        place = through.proxy.url
        with _failures():
            async with asyncio.timeout_at(deadline):
                await (await through.network.connect_tcp(place.host.decode(), place.port or 80)).aclose()

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, max_body_bytes: int
    ) -> Response:
        host, to = _parsed(url)
        every_header = [("host", host), *headers.items()]
        async with (
            await self._pool(to) as pool,
            pool.stream(method, to, headers=every_header, content=content) as response,
        ):
            body = await _read(response, max_body_bytes) if max_body_bytes else b""
            named = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            return Response(response.status, named, body)


@contextmanager
def _failures() -> Iterator[None]:
    """Turn what can go wrong into `RequestFailed`."""
    try:
        yield
    except TimeoutError as error:
        raise RequestFailed("it took too long") from error
    except ssl.SSLError as error:
        raise RequestFailed(f"TLS failed: {_tls_reason(error)}") from error
    except OSError as error:
        raise RequestFailed(f"the connection was lost{_system_reason(error)}") from error
    except httpcore.ProxyError as error:
        status = str(error)[:3]  # not the words of the proxy
        raise RequestFailed(f"the proxy refused with the status {status if status.isdigit() else '?'}") from error
    except httpcore.LocalProtocolError as error:
        raise RequestFailed("its URL is not valid") from error
    except httpcore.ProtocolError as error:
        raise RequestFailed("the response is not valid HTTP") from error


def _parsed(url: str) -> tuple[str, httpcore.URL]:
    """Return the Host header for *url*, which httpcore gets wrong for IPv6 addresses, and its parts."""
    try:
        parts = urlsplit(url)
        target = f"{parts.path or '/'}?{parts.query}".removesuffix("?")
        to = httpcore.URL(scheme=parts.scheme, host=parts.hostname or "", port=parts.port, target=target)
    except (ValueError, TypeError) as error:
        raise RequestFailed("its URL is not valid") from error
    return parts.netloc.rpartition("@")[2], to


async def _read(response: httpcore.Response, max_bytes: int) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_stream():
        body += chunk
        if len(body) > max_bytes:
            raise RequestFailed(f"the response is longer than {max_bytes} bytes")
    return bytes(body)


@dataclass(frozen=True, slots=True)
class ProxyRoute:
    """A proxy, and the network that connects to it."""

    proxy: httpcore.Proxy = field(repr=False)
    network: httpcore.AsyncNetworkBackend


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to addresses that *is_allowed* accepts.

    A host is looked up once for each connection, so that no other address takes the place of a checked address.
    """

    def __init__(self, lookup: HostLookup, is_allowed: IsAllowed, through: "ProxyRoute | None" = None) -> None:
        self._lookup = lookup
        self._is_allowed = is_allowed
        self.through = through
        """The proxy for `https` requests, if any."""

    async def require_allowed(self, host: str, port: int) -> None:
        """Raise `RequestFailed` for a closed address; a host that is unknown here is left to the proxy."""
        try:
            addresses = await self._lookup.addresses(host)
        except (OSError, UnicodeError):
            return
        await self._require_open(addresses, port)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109, ARG002  # httpcore's interface; the deadline is the request's
        local_address: str | None = None,  # noqa: ARG002  # httpcore's interface
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002  # httpcore's interface
    ) -> httpcore.AsyncNetworkStream:
        """Return a connection to the first address of *host* that accepts it."""
        try:
            addresses = await self._lookup.addresses(host)
        except (OSError, UnicodeError) as error:
            raise RequestFailed(f"the host was not found{_system_reason(error)}") from error
        await self._require_open(addresses, port)
        try:
            sock = await HappyEyeballs(addresses, port, self._is_allowed).connect()
        except NotConnected as error:
            problems = ", ".join(sorted({attempt.problem for attempt in error.attempts if attempt.problem}))
            raise RequestFailed(f"the connection failed: {problems}") from error
        return _Stream(*await asyncio.open_connection(sock=sock))

    async def _require_open(self, addresses: Sequence[Address], port: int) -> None:
        # One closed address closes the host, as in a connection test.
        if not addresses or not all([await self._is_allowed(address, port) for address in addresses]):
            raise RequestFailed("its address is not allowed")


class _Stream(httpcore.AsyncNetworkStream):
    """A connection. The request's deadline ends each wait, so that httpcore's own timeouts are not used."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109, ARG002
        return await self._reader.read(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109, ARG002
        self._writer.write(buffer)
        await self._writer.drain()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109, ARG002
    ) -> httpcore.AsyncNetworkStream:
        try:
            await self._writer.start_tls(ssl_context, server_hostname=server_hostname)
        except BaseException:  # a deadline too
            await self.aclose()
            raise
        return self

    async def aclose(self) -> None:
        # Not `close`, which over TLS waits up to half a minute for the peer's farewell.
        self._writer.transport.abort()


def _system_reason(error: Exception) -> str:
    """Return what the system says, which names no address. httpcore cuts off causes, so the text has them."""
    return f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""


def _tls_reason(error: ssl.SSLError) -> str:
    """Return OpenSSL's reason without the name of the host, which follows a comma."""
    reason: str = getattr(error, "verify_message", None) or error.reason or type(error).__name__
    return reason.partition(",")[0]
