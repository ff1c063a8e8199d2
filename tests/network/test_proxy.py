"""Requests through the operator's proxy: a tunnel for `https`, the policy for known addresses, no environment."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

import pytest
import trustme

from mailsettings.bootstrap.outgoing import create_collector_client, create_issuer_client
from mailsettings.network.guard import HostLookup
from mailsettings.network.http import GuardedNetwork, HTTPClient, ProxyRoute, RequestFailed
from mailsettings.network.policy import Address
from mailsettings.network.proxy import ProxyNetwork, proxy_of
from mailsettings.settings import SettingsInvalid, read

from support.connections import make_client, make_network
from support.openid_issuer import OpenIDIssuer
from support.smtp_server import listening
from support.timeouts import GUARD_SECONDS
from support.webhook_receiver import NAME, receiver_trust, webhook_receiver

Resolve = Callable[[str], Sequence[Address]]


@dataclass
class Proxy:
    """A proxy that tunnels to *target* whatever name it is asked for, or refuses with *status*."""

    target: int
    status: bytes = b"200 OK"
    heads: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 " + self.status + b"\r\n\r\n")
        await writer.drain()
        if self.status.startswith(b"200"):
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
            try:
                await asyncio.gather(_pass(reader, back), _pass(there, writer))
            finally:  # also when the test is over first
                back.transport.abort()
                writer.transport.abort()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):  # the client ends a connection without a farewell
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    writer.close()


def client_through(port: int, resolve: Resolve, *, closed: frozenset[Address] = frozenset()) -> HTTPClient:
    async def is_allowed(address: Address, _port: int) -> bool:
        return address not in closed

    route = ProxyRoute(proxy_of(f"http://user:pass%20word@127.0.0.1:{port}"), ProxyNetwork(make_network()))
    return HTTPClient(GuardedNetwork(HostLookup(resolve), is_allowed, route), receiver_trust())


def unknown(_host: str) -> Sequence[Address]:
    raise OSError(-2, "Name or service not known")


def at(address: str) -> Resolve:
    return lambda _host: [ip_address(address)]


async def post(client: HTTPClient, url: str) -> int:
    deadline = asyncio.get_running_loop().time() + GUARD_SECONDS
    return (await client.request("POST", url, content=b"{}", deadline=deadline, max_body_bytes=0)).status_code


@asynccontextmanager
async def proxied(status: bytes = b"200 OK") -> AsyncIterator[tuple[Proxy, int, str]]:
    """A proxy, its port, and the address of a receiver behind it."""
    async with webhook_receiver() as receiver:
        proxy = Proxy(receiver.port, status)
        async with listening(proxy.serve) as port:
            yield proxy, port, receiver.url


@pytest.mark.parametrize("resolve", [unknown, at("192.0.2.1")], ids=["unknown here", "known here"])
async def test_a_request_goes_through_the_tunnel(resolve: Resolve) -> None:
    async with proxied() as (proxy, port, url):
        status = await post(client_through(port, resolve), url)

    assert 200 <= status < 300
    assert proxy.heads[0].startswith(f"CONNECT {NAME}:".encode())
    credentials = base64.b64encode(b"user:pass word")
    assert b"proxy-authorization: basic " + credentials.lower() in proxy.heads[0].lower()


async def test_a_closed_address_stays_closed_behind_a_proxy() -> None:
    """RFC 6890: the addresses of metadata servers are link-local."""
    metadata = ip_address("169.254.169.254")
    async with proxied() as (proxy, port, url):
        client = client_through(port, lambda _host: [metadata], closed=frozenset({metadata}))
        with pytest.raises(RequestFailed, match="its address is not allowed"):
            await post(client, url)

    assert proxy.heads == []


async def test_a_refusal_of_the_proxy_is_its_status_alone() -> None:
    async with proxied(b"407 canary-words") as (_, port, url):
        with pytest.raises(RequestFailed) as failed:
            await post(client_through(port, unknown), url)

    assert str(failed.value) == "the proxy refused with the status 407"


async def test_a_proxy_that_is_away_is_named() -> None:
    client = client_through(1, unknown)
    deadline = asyncio.get_running_loop().time() + GUARD_SECONDS
    for attempt in (
        post(client, "https://hooks.example.org/"),
        client.reach("https://a.example", deadline=deadline),
    ):
        with pytest.raises(RequestFailed, match="the proxy cannot be reached: the connection failed: refused"):
            await attempt


async def test_a_proxy_is_reached_without_a_request() -> None:
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        heard.set_result(await reader.read())

    async with listening(serve) as port:
        deadline = asyncio.get_running_loop().time() + GUARD_SECONDS
        await client_through(port, unknown).reach("https://hooks.example.org/", deadline=deadline)
        assert await heard == b""


async def test_the_environment_chooses_no_proxy(monkeypatch: pytest.MonkeyPatch, tls: ssl.SSLContext) -> None:
    async with webhook_receiver() as receiver:
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:1")
        client = make_client(tls, resolve=at("127.0.0.1"))

        assert 200 <= await post(client, receiver.url) < 300


@pytest.fixture
def tls() -> ssl.SSLContext:
    return receiver_trust()


@pytest.mark.parametrize("url", ["https://proxy:3128", "http://proxy", "proxy:3128", "http://p:1/x", "http://p:x"])
def test_another_kind_of_proxy_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("MAILSETTINGS_OUTGOING_PROXY", url)
    with pytest.raises(SettingsInvalid, match="MAILSETTINGS_OUTGOING_PROXY is not valid"):
        read()


async def test_one_file_has_the_authorities_for_all_requests(
    monkeypatch: pytest.MonkeyPatch, tls_issuer: tuple[OpenIDIssuer, Path], tmp_path: Path
) -> None:
    """The more special setting has precedence."""
    issuer, ca_file = tls_issuer
    monkeypatch.setenv("MAILSETTINGS_OUTGOING_CA_FILE", str(ca_file))
    monkeypatch.setenv("MAILSETTINGS_SMTP_ALLOWED_NETWORKS", "127.0.0.0/8")
    deadline = asyncio.get_running_loop().time() + GUARD_SECONDS
    await create_issuer_client(read()).reach(issuer.url, deadline=deadline)
    await create_collector_client(read()).reach(issuer.url, deadline=deadline)
    (tmp_path / "other.pem").write_bytes(trustme.CA().cert_pem.bytes())

    with pytest.raises(RequestFailed, match="TLS failed"):
        await create_issuer_client(read(), tmp_path / "other.pem").reach(issuer.url, deadline=deadline)
    monkeypatch.setenv("MAILSETTINGS_OUTGOING_CA_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(SettingsInvalid, match="MAILSETTINGS_OUTGOING_CA_FILE is not a readable file"):
        create_issuer_client(read())
