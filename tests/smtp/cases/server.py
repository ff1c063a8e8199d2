"""A server that answers each verb by a situation. On threads: asyncio drops alerts of failed handshakes."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from smtp.cases.situation import CLOSE, CUT, IMPLICIT, NONE, SILENT, STARTTLS, Situation
from support.smtp_server import AUTHORITY, HOST
from support.timeouts import GUARD_SECONDS

_GOOD: Mapping[str, str] = {
    "greeting": "220 mail.example.com ESMTP",
    "STARTTLS": "220 2.0.0 Go ahead",
    "AUTH": "235 2.7.0 Authentication successful",
    "MAIL": "250 2.1.0 OK",
    "RCPT": "250 2.1.5 OK",
    "DATA": "354 Go ahead",
    "dot": "250 2.0.0 Queued",
    "QUIT": "221 2.0.0 Bye",
}
TIMEOUT_SECONDS = GUARD_SECONDS


class Closed(Exception):
    """The server is done with this connection."""


@contextmanager
def serving(situation: Situation) -> Iterator[int]:
    """The port on which *situation* is served."""
    context = _context(situation)
    listening = socket.create_server((HOST, 0))
    connections: list[socket.socket] = []

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listening.accept()
                sock.settimeout(TIMEOUT_SECONDS)
                connections.append(sock)
                threading.Thread(target=_visit, args=(sock, situation, context), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listening.getsockname()[1]
    finally:
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        for sock in connections:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def _context(situation: Situation) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if situation.security is not NONE:
        AUTHORITY.issue_cert(situation.host.rstrip("."), HOST).configure_cert(context)
    if situation.tls is not None:
        situation.tls(context)
    return context


def _visit(sock: socket.socket, situation: Situation, context: ssl.SSLContext) -> None:
    connection = _Connection(sock, situation, context)
    with contextlib.suppress(OSError, ssl.SSLError, ValueError, Closed):
        connection.serve()
    connection.close()


class _Connection:
    def __init__(self, sock: socket.socket, situation: Situation, context: ssl.SSLContext) -> None:
        self._sock = sock
        self._situation = situation
        self._context = context
        self._encrypted = False
        self._buffer = b""
        self._challenges = 0

    def serve(self) -> None:
        if self._situation.security is IMPLICIT:
            self._encrypt()
        self._say("greeting")
        while line := self._line():
            self._answer(line.decode("ascii", "replace").strip())

    def close(self) -> None:
        """Close whichever socket it speaks on by now."""
        self._sock.close()

    def _answer(self, line: str) -> None:
        verb = f"AUTH {self._challenges + 1}" if self._challenges else line.partition(" ")[0].upper()
        self._say("EHLO after TLS" if verb == "EHLO" and self._encrypted_by_starttls else verb, line)
        if verb == "STARTTLS":
            self._encrypt()
        if verb == "DATA":
            while self._line() != b".\r\n":
                pass
            self._say("dot")
        if verb == "QUIT":
            raise Closed

    @property
    def _encrypted_by_starttls(self) -> bool:
        return self._encrypted and self._situation.security is STARTTLS

    def _encrypt(self) -> None:
        if self._situation.says.get("handshake") == SILENT:
            self._sock.recv(1)
            self._wait()
        self._sock = self._context.wrap_socket(self._sock, server_side=True)
        self._encrypted = True

    def _say(self, verb: str, line: str = "") -> None:
        given = self._situation.says.get(verb) or _GOOD.get(verb) or self._offer(verb)
        reply = given if isinstance(given, str) else given(line)
        self._challenges = self._challenges + 1 if reply.startswith("334") else 0
        if reply == SILENT:
            self._wait()
        if reply == CLOSE:
            raise Closed
        for number, part in enumerate(f"{reply}\n".replace("\n", "\r\n").split(CUT)):
            if number:
                time.sleep(0.1)  # long enough for the part before to arrive alone
            self._sock.sendall(part.encode())

    def _offer(self, verb: str) -> str:
        if verb == "EHLO after TLS":
            return "250-mail.example.com\n250 AUTH PLAIN LOGIN"
        if verb == "HELO":
            given = self._situation.says.get("EHLO", "250 mail.example.com")
            return given if isinstance(given, str) else given("")
        if verb != "EHLO":
            return "502 5.5.2 Error: command not recognized"
        extensions = ["mail.example.com", "AUTH PLAIN LOGIN"]
        if self._situation.security is not NONE and not self._encrypted:
            extensions = ["mail.example.com", "STARTTLS"]
        return "\n".join([*(f"250-{one}" for one in extensions[:-1]), f"250 {extensions[-1]}"])

    def _line(self) -> bytes:
        while b"\n" not in self._buffer:
            data = self._sock.recv(4096)
            if not data:
                raise Closed
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line + b"\n"

    def _wait(self) -> None:
        while self._sock.recv(4096):
            pass
        raise Closed
