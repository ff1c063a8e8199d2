"""The HTTP client for requests to other services, against real servers."""

import asyncio
import logging
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest

from mailsettings.bootstrap.outgoing import create_connector, create_issuer_client, settings_egress
from mailsettings.network.http import MAX_BODY_BYTES, HTTPClient, RequestFailed, Response
from mailsettings.network.policy import Address, EgressPolicy
from mailsettings.network.tls import client_context
from mailsettings.settings import read

from support.canary import Canary, text_of
from support.connections import make_client
from support.smtp_server import listening
from support.timeouts import GUARD_SECONDS
from support.webhook_receiver import NAME, receiver_trust, webhook_receiver

HERE = [ip_address("127.0.0.1")]


@pytest.fixture(scope="module")
def tls() -> ssl.SSLContext:
    return receiver_trust()


@pytest.fixture
def client(tls: ssl.SSLContext) -> HTTPClient:
    return make_client(tls, resolve=lambda _host: HERE)


async def get(client: HTTPClient, url: str, seconds: float = GUARD_SECONDS) -> Response:
    return await client.request("GET", url, deadline=asyncio.get_running_loop().time() + seconds)


async def problem(client: HTTPClient, url: str, seconds: float = GUARD_SECONDS) -> str:
    with pytest.raises(RequestFailed) as failed:
        await get(client, url, seconds)
    return str(failed.value)


@asynccontextmanager
async def answering(*chunks: bytes, heard: list[bytes] | None = None) -> AsyncIterator[str]:
    """The URL of a server that sends these *chunks* and closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        if heard is not None:
            heard.append(request)
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()

    async with listening(serve) as port:
        yield f"http://127.0.0.1:{port}"


async def test_a_response_has_status_headers_and_body(client: HTTPClient) -> None:
    answer = b"HTTP/1.1 404 Not Found\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno"
    heard: list[bytes] = []
    async with answering(answer, heard=heard) as url:
        response = await get(client, f"{url}/a;b/c?d=e&f")

    assert (response.status_code, response.body, response.is_success) == (404, b"no", False)
    assert response.headers["retry-after"] == "7"
    assert heard[0].startswith(b"GET /a;b/c?d=e&f HTTP/1.1\r\nhost: 127.0.0.1:")


async def test_an_ipv6_address_keeps_its_brackets_in_host(client: HTTPClient) -> None:
    """RFC 3986 3.2.2; RFC 9110 7.2."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "::1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        await get(client, f"http://[::1]:{port}/")

    assert f"\r\nhost: [::1]:{port}\r\n".encode() in heard[0]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_returned_and_not_followed(client: HTTPClient, status: int) -> None:
    heard: list[bytes] = []
    async with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", heard=heard) as elsewhere:
        answer = f"HTTP/1.1 {status} Elsewhere\r\nLocation: {elsewhere}/\r\nContent-Length: 0\r\n\r\n"
        async with answering(answer.encode()) as url:
            response = await get(client, url)

    assert (response.status_code, heard) == (status, [])


