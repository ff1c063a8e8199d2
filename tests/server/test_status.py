"""The status listener: health and metrics without a token, also while the database is away."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

import pytest

from mailsettings.domain.errors import StoreUnavailable
from mailsettings.domain.listening import ListenAddress
from mailsettings.server.status import AddressTaken, Status, listening_socket, require_free, serve_status

from support.processes import free_port
from support.timeouts import GUARD_SECONDS


async def metrics() -> bytes:
    return b"mailsettings_build_info 1\n"


async def ready() -> None:
    pass


async def away() -> None:
    raise StoreUnavailable


STATUS = Status(ready, metrics)


@dataclass
class Answer:
    status: int
    fields: list[str]
    body: bytes


@asynccontextmanager
async def listening(status: Status, timeout_seconds: float = GUARD_SECONDS) -> AsyncIterator[ListenAddress]:
    address = ListenAddress("127.0.0.1", free_port())
    task = asyncio.create_task(serve_status(address, status, timeout_seconds))
    try:
        yield address
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def exchange(address: ListenAddress, request: bytes) -> bytes:
    """All that comes back; the listener may not be there yet."""
    async with asyncio.timeout(GUARD_SECONDS):
        while True:
            try:
                reader, writer = await asyncio.open_connection(address.host, address.port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.01)
                continue
            writer.write(request)
            try:
                return await reader.read()
            except ConnectionResetError:  # it closed with bytes that it had not read
                return b""
            finally:
                writer.close()


async def get(address: ListenAddress, path: str, method: str = "GET") -> Answer:
    raw = await exchange(address, f"{method} {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *fields = head.decode().split("\r\n")
    return Answer(int(first.split()[1]), fields, body)


async def test_health_and_metrics_need_no_token() -> None:
    async with listening(STATUS) as address:
        live, is_ready, told = [
            await get(address, path) for path in ("/health/live", "/health/ready", "/metrics?x=1")
        ]

    assert (live.status, json.loads(live.body)) == (200, {"status": "live"})
    assert (is_ready.status, json.loads(is_ready.body)) == (200, {"status": "ready"})
    assert (told.status, told.body) == (200, b"mailsettings_build_info 1\n")
    assert "content-type: text/plain; version=0.0.4; charset=utf-8" in told.fields


async def test_metrics_and_liveness_continue_without_the_database() -> None:
    async with listening(replace(STATUS, ready=away)) as address:
        answers = {path: await get(address, path) for path in ("/health/live", "/metrics", "/health/ready")}

    assert {path: answer.status for path, answer in answers.items()} == {
        "/health/live": 200,
        "/metrics": 200,
        "/health/ready": 503,
    }
    assert "retry-after: 5" in answers["/health/ready"].fields


async def test_a_draining_process_is_live_and_not_ready() -> None:
    async with listening(replace(STATUS, is_draining=lambda: True)) as address:
        live, is_ready = await get(address, "/health/live"), await get(address, "/health/ready")

    assert (live.status, is_ready.status) == (200, 503)


async def test_only_three_paths_exist_and_only_for_reading() -> None:
    async with listening(STATUS) as address:
        unknown = await get(address, "/v1/mail-servers")
        posted = await get(address, "/metrics", "POST")
        head = await get(address, "/metrics", "HEAD")

    assert (unknown.status, posted.status) == (404, 405)
    assert "allow: GET, HEAD" in posted.fields
    assert (head.status, head.body) == (200, b"")  # RFC 9110 9.3.2
    assert "content-length: 26" in head.fields


@pytest.mark.parametrize(
    "request_bytes", [b"GET /metrics HTTP/1.1\r\n" + b"y" * 20_000, b"\r\n\r\n", b"\0\r\n\r\n"]
)
async def test_malformed_requests_end_their_connection_only(request_bytes: bytes) -> None:
    async with listening(STATUS) as address:
        await exchange(address, request_bytes)

        assert (await get(address, "/health/live")).status == 200


async def test_a_silent_client_is_disconnected() -> None:
    async with listening(STATUS, timeout_seconds=0.05) as address:
        assert await exchange(address, b"GET /metr") == b""


async def test_a_second_process_takes_over_the_address() -> None:
    async with listening(STATUS) as address:
        await get(address, "/health/live")
        draining = replace(STATUS, is_draining=lambda: True)
        other = asyncio.create_task(serve_status(address, draining, retry_seconds=0.05))
        assert (await get(address, "/health/ready")).status == 200

    answer = await get(address, "/health/ready")
    other.cancel()

    assert answer.status == 503


def test_a_taken_address_is_named_before_the_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = ListenAddress("127.0.0.1", taken.getsockname()[1])

        with pytest.raises(AddressTaken) as named:
            require_free(address)

    assert str(named.value) == f"Cannot listen on {address}: Address already in use."


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this system has no sockets for both families")
def test_the_ipv6_wildcard_serves_ipv4_too() -> None:
    address = ListenAddress("::", free_port())
    with listening_socket(address), socket.create_connection(("127.0.0.1", address.port), GUARD_SECONDS):
        pass
