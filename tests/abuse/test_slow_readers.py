"""A client that stops reading is disconnected, and a slow client is not."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from support.raw_http import PATIENCE_SECONDS, Server, everything, statuses

BIG = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n"
LENGTH = 1_500_000  # of the answer, at least
RESPONSE_TIMEOUT_SECONDS = 2  # of the server
AT_ONCE = 20


@contextmanager
def narrow(server: Server, request: bytes) -> Iterator[socket.socket]:
    """A connection that accepts a few kilobytes until the test reads from it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(PATIENCE_SECONDS)
        connection.connect(server.address)
        connection.sendall(request)
        yield connection


def test_a_client_that_takes_nothing_is_hung_up_on(server: Server) -> None:
    # Several answers, as the buffers of the system hold more than one.
    before = len(server.output.read_text())
    with narrow(server, (BIG + b"\r\n") * AT_ONCE) as connection:
        _wait_for("Closed the connection of 127.0.0.1, which does not read its response", server, before)
        received = everything(connection)

    assert statuses(received)[0] == 200
    assert len(received) < AT_ONCE * LENGTH


def test_a_slow_but_steady_reader_gets_the_whole_response(server: Server) -> None:
    """Each answer takes longer than a client may that takes nothing."""
    begun = time.monotonic()
    received = bytearray()
    with narrow(server, (BIG + b"\r\n") * 2 + BIG + b"Connection: close\r\n\r\n") as connection:
        while piece := connection.recv(65536):
            received += piece
            due = begun + 1.5 * RESPONSE_TIMEOUT_SECONDS * len(received) / LENGTH
            time.sleep(max(0, due - time.monotonic()))

    assert statuses(bytes(received)) == [200] * 3
    assert len(received) > 3 * LENGTH


def _wait_for(line: str, server: Server, before: int) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while line not in server.output.read_text()[before:]:
        assert time.monotonic() < end
        time.sleep(0.05)
