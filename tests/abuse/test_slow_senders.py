"""Clients that send slowly or nothing are cut off and delay no other client."""

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import AsyncExitStack

import httpx
import pytest

from support.raw_http import PATIENCE_SECONDS, Server, everything, exchange, statuses, up_to

MAIL_SERVER = "/api/20210901/system/mail/server"
TOKEN = "/cxrestapi/auth/identity/connect/token"
HEAD = b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Slow: "
LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
LOGIN = f"POST {TOKEN} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n".encode()
LOGIN += b"Content-Length: 100\r\n\r\ngrant_type"
CROWD = 600


def begun_body(token: str) -> bytes:
    return (
        f"PUT {MAIL_SERVER} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        'Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"host'
    ).encode()


def test_an_unfinished_header_is_a_408(server: Server) -> None:
    assert statuses(exchange(server.address, HEAD)) == [408]


def test_unfinished_body_is_a_408_without_a_logged_error(server: Server) -> None:
    before = len(server.output.read_text())

    answer = exchange(server.address, begun_body(server.token))

    assert statuses(answer) == [408]
    assert "Traceback" not in server.output.read_text()[before:]


def test_client_that_disconnects_within_its_body_logs_no_error(server: Server) -> None:
    before = len(server.output.read_text())
    with socket.create_connection(server.address) as connection:
        connection.sendall(begun_body(server.token))

    assert httpx.get(f"{server.url}/health/live").status_code == 200
    assert wait_for(lambda: f"PUT {MAIL_SERVER} 400" in server.output.read_text()[before:])
    assert "Traceback" not in server.output.read_text()[before:]


def test_a_connection_that_says_nothing_is_closed(server: Server) -> None:
    assert exchange(server.address) == b""


def test_a_byte_now_and_then_buys_no_time(server: Server) -> None:
    with socket.create_connection(server.address, PATIENCE_SECONDS) as connection:
        connection.sendall(HEAD)
        begun = time.monotonic()
        while time.monotonic() - begun < PATIENCE_SECONDS:
            try:
                connection.sendall(b"x")
            except ConnectionError:
                break
            time.sleep(0.1)
        else:
            pytest.fail("the connection was never closed")


def test_line_breaks_before_request_do_not_extend_its_deadline(server: Server) -> None:
    with socket.create_connection(server.address, PATIENCE_SECONDS) as connection:
        connection.sendall(LIVE)
        assert statuses(up_to(connection, b'{"status":"live"}')) == [200]
        connection.sendall(b"\r\n")

        assert everything(connection) == b""


def test_an_unexpected_body_does_not_extend_a_deadline(server: Server) -> None:
    endless = f"GET {MAIL_SERVER} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".encode()

    assert statuses(exchange(server.address, endless)) == [401]


def test_second_request_on_a_connection_has_its_own_deadline(server: Server) -> None:
    with socket.create_connection(server.address, PATIENCE_SECONDS) as connection:
        for _ in range(3):
            connection.sendall(LIVE[:20])
            time.sleep(0.3)
            connection.sendall(LIVE[20:])
            assert statuses(up_to(connection, b'{"status":"live"}')) == [200]
        connection.sendall(HEAD)

        assert statuses(everything(connection)) == [408]


async def test_slow_connections_block_no_other_client_and_time_out(
    server: Server,
) -> None:
    async with AsyncExitStack() as stack:
        connections = []
        for number in range(CROWD):
            reader, writer = await asyncio.open_connection(*server.address)
            stack.callback(writer.close)
            writer.write([HEAD, LOGIN][number % 2])
            connections.append(reader)
        async with httpx.AsyncClient(base_url=server.url) as client:
            others = [(await client.get("/health/live")).status_code for _ in range(20)]
        still_slow = sum(not reader.at_eof() for reader in connections)
        async with asyncio.timeout(PATIENCE_SECONDS * 2):
            answers = await asyncio.gather(*(reader.read() for reader in connections))

    assert others == [200] * 20
    assert still_slow > 0
    assert {tuple(statuses(answer)) for answer in answers[0::2]} == {(408,)}
    assert {tuple(statuses(answer)) for answer in answers[1::2]} == {(408,), (429,)}  # beyond what one address may


def wait_for(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False
