"""How much of a request is read: never all of it, whatever a client sends."""

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support.raw_http import PATIENCE_SECONDS, Server, everything, exchange, send, statuses

MAIL_SERVER = "/api/20210901/system/mail/server"
LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
LONGEST_HEAD = 16 * 1024
MEGABYTE = 1024 * 1024


def put(token: str, *headers: str) -> bytes:
    lines = [
        f"PUT {MAIL_SERVER} HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {token}",
        "Content-Type: application/json",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def megabytes(number: int, chunked: bool) -> Iterator[bytes]:
    piece = b" " * MEGABYTE
    for _ in range(number):
        yield b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece


def resident_megabytes() -> int:
    """Memory of all processes that serve for this test process, at its highest."""
    children = Path("/proc/self/task").glob("*/children")
    pids = " ".join(path.read_text() for path in children).split()
    lines = [line for pid in pids for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
    return max(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024


@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "with its length"])
def test_a_hundred_megabytes_are_a_413_without_memory(server: Server, chunked: bool) -> None:
    """Case 5."""
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {100 * MEGABYTE}"
    before = resident_megabytes()
    with socket.create_connection(server.address, PATIENCE_SECONDS) as connection:
        connection.sendall(put(server.token, length))
        taken = send(connection, megabytes(100, chunked))
        answer = everything(connection)

    assert statuses(answer) in ([413], [])  # a client that still sends may lose the answer (RFC 9112 9.6)
    assert taken < 20 * MEGABYTE  # what fits the buffers of the system, and a megabyte
    assert resident_megabytes() - before < 20
    assert httpx.get(f"{server.url}/health/live").status_code == 200


def test_body_over_the_limit_is_the_apis_own_413(server: Server) -> None:
    """Case 5."""
    answer = exchange(
        server.address, put(server.token, "Transfer-Encoding: chunked"), b"10001\r\n%b" % (b" " * 65537)
    )

    assert statuses(answer) == [413]
    assert b'{"code":"PayloadTooLarge","message":' in answer


def test_chunk_extensions_without_end_are_cut_off(server: Server) -> None:
    with socket.create_connection(server.address, PATIENCE_SECONDS) as connection:
        connection.sendall(put(server.token, "Transfer-Encoding: chunked") + b"1;")
        taken = send(connection, (b"x" * MEGABYTE for _ in range(100)))
        answer = everything(connection)

    assert statuses(answer) in ([413], [])
    assert taken < 20 * MEGABYTE


def test_a_head_of_just_the_longest_length_is_read(server: Server) -> None:
    filler = b"X-Filler: " + b"x" * (LONGEST_HEAD - len(LIVE) - len(b"X-Filler: \r\n\r\n"))

    assert statuses(exchange(server.address, LIVE + filler + b"\r\n\r\n")) == [200]


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(b"X-Long: " + b"x" * LONGEST_HEAD + b"\r\n\r\n", id="one long field"),
        pytest.param(b"X-Long: " + b"x" * MEGABYTE, id="a megabyte without an end"),
        pytest.param(b"X: y\r\n" * 3000 + b"\r\n", id="a flood of fields"),
        pytest.param(b"X: y\r\n" * 100000, id="a flood without an end"),
        pytest.param(b"Authorization: Bearer " + b"x" * MEGABYTE + b"\r\n\r\n", id="a token of a megabyte"),
    ],
)
def test_a_head_that_is_too_long_is_a_431(server: Server, more: bytes) -> None:
    """Case 36, a megabyte for a token."""
    with socket.create_connection(server.address, PATIENCE_SECONDS) as connection:
        send(connection, [LIVE, more])
        answer = everything(connection)

    # A client that still sends when the connection is closed may lose the answer.
    assert statuses(answer) in ([431], []) if len(more) > MEGABYTE // 2 else [431]


def test_a_target_that_is_too_long_is_a_431(server: Server) -> None:
    assert statuses(exchange(server.address, b"GET /" + b"x" * LONGEST_HEAD + b" HTTP/1.1\r\n\r\n")) == [431]


def test_line_breaks_without_end_are_cut_off(server: Server) -> None:
    assert statuses(exchange(server.address, b"\r\n" * LONGEST_HEAD)) in ([], [431])


def test_fields_after_the_body_are_neither_believed_nor_kept(server: Server) -> None:
    """Case 36, credentials in a trailer."""
    chunked = b"Host: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n"
    begun = f"GET {MAIL_SERVER} HTTP/1.1\r\n".encode() + chunked

    known = exchange(server.address, begun + f"Authorization: Bearer {server.token}\r\n\r\n".encode())
    flood = exchange(server.address, begun + b"X: y\r\n" * 3000 + b"\r\n")

    assert statuses(known) == [401]
    assert statuses(flood) in ([401], [431])


def test_pipelined_requests_in_one_packet_are_limited(server: Server) -> None:
    before = resident_megabytes()
    exchange(server.address, b"GET / HTTP/1.1\r\n\r\n" * 200_000)

    assert resident_megabytes() - before < 20
