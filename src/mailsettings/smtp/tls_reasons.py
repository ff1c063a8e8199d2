"""Why a TLS handshake ended: OpenSSL's reason, or the alert that the server sent, and what each means here."""

import re
import ssl
from collections.abc import Mapping

from mailsettings.domain.connection_test import FailureCode, ProbeFailure, ProbeStage
from mailsettings.domain.findings import FAILURES, failure

NOT_TLS_REASONS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"})
"""Reasons for a first answer that is no TLS at all."""
_OR_CLIENT_CERTIFICATE = (
    "the server and this service have no TLS cipher or key exchange group in common, or the server demands a "
    "certificate from this machine: with TLS 1.2 both end in the same alert"
)
_OPENSSL_TEXT = re.compile(r"\] (.*?)(?: \(_ssl\.c:\d+\))?$")
# This service shows no certificate, so a server's complaint about one is that it is missing.
_CLIENT_CERTIFICATE_REASONS = (
    *("TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_NO_CERTIFICATE", "SSLV3_ALERT_BAD_CERTIFICATE"),
    *("SSLV3_ALERT_CERTIFICATE_UNKNOWN", "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", "TLSV1_ALERT_UNKNOWN_CA"),
)
_WEAK_KEY_REASONS = (
    *(
        "DH_KEY_TOO_SMALL",
        "EE_KEY_TOO_SMALL",
        "CA_KEY_TOO_SMALL",
        "BAD_DH_VALUE",
        "DH_PUBLIC_VALUE_LENGTH_IS_WRONG",
    ),
    *("MODULUS_TOO_LARGE", "MODULUS_TOO_SMALL"),
)
_NO_COMMON_ALGORITHM_REASONS = (
    *(
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
        "TLSV1_ALERT_INSUFFICIENT_SECURITY",
        "NO_SHARED_CIPHER",
        "NO_SUITABLE_GROUPS",
    ),
    *(
        "NO_CIPHERS_AVAILABLE",
        "UNKNOWN_CIPHER_RETURNED",
        "WRONG_CIPHER_RETURNED",
        "NO_SUITABLE_KEY_SHARE",
        "WRONG_CURVE",
    ),
    *("BAD_KEY_SHARE", "UNSUPPORTED_ELLIPTIC_CURVE", "WRONG_SIGNATURE_TYPE", "NO_SUITABLE_SIGNATURE_ALGORITHM"),
)
# OpenSSL's names of alerts (RFC 8446 6) and of its own reasons, from sslerr.h.
_CODES_BY_REASON: Mapping[str, FailureCode] = {
    **dict.fromkeys(_CLIENT_CERTIFICATE_REASONS, FailureCode.TLS_CLIENT_CERTIFICATE_REQUIRED),
    **dict.fromkeys(_WEAK_KEY_REASONS, FailureCode.TLS_KEY_EXCHANGE_WEAK),
    **dict.fromkeys(_NO_COMMON_ALGORITHM_REASONS, FailureCode.TLS_NO_COMMON_ALGORITHM),
    "TLSV1_UNRECOGNIZED_NAME": FailureCode.TLS_NAME_UNRECOGNIZED,
    "TLSV1_ALERT_INTERNAL_ERROR": FailureCode.TLS_SERVER_ERROR,
    **dict.fromkeys(("TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL"), FailureCode.TLS_VERSION_TOO_OLD),
}


def openssl_text(error: ssl.SSLError) -> str:
    """What OpenSSL says, without the place in Python's source."""
    found = _OPENSSL_TEXT.search(str(error))
    return found[1] if found else (error.reason or "").replace("_", " ").lower()


def explain_tls_error(error: ssl.SSLError, stage: ProbeStage) -> ProbeFailure:
    """What *error* means, in our words and OpenSSL's."""
    code = _CODES_BY_REASON.get(error.reason or "", FailureCode.TLS_HANDSHAKE_FAILED)
    meaning = FAILURES[code].explanation.rstrip(".")
    if error.reason == "SSLV3_ALERT_HANDSHAKE_FAILURE":
        meaning = _OR_CLIENT_CERTIFICATE
    words = openssl_text(error)
    return failure(code, stage, explanation=f"{meaning} (OpenSSL: {words})." if words else "")


def client_certificate_failure(found: ProbeFailure) -> ProbeFailure:
    """*found*, an alert that may mean several things, once it is known that a client certificate is demanded."""
    code = FailureCode.TLS_CLIENT_CERTIFICATE_REQUIRED
    words = found.explanation.rpartition("(OpenSSL: ")[2].rstrip(").")
    return failure(code, found.stage, explanation=f"{FAILURES[code].explanation.rstrip('.')} (OpenSSL: {words}).")


def is_known_alert(error: BaseException | None) -> bool:
    """Whether *error* is an alert whose meaning is known, wherever it came."""
    return isinstance(error, ssl.SSLError) and error.reason in _CODES_BY_REASON