async def test_proxies_of_the_environment_are_not_used(
    client: HTTPClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with webhook_receiver() as receiver, answering(b"HTTP/1.1 204 No Content\r\n\r\n") as url:
        plain = await get(client, url)
        receiver.answers = [b"HTTP/1.1 204 No Content\r\n\r\n"]
        encrypted = await client.request(
            "POST", receiver.url, content=b"{}", deadline=asyncio.get_running_loop().time() + GUARD_SECONDS
        )

    assert (plain.status_code, encrypted.status_code) == (204, 204)


async def test_a_body_may_be_as_long_as_the_limit(client: HTTPClient) -> None:
    head, body = b"HTTP/1.1 200 OK\r\n\r\n", b"x" * MAX_BODY_BYTES
    async with answering(head, body) as url:
        assert (await get(client, url)).body == body
    async with answering(head, body, b"x") as url:
        assert await problem(client, url) == f"the response is longer than {MAX_BODY_BYTES} bytes"


DAWDLING = {
    "silence": (b"", b""),
    "a slow head": (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
    "a slow body": (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    "endless hints": (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
}


@pytest.mark.parametrize(("before", "drop"), DAWDLING.values(), ids=DAWDLING.keys())
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_one_deadline_bounds_the_whole_request(
    tls: ssl.SSLContext, scheme: str, before: bytes, drop: bytes
) -> None:
    client = make_client(tls, resolve=lambda _host: HERE)
    done = asyncio.Event()

    async def dawdle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(before)
        while drop and not writer.is_closing():
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(0.02)
        await done.wait()

    async with asyncio.timeout(GUARD_SECONDS):
        if scheme == "http":
            async with listening(dawdle) as port:
                said = await problem(client, f"http://127.0.0.1:{port}/", 0.3)
        else:
            async with webhook_receiver(dawdle) as receiver:
                said = await problem(client, receiver.url, 0.3)
        done.set()

    assert said == "it took too long"


async def test_the_deadline_covers_look_up_and_handshake(tls: ssl.SSLContext) -> None:
    held = threading.Event()

    def resolve(_host: str) -> Sequence[Address]:
        held.wait(GUARD_SECONDS)
        return HERE

    with socket.create_server(("127.0.0.1", 0)) as deaf:  # takes connections and says nothing
        port = deaf.getsockname()[1]
        looked_up = await problem(make_client(tls, resolve=resolve), "https://slow.example/", 0.2)
        shaken = await problem(make_client(tls), f"https://127.0.0.1:{port}/", 0.2)
    held.set()

    assert (looked_up, shaken) == ("it took too long", "it took too long")


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_failed_request_leaves_no_task_and_no_socket(client: HTTPClient) -> None:
    before, open_before = asyncio.all_tasks(), open_files()
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"https://127.0.0.1:{deaf.getsockname()[1]}/"
        for _ in range(10):
            await problem(client, url, 0.05)
        async with asyncio.timeout(GUARD_SECONDS):
            while open_files() > open_before + 1:  # noqa: ASYNC110  # the event loop closes them
                await asyncio.sleep(0.01)

    assert asyncio.all_tasks() == before


async def test_a_name_that_changes_is_checked_at_each_connection(
    tls: ssl.SSLContext, connects: list[tuple[str, int]]
) -> None:
    answers = [HERE, [ip_address("169.254.169.254")]]
    client = make_client(tls, resolve=lambda _host: answers.pop(0))
    async with webhook_receiver() as receiver:
        deadline = asyncio.get_running_loop().time() + GUARD_SECONDS
        first = await client.request("POST", receiver.url, content=b"{}", deadline=deadline)
        second = await problem(client, receiver.url)

    assert (first.status_code, second) == (204, "its address is not allowed")
    assert {address for address, _ in connects} == {"127.0.0.1"}


async def test_one_closed_address_closes_the_host(tls: ssl.SSLContext, connects: list[tuple[str, int]]) -> None:
    both = [ip_address("127.0.0.1"), ip_address("169.254.169.254")]
    client = make_client(tls, resolve=lambda _host: both)

    assert await problem(client, f"https://{NAME}/") == "its address is not allowed"
    assert connects == []


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a..b.example/", "the host was not found"),
        ("https://127.0.0.1:99999/", "its URL is not valid"),
        ("https://\u2603.example/", "its URL is not valid"),
        ("http://127.0.0.1:1/a b", "the connection failed: refused"),
    ],
)
async def test_what_cannot_be_requested_is_a_failure(tls: ssl.SSLContext, url: str, expected: str) -> None:
    assert await problem(make_client(tls), url) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"SSH-2.0-canary\r\n", "the response is not valid HTTP"),
        (b"", "the response is not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"canary" * 50_000 + b"\r\n\r\n", "the response is not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncanary", "the response is not valid HTTP"),
    ],
    ids=["another protocol", "nothing", "a long header", "half a body"],
)
async def test_a_bad_response_is_not_repeated(client: HTTPClient, answer: bytes, expected: str) -> None:
    async with answering(answer) as url:
        assert await problem(client, url) == expected


