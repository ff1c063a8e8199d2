"""One handshake with finite-field Diffie-Hellman (DHE), to say in OpenSSL's words what is wrong with it.

The connection test does not use these cipher suites (see `tls.without_dhe`). A server that offers nothing else
ends the handshake with an alert that gives no reason. It is asked once more, off the event loop.
"""

import smtplib

from mailsettings.smtp.diagnosis.handshake import Handshake, unverified_tls12_context

DHE_ONLY = "no key exchange but finite-field Diffie-Hellman"


def diagnose_dhe(handshake: Handshake) -> str | None:
    """Return what is wrong with the server's DHE; `DHE_ONLY` if it works, None if there is none. Blocks."""
    try:
        ended = handshake.attempt(unverified_tls12_context("kDHE:@SECLEVEL=2"))
    except (OSError, smtplib.SMTPException):
        return None
    if ended.error is None:
        return DHE_ONLY
    reason = (ended.error.reason or "").replace("_", " ").lower()
    return reason if reason.startswith(("dh ", "bad dh", "modulus")) else None
