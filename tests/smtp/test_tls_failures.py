"""Each of OpenSSL's reasons for a failed handshake has a code, and its message is reported."""

import ssl

import pytest

from mailsettings.domain.connection_test import FailureCode, ProbeStage
from mailsettings.smtp.diagnosis.tls import explain_tls_error, is_known_alert

# OpenSSL's include/openssl/sslerr.h, and the alerts of RFC 8446 6.
REASONS = {
    "DH_KEY_TOO_SMALL": ("dh key too small", FailureCode.TLS_KEY_EXCHANGE_WEAK),
    "BAD_DH_VALUE": ("bad dh value", FailureCode.TLS_KEY_EXCHANGE_WEAK),
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": (
        "tlsv13 alert certificate required",
        FailureCode.TLS_CLIENT_CERTIFICATE_REQUIRED,
    ),
    "TLSV1_UNRECOGNIZED_NAME": ("tlsv1 unrecognized name", FailureCode.TLS_NAME_UNRECOGNIZED),
    "TLSV1_ALERT_INTERNAL_ERROR": ("tlsv1 alert internal error", FailureCode.TLS_SERVER_ERROR),
    "TLSV1_ALERT_PROTOCOL_VERSION": ("tlsv1 alert protocol version", FailureCode.TLS_VERSION_TOO_OLD),
    "SSLV3_ALERT_HANDSHAKE_FAILURE": ("sslv3 alert handshake failure", FailureCode.TLS_NO_COMMON_ALGORITHM),
    "TLSV1_ALERT_DECRYPT_ERROR": ("tlsv1 alert decrypt error", FailureCode.TLS_HANDSHAKE_FAILED),
}


@pytest.mark.parametrize(
    "reason", [pytest.param(reason, marks=pytest.mark.shows(row[1])) for reason, row in REASONS.items()]
)
def test_a_reason_is_explained_with_openssls_message(reason: str) -> None:
    words, code = REASONS[reason]
    error = ssl.SSLError(1, f"[SSL: {reason}] {words} (_ssl.c:1006)")
    error.reason = reason
    found = explain_tls_error(error, ProbeStage.SECURE)

    assert found.code is code
    assert f"OpenSSL: {words})" in found.explanation
    assert is_known_alert(error) == (code is not FailureCode.TLS_HANDSHAKE_FAILED)