async def test_a_failure_names_neither_url_nor_host(client: HTTPClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    canary = Canary(plain=True)
    async with webhook_receiver(name="other.example.org") as receiver:
        said = await problem(client, f"https://canary.example:{receiver.port}/{canary}")

    assert said == "TLS failed: Hostname mismatch"
    canary.assert_nowhere(said, *(text_of(record) for record in caplog.records))


async def test_a_failure_says_what_the_system_said(tls: ssl.SSLContext) -> None:
    def resolve(_host: str) -> Sequence[Address]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    not_found = await problem(make_client(tls, resolve=resolve), "https://slow.example/")
    async with listening(reset) as port:
        lost = await problem(make_client(tls), f"http://127.0.0.1:{port}/")

    assert not_found == "the host was not found: Temporary failure in name resolution"
    assert lost == "the connection was lost: Connection reset by peer"


def test_no_server_chooses_the_group_of_the_key_exchange() -> None:
    assert not [cipher for cipher in client_context().get_ciphers() if "DHE" in cipher["name"].split("-")]


async def test_services_in_the_settings_may_be_anywhere_but_here(
    monkeypatch: pytest.MonkeyPatch, connects: list[tuple[str, int]]
) -> None:
    """Not metadata servers, and not the service itself."""
    monkeypatch.setenv("MAILSETTINGS_PORT", "8123")
    client = create_issuer_client(read())
    closed = ["http://169.254.169.254/", "http://[fd00:ec2::254]/", "http://127.0.0.1:8123/", "http://[::1]:8123/"]

    assert {await problem(client, url) for url in closed} == {"its address is not allowed"}
    assert await problem(client, "http://127.0.0.1:1/") == "the connection failed: refused"
    assert [port for _, port in connects if port] == [1]


def test_an_allowed_network_opens_a_metadata_address(monkeypatch: pytest.MonkeyPatch) -> None:
    metadata, other = ip_address("169.254.169.254"), ip_address("169.254.169.253")
    before = settings_egress(read())
    monkeypatch.setenv("MAILSETTINGS_SMTP_ALLOWED_NETWORKS", f"{metadata}/32")
    after = settings_egress(read())

    assert not before.allows(metadata)
    assert after.allows(metadata)
    assert not after.allows(other)


def test_a_connector_loads_no_certificates_before_its_first_connection() -> None:
    """Commands that test nothing do not wait for the system's authorities to load."""
    assert create_connector(read(), EgressPolicy())._trust.cached.cache_info().misses == 0  # noqa: SLF001


async def test_a_target_with_a_space_is_not_sent(client: HTTPClient) -> None:
    async with answering(b"HTTP/1.1 200 OK\r\n\r\n") as url:
        assert await problem(client, f"{url}/a b") == "its URL is not valid"


def test_text_with_broken_bytes_can_be_read() -> None:
    assert (
        Response(200, {}, b"caf\xc3\xa9 \xff").text
        == "caf\N{LATIN SMALL LETTER E WITH ACUTE} \N{REPLACEMENT CHARACTER}"
    )


async def test_a_reached_host_gets_no_request(client: HTTPClient) -> None:
    heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        heard.set_result(await reader.read())

    async with listening(serve) as port:
        deadline = asyncio.get_running_loop().time() + GUARD_SECONDS
        await client.reach(f"http://127.0.0.1:{port}/path", deadline=deadline)
        assert await heard == b""


async def test_a_host_is_reached_only_with_its_certificate(client: HTTPClient) -> None:
    deadline = asyncio.get_running_loop().time() + GUARD_SECONDS
    async with webhook_receiver() as receiver:
        await client.reach(receiver.url, deadline=deadline)
        with pytest.raises(RequestFailed, match="TLS failed"):
            await client.reach(receiver.url.replace(NAME, "elsewhere.example"), deadline=deadline)
