"""Make single TLS handshakes off the event loop, to see details that asyncio hides.

Nothing but EHLO and STARTTLS is sent on such a connection, so the certificate is not verified.
"""

import smtplib
import socket
import ssl
import time
from contextlib import closing
from dataclasses import dataclass

from mailsettings.network.policy import Address
from mailsettings.smtp.tls import read_tls_session, without_dhe


@dataclass(frozen=True, slots=True)
class Handshake:
    """The target of a handshake, and the time limit of each step."""

    address: Address
    port: int
    implicit: bool
    seconds: float

    def attempt(self, context: ssl.SSLContext) -> "HandshakeResult":
        """Make the handshake and return its result. Blocks. Raises `OSError`, `smtplib.SMTPException`."""
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
        """Use memory BIOs: `ssl.wrap_socket` leaks a socket that the server resets during the handshake."""
        end = time.monotonic() + self.seconds
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing)
        while time.monotonic() < end:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                received = sock.recv(16 * 1024)  # RFC 8446 5.1: the largest TLS record
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
    """The result of a handshake; `error` is None if it succeeded."""

    tls: ssl.SSLObject
    error: ssl.SSLError | None


def unverified_tls12_context(ciphers: str) -> ssl.SSLContext:
    """Return a context up to TLS 1.2 that verifies nothing. For inspection only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # TLS 1.3 has neither DHE with a group of the server's choice (RFC 7919) nor an ambiguous alert for a missing
    # client certificate (RFC 8446 6.2), so only TLS 1.2 needs a second handshake.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(ciphers)
    return context


# Completes "the server offers …" in the explanation.
DHE_ONLY = "only finite-field Diffie-Hellman key exchange"


def diagnose_dhe(handshake: Handshake) -> str | None:
    """Return OpenSSL's reason against the server's DHE, `DHE_ONLY` if DHE works, None without DHE. Blocks.

    The connection test excludes DHE (see `without_dhe`), and a server that offers nothing else ends the handshake
    with an alert that gives no reason. This second handshake finds the reason.
    """
    try:
        # Level 2 rejects groups under 2048 bits: OpenSSL then names the problem instead of accepting it.
        ended = handshake.attempt(unverified_tls12_context("kDHE:@SECLEVEL=2"))
    except (OSError, smtplib.SMTPException):
        return None
    if ended.error is None:
        return DHE_ONLY
    reason = (ended.error.reason or "").replace("_", " ").lower()
    return reason if reason.startswith(("dh ", "bad dh", "modulus")) else None


def requires_client_certificate(handshake: Handshake) -> bool:
    """Return whether the server requires a client certificate in TLS 1.2. Blocks.

    The alert is the same as without a common cipher, but then it arrives before the server's own certificate.
    """
    try:
        ended = handshake.attempt(unverified_tls12_context(without_dhe("DEFAULT:@SECLEVEL=0")))
    except (OSError, smtplib.SMTPException):
        return False
    reason = (ended.error.reason or "") if ended.error else ""
    return reason == "SSLV3_ALERT_HANDSHAKE_FAILURE" and bool(read_tls_session(ended.tls).chain)
