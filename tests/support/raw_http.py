"""HTTP/1.1 by hand: bytes out, bytes in, as no client library would send them."""

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from support.timeouts import GUARD_SECONDS

PATIENCE_SECONDS = GUARD_SECONDS
"""How long an answer may take before a test calls it a hang."""


@dataclass(frozen=True)
class Server:
    """Where it listens, a token that may do everything, and the file with what it has said."""

    url: str
    token: str
    output: Path

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port


def exchange(address: tuple[str, int], *pieces: bytes) -> bytes:
    """All that comes back until the server closes the connection, which it has to."""
    with socket.create_connection(address, PATIENCE_SECONDS) as connection:
        send(connection, pieces)
        return everything(connection)


def send(connection: socket.socket, pieces: Iterable[bytes]) -> int:
    """Send until the server hangs up; how many bytes it took."""
    sent = 0
    try:
        for piece in pieces:
            connection.sendall(piece)
            sent += len(piece)
    except ConnectionError:
        pass
    return sent


def everything(connection: socket.socket) -> bytes:
    """Receive until the end of the connection. Raises `TimeoutError` if it does not end."""
    received = bytearray()
    try:
        while piece := connection.recv(65536):
            received += piece
    except ConnectionResetError:
        pass
    return bytes(received)


def up_to(connection: socket.socket, end: bytes) -> bytes:
    """Receive until the bytes end with *end*, on a connection that stays open."""
    received = bytearray()
    while not received.endswith(end):
        piece = connection.recv(65536)
        assert piece, bytes(received)
        received += piece
    return bytes(received)


def statuses(answers: bytes) -> list[int]:
    """The status of each answer in a row of them, none of which has a body like a status line."""
    return [int(part[:3]) for part in answers.split(b"HTTP/1.1 ")[1:]]
