"""What the certificates that a server presents add to a finding about its encryption."""

import re
from dataclasses import replace

from mailsettings.domain.connection_test import FailureCode, ProbeFailure, SettingValue
from mailsettings.domain.errors import InvalidSetting
from mailsettings.domain.findings import failure
from mailsettings.domain.observation import Certificate, TLSSession
from mailsettings.domain.syntax import require_host

TLS_CODES = {
    *(FailureCode.TLS_CERTIFICATE_EXPIRED, FailureCode.TLS_CERTIFICATE_INVALID, FailureCode.TLS_NAME_MISMATCH),
    *(FailureCode.TLS_CERTIFICATE_NOT_YET_VALID, FailureCode.TLS_CERTIFICATE_SELF_SIGNED),
    *(FailureCode.TLS_ISSUER_UNKNOWN, FailureCode.TLS_HANDSHAKE_FAILED, FailureCode.CONNECTION_LOST),
    FailureCode.TLS_NO_COMMON_ALGORITHM,
}
"""Findings that a look at the presented certificates may say more about."""
MAX_NAMES_SHOWN = 5
_COMMON_NAME = re.compile(r"(?:^|,)CN=((?:\\.|[^,\\])+)")
_OLD_VERSIONS = {"SSLv3", "TLSv1", "TLSv1.1"}


def add_certificate_details(session: TLSSession, found: ProbeFailure, *, logs_in: bool) -> ProbeFailure:
    """*found*, with what *session* shows: the names, dates or issuer it is about, and what to set."""
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
    """*found*'s explanation, with what the presented certificates say."""
    if not session.chain:
        return found.explanation
    leaf, last = session.chain[0], _last_in_chain(session.chain)
    expired = min(session.chain, key=lambda certificate: certificate.not_after)
    begins = max(session.chain, key=lambda certificate: certificate.not_before)
    details = {
        FailureCode.TLS_NAME_MISMATCH: _names_explanation(leaf),
        FailureCode.TLS_CERTIFICATE_EXPIRED: f"{expired.subject} was good until {expired.not_after:%Y-%m-%d}",
        FailureCode.TLS_CERTIFICATE_NOT_YET_VALID: f"{begins.subject} begins on {begins.not_before:%Y-%m-%d}",
        FailureCode.TLS_ISSUER_UNKNOWN: f"it was issued by {last.issuer}",
        FailureCode.TLS_CERTIFICATE_SELF_SIGNED: f"it is {last.subject}, SHA-256 {last.sha256}",
    }
    detail = details.get(found.code)
    return f"{found.explanation.rstrip('.')}; {detail}." if detail else found.explanation


def _names_explanation(leaf: Certificate) -> str:
    """The names that it is for. Those in its subject do not count any more (RFC 9525 2, RFC 6125 6.4.4)."""
    if leaf.names:
        return f"it is for {', '.join(leaf.names[:MAX_NAMES_SHOWN])}"
    common = _COMMON_NAME.search(leaf.subject)
    if common is None:
        return "it has no name at all"
    return f"it has a name in its subject only (CN={common[1]}), which does not count: a subjectAltName is missing"


def _suggested_value(session: TLSSession, found: ProbeFailure, *, logs_in: bool) -> SettingValue | None:
    """A value for the setting that *found* points at.

    A name is suggested only where there is no login to be sent there: whoever answers here can present one.
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
    """The certificate that the server's own leads to; others that were sent along have nothing to say."""
    last = chain[0]
    for _ in chain:
        issuers = [one for one in chain if one.subject == last.issuer and one is not last]
        if last.is_self_issued or not issuers:
            break
        last = issuers[0]
    return last
