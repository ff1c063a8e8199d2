"""Explain TLS failures by OpenSSL's reason, the server's alert, and the certificates that the server presents."""

import re
import ssl
from collections.abc import Mapping
from dataclasses import replace

from mailsettings.domain.connection_test import FailureCode, ProbeFailure, ProbeStage, SettingValue
from mailsettings.domain.errors import InvalidSetting
from mailsettings.domain.findings import FAILURES, failure
from mailsettings.domain.observation import Certificate, TLSSession
from mailsettings.domain.values import require_host

NOT_TLS_REASONS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"})
"""OpenSSL's reasons when the server does not answer with TLS."""
_OR_CLIENT_CERTIFICATE = (
    "the server and this service have no TLS cipher or key exchange group in common, or the server requires a "
    "client certificate: with TLS 1.2 both cause the same alert"
)
_OPENSSL_TEXT = re.compile(r"\] (.*?)(?: \(_ssl\.c:\d+\))?$")
# This service has no client certificate, so an alert about a certificate means that it is missing.
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
    """Return OpenSSL's message without the position in Python's source."""
    found = _OPENSSL_TEXT.search(str(error))
    return found[1] if found else (error.reason or "").replace("_", " ").lower()


def explain_tls_error(error: ssl.SSLError, stage: ProbeStage) -> ProbeFailure:
    """Return the failure for *error*, with OpenSSL's message."""
    code = _CODES_BY_REASON.get(error.reason or "", FailureCode.TLS_HANDSHAKE_FAILED)
    meaning = FAILURES[code].explanation.rstrip(".")
    if error.reason == "SSLV3_ALERT_HANDSHAKE_FAILURE":
        meaning = _OR_CLIENT_CERTIFICATE
    words = openssl_text(error)
    return failure(code, stage, explanation=f"{meaning} (OpenSSL: {words})." if words else "")


def client_certificate_failure(found: ProbeFailure) -> ProbeFailure:
    """Return *found*, an ambiguous alert, as a missing client certificate, once that is known."""
    code = FailureCode.TLS_CLIENT_CERTIFICATE_REQUIRED
    words = found.explanation.rpartition("(OpenSSL: ")[2].rstrip(").")
    return failure(code, found.stage, explanation=f"{FAILURES[code].explanation.rstrip('.')} (OpenSSL: {words}).")


def is_known_alert(error: BaseException | None) -> bool:
    """Return whether *error* is a TLS error with a known meaning."""
    return isinstance(error, ssl.SSLError) and error.reason in _CODES_BY_REASON


TLS_CODES = {
    *(FailureCode.TLS_CERTIFICATE_EXPIRED, FailureCode.TLS_CERTIFICATE_INVALID, FailureCode.TLS_NAME_MISMATCH),
    *(FailureCode.TLS_CERTIFICATE_NOT_YET_VALID, FailureCode.TLS_CERTIFICATE_SELF_SIGNED),
    *(FailureCode.TLS_ISSUER_UNKNOWN, FailureCode.TLS_HANDSHAKE_FAILED, FailureCode.CONNECTION_LOST),
    FailureCode.TLS_NO_COMMON_ALGORITHM,
}
"""Failures that the presented certificates may explain further."""
MAX_NAMES_SHOWN = 5
_COMMON_NAME = re.compile(r"(?:^|,)CN=((?:\\.|[^,\\])+)")
_OLD_VERSIONS = {"SSLv3", "TLSv1", "TLSv1.1"}


def add_certificate_details(session: TLSSession, found: ProbeFailure, *, logs_in: bool) -> ProbeFailure:
    """Return *found* with the names, dates or issuer in *session*, and with suggested values."""
    if session.version in _OLD_VERSIONS:
        return failure(FailureCode.TLS_VERSION_TOO_OLD, found.stage)
    return replace(
        found,
        explanation=_explanation(session, found),
        changes=tuple(
            replace(change, suggested=_suggested_value(session, found, logs_in=logs_in))
            for change in found.changes
        ),
    )


def _explanation(session: TLSSession, found: ProbeFailure) -> str:
    """Return the explanation of *found* with details of the presented certificates."""
    if not session.chain:
        return found.explanation
    leaf, last = session.chain[0], _last_in_chain(session.chain)
    expired = min(session.chain, key=lambda certificate: certificate.not_after)
    begins = max(session.chain, key=lambda certificate: certificate.not_before)
    details = {
        FailureCode.TLS_NAME_MISMATCH: _names_explanation(leaf),
        FailureCode.TLS_CERTIFICATE_EXPIRED: f"{expired.subject} expired on {expired.not_after:%Y-%m-%d}",
        FailureCode.TLS_CERTIFICATE_NOT_YET_VALID: f"{begins.subject} is valid from {begins.not_before:%Y-%m-%d}",
        FailureCode.TLS_ISSUER_UNKNOWN: f"it was issued by {last.issuer}",
        FailureCode.TLS_CERTIFICATE_SELF_SIGNED: f"it is {last.subject}, SHA-256 {last.sha256}",
    }
    detail = details.get(found.code)
    return f"{found.explanation.rstrip('.')}; {detail}." if detail else found.explanation


def _names_explanation(leaf: Certificate) -> str:
    """Return the certificate's names. Names in the subject no longer count (RFC 9525 2)."""
    if leaf.names:
        return f"it is for {', '.join(leaf.names[:MAX_NAMES_SHOWN])}"
    common = _COMMON_NAME.search(leaf.subject)
    if common is None:
        return "it contains no name"
    return f"its name is only in the subject (CN={common[1]}), which is ignored: subjectAltName is missing"


def _suggested_value(session: TLSSession, found: ProbeFailure, *, logs_in: bool) -> SettingValue | None:
    """Return a value for the setting of *found*.

    A name is suggested only without a login: an attacker can present any name, and would receive the login.
    """
    if not session.chain:
        return None
    if found.code is FailureCode.TLS_NAME_MISMATCH and not logs_in:
        names = [name for name in session.chain[0].names if _is_host(name)]
        return names[0] if names else None
    if found.code in {FailureCode.TLS_CERTIFICATE_SELF_SIGNED, FailureCode.TLS_ISSUER_UNKNOWN}:
        return _last_in_chain(session.chain).pem
    return None


def _is_host(name: str) -> bool:
    try:
        require_host(name)
    except InvalidSetting:
        return False
    return True


def _last_in_chain(chain: tuple[Certificate, ...]) -> Certificate:
    """Return the last certificate that links to the server's own; ignore unrelated certificates."""
    last = chain[0]
    for _ in chain:
        issuers = [one for one in chain if one.subject == last.issuer and one is not last]
        if last.is_self_issued or not issuers:
            break
        last = issuers[0]
    return last
