"""One handshake with finite-field Diffie-Hellman (DHE), to say in OpenSSL's words what is wrong with it.

The connection test does not use these cipher suites (see `tls.without_dhe`). A server that offers nothing else
ends the handshake with an alert that gives no reason. It is asked once more, off the event loop.
"""

import smtplib

from mailsettings.smtp.handshake import Handshake, looking_context

NO_OTHER = "no key exchange but finite-field Diffie-Hellman"


def dhe_trouble(handshake: Handshake) -> str | None:
    """Return what is wrong with the server's DHE; `NO_OTHER` if it works, None if there is none. Blocks."""
    try:
        ended = handshake.attempt(looking_context("kDHE:@SECLEVEL=2"))
    except (OSError, smtplib.SMTPException):
        return None
    if ended.error is None:
        return NO_OTHER
    reason = (ended.error.reason or "").replace("_", " ").lower()
    return reason if reason.startswith(("dh ", "bad dh", "modulus")) else None
