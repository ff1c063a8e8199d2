"""What the certificates that a server presents add to a finding about its encryption."""

from dataclasses import replace

from mailsettings.domain.findings import failure
from mailsettings.domain.observation import TLSSession
from mailsettings.domain.probe import FailureCode, ProbeFailure, Value

TLS_TROUBLE = {
    *(FailureCode.TLS_CERTIFICATE_EXPIRED, FailureCode.TLS_CERTIFICATE_INVALID, FailureCode.TLS_NAME_MISMATCH),
    *(FailureCode.TLS_CERTIFICATE_NOT_YET_VALID, FailureCode.TLS_CERTIFICATE_SELF_SIGNED),
    *(FailureCode.TLS_ISSUER_UNKNOWN, FailureCode.TLS_HANDSHAKE_FAILED, FailureCode.CONNECTION_LOST),
}
"""Findings that a look at the presented certificates may say more about."""
_TOO_OLD = {"SSLv3", "TLSv1", "TLSv1.1"}


def with_presented(session: TLSSession, found: ProbeFailure) -> ProbeFailure:
    """*found*, with what *session* shows: the names, dates or issuer it is about, and what to set."""
    if session.version in _TOO_OLD:
        return failure(FailureCode.TLS_VERSION_TOO_OLD, found.stage)
    return replace(
        found,
        explanation=_about(session, found),
        changes=tuple(replace(change, suggested=_remedy(session, found)) for change in found.changes),
    )


def _about(session: TLSSession, found: ProbeFailure) -> str:
    """*found*'s explanation, with what the presented certificates say."""
    if not session.chain:
        return found.explanation
    leaf, last = session.chain[0], session.chain[-1]
    expired = min(session.chain, key=lambda certificate: certificate.not_after)
    begins = max(session.chain, key=lambda certificate: certificate.not_before)
    details = {
        FailureCode.TLS_NAME_MISMATCH: f"it is for {', '.join(leaf.names) or 'no name at all'}",
        FailureCode.TLS_CERTIFICATE_EXPIRED: f"{expired.subject} was good until {expired.not_after:%Y-%m-%d}",
        FailureCode.TLS_CERTIFICATE_NOT_YET_VALID: f"{begins.subject} begins on {begins.not_before:%Y-%m-%d}",
        FailureCode.TLS_ISSUER_UNKNOWN: f"it was issued by {last.issuer}",
        FailureCode.TLS_CERTIFICATE_SELF_SIGNED: f"it is {last.subject}, SHA-256 {last.sha256}",
    }
    detail = details.get(found.code)
    return f"{found.explanation.rstrip('.')}; {detail}." if detail else found.explanation


def _remedy(session: TLSSession, found: ProbeFailure) -> Value | None:
    """A value for the setting that *found* points at."""
    if not session.chain:
        return None
    if found.code is FailureCode.TLS_NAME_MISMATCH:
        names = [name for name in session.chain[0].names if "*" not in name]
        return names[0] if names else None
    if found.code in {FailureCode.TLS_CERTIFICATE_SELF_SIGNED, FailureCode.TLS_ISSUER_UNKNOWN}:
        return session.chain[-1].pem
    return None
