"""One handshake with finite-field Diffie-Hellman (DHE), to say in OpenSSL's words what is wrong with it.

The connection test does not use these cipher suites (see `tls.without_dhe`). A server that offers nothing else
ends the handshake with an alert that gives no reason. It is asked once more, off the event loop.
"""

import smtplib
import socket
import ssl
import time
from contextlib import closing

from mailsettings.smtp.embedding import Address

NO_OTHER = "no key exchange but finite-field Diffie-Hellman"


def dhe_trouble(address: Address, port: int, *, implicit: bool, seconds: float) -> str | None:
    """Return what is wrong with the server's DHE; `NO_OTHER` if it works, None if there is none. Blocks."""
    try:
        _try(address, port, implicit=implicit, seconds=seconds)
    except ssl.SSLError as error:
        reason = (error.reason or "").replace("_", " ").lower()
        return reason if reason.startswith(("dh ", "bad dh", "modulus")) else None
    except (OSError, smtplib.SMTPException):
        return None
    return NO_OTHER


def _try(address: Address, port: int, *, implicit: bool, seconds: float) -> None:
    """Raises `OSError`, `smtplib.SMTPException`."""
    if implicit:
        with socket.create_connection((str(address), port), seconds) as sock:
            _shake_hands(sock, seconds)
        return
    with closing(smtplib.SMTP(str(address), port, timeout=seconds)) as client:
        client.ehlo()
        client.docmd("STARTTLS")
        if client.sock is not None:
            _shake_hands(client.sock, seconds)


def _shake_hands(sock: socket.socket, seconds: float) -> None:
    """Raises `OSError`; `ssl.wrap_socket` would leave a socket open that the server resets at this moment."""
    end = time.monotonic() + seconds
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = _context().wrap_bio(incoming, outgoing)
    while time.monotonic() < end:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            sock.sendall(outgoing.read())
            received = sock.recv(16 * 1024)
            if not received:
                raise ConnectionResetError from None
            incoming.write(received)
        else:
            return
    raise TimeoutError


def _context() -> ssl.SSLContext:
    """Return a context for looking only: nothing is sent by it, so nothing is verified."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("kDHE:@SECLEVEL=2")
    return context
