"""A TLS handshake off the event loop, for looking only: it shows what asyncio keeps to itself.

Nothing is sent on such a connection but EHLO and STARTTLS, so nothing is verified.
"""

import smtplib
import socket
import ssl
import time
from contextlib import closing
from dataclasses import dataclass

from mailsettings.smtp.embedding import Address


@dataclass(frozen=True, slots=True)
class Handshake:
    """Where it is made, and how many seconds each step may take."""

    address: Address
    port: int
    implicit: bool
    seconds: float

    def attempt(self, context: ssl.SSLContext) -> "HandshakeResult":
        """Make it, and return how it ended. Blocks; raises `OSError`, `smtplib.SMTPException`."""
        if self.implicit:
            with socket.create_connection((str(self.address), self.port), self.seconds) as sock:
                return self._on(sock, context)
        with closing(smtplib.SMTP(str(self.address), self.port, timeout=self.seconds)) as client:
            client.ehlo()
            client.docmd("STARTTLS")
            if client.sock is None:
                raise ConnectionResetError
            return self._on(client.sock, context)

    def _on(self, sock: socket.socket, context: ssl.SSLContext) -> "HandshakeResult":
        """`ssl.wrap_socket` would leave a socket open that the server resets at this moment."""
        end = time.monotonic() + self.seconds
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing)
        while time.monotonic() < end:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                received = sock.recv(16 * 1024)
                if not received:
                    raise ConnectionResetError from None
                incoming.write(received)
            except ssl.SSLError as error:
                return HandshakeResult(tls, error)
            else:
                return HandshakeResult(tls, None)
        raise TimeoutError


@dataclass(frozen=True, slots=True)
class HandshakeResult:
    """How a handshake ended; `error` None: it is complete."""

    tls: ssl.SSLObject
    error: ssl.SSLError | None


def unverified_tls12_context(ciphers: str) -> ssl.SSLContext:
    """A context up to TLS 1.2 that verifies nothing: for looking only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(ciphers)
    return context
