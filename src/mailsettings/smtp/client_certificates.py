"""Whether a server that ends the handshake of TLS 1.2 with the alert "handshake failure" demands a certificate.

It sends the same alert when there is no common cipher; then it comes before the server's own certificate.
"""

import smtplib

from mailsettings.smtp.certificates import read_tls_session
from mailsettings.smtp.diagnosis.handshake import Handshake, unverified_tls12_context
from mailsettings.smtp.tls import without_dhe


def requires_client_certificate(handshake: Handshake) -> bool:
    """Whether the server ends the handshake only after it has shown its own certificate. Blocks."""
    try:
        ended = handshake.attempt(unverified_tls12_context(without_dhe("DEFAULT:@SECLEVEL=0")))
    except (OSError, smtplib.SMTPException):
        return False
    reason = (ended.error.reason or "") if ended.error else ""
    return reason == "SSLV3_ALERT_HANDSHAKE_FAILURE" and bool(read_tls_session(ended.tls).chain)
