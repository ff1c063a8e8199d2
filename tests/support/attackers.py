"""What strangers can do to a server by many connections at once, and what it costs the server.

Every attack comes from one address or, by the addresses of the loopback network, from as many as it has
connections. All of them are held until the block ends.
"""

import resource
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.raw_http import PATIENCE_SECONDS

BODY = 64 * 1024
_HOST = b"HTTP/1.1\r\nHost: x\r\n"
_LOGIN = b"POST /cxrestapi/auth/identity/connect/token " + _HOST
_FORM = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n" % BODY


@dataclass(frozen=True)
class Attack:
    """What each connection sends, before it waits without reading."""

    sent: bytes
    connections: int


ATTACKS: Mapping[str, Attack] = {
    "silent connections": Attack(b"", 3000),
    "headers without an end": Attack(b"GET / " + _HOST + b"X: " + b"x" * 15_000, 3000),
    "bodies without an end": Attack(_LOGIN + _FORM + b"x" * (BODY - 1), 3000),
    "refused bodies without an end": Attack(b"PUT /api/20210901/system/mail/server " + _HOST + _FORM, 3000),
    "answered bodies": Attack(
        b"PUT /api/20210901/system/mail/server " + _HOST + b"Content-Length: %d\r\n\r\n" % BODY + b"x" * BODY, 3000
    ),
    "unread files": Attack(b"GET /docs/swagger-ui-bundle.js " + _HOST + b"\r\n", 1000),
    "unread files, ten in a row": Attack((b"GET /docs/swagger-ui-bundle.js " + _HOST + b"\r\n") * 10, 1000),
    "unread documents": Attack((b"GET /openapi.json " + _HOST + b"\r\n") * 10, 1000),
}


class Memory:
    """Memory of one process, as Linux reports it, in megabytes."""

    def __init__(self, process: int) -> None:
        self._folder = Path(f"/proc/{process}")

    def forget_highest(self) -> None:
        """Reset the peak (proc(5))."""
        (self._folder / "clear_refs").write_text("5")

    def read(self, name: str) -> int:
        """Return `VmRSS`, as it is, or `VmHWM`, the highest."""
        lines = (self._folder / "status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) // 1024


def allow_open_files(number: int) -> None:
    """Let this process attack with so many connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number if hard == resource.RLIM_INFINITY else min(number, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def from_one(_number: int) -> str:
    """Return the same address for each connection."""
    return "127.0.0.1"


def from_many(number: int) -> str:
    """Return an address of its own for each connection."""
    return f"127.1.{number // 250}.{number % 250 + 1}"


@contextmanager
def under_attack(
    address: tuple[str, int], attack: Attack, source: Callable[[int], str], tls: ssl.SSLContext | None = None
) -> Iterator[list[socket.socket]]:
    """Attack; the connections that were made."""
    allow_open_files(attack.connections + 256)
    with ExitStack() as stack:
        yield [
            stack.enter_context(closing(made))
            for number in range(attack.connections)
            if (made := _connect(address, attack.sent, source(number), tls)) is not None
        ]


def _connect(
    address: tuple[str, int], sent: bytes, source: str, tls: ssl.SSLContext | None
) -> socket.socket | None:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(5)
    try:
        connection.bind((source, 0))
        connection.connect(address)
        if tls is not None:
            connection = tls.wrap_socket(connection, server_hostname="127.0.0.1")
        connection.sendall(sent)
    except OSError:  # refused, closed, or not taken any more
        connection.close()
        return None
    return connection


def status_for(address: tuple[str, int], request: bytes, source: str, tls: ssl.SSLContext | None = None) -> int:
    """Return the status of the answer to *request* from *source*; 0 when the connection ends without one."""
    try:
        connection = socket.create_connection(address, PATIENCE_SECONDS, (source, 0))
        with closing(tls.wrap_socket(connection, server_hostname="127.0.0.1") if tls else connection) as made:
            made.sendall(request)
            return int(made.recv(100)[9:12] or 0)
    except ConnectionError:
        return 0
