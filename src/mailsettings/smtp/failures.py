"""From what goes wrong on the wire to a finding: replies by one table, everything else by its kind."""

import ssl

from mailsettings.domain.findings import failure
from mailsettings.domain.mail_server import ConnectionSecurity
from mailsettings.domain.probe import Change, FailureCode, Outcome, ProbeFailure, ProbeStage
from mailsettings.domain.setting import Setting
from mailsettings.smtp import refusals
from mailsettings.smtp.errors import Answered, Refused
from mailsettings.smtp.foreign import protocol_of
from mailsettings.smtp.journal import Journal
from mailsettings.smtp.oauth2 import TokenRefused
from mailsettings.smtp.racing import NotConnected
from mailsettings.smtp.replies import reply, shown

_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"})
"""OpenSSL's reasons for a first answer that is no TLS at all."""

# OpenSSL's X509_V_ERR_ numbers, from x509_vfy.h.
_CERTIFICATE = {
    9: FailureCode.TLS_CERTIFICATE_NOT_YET_VALID,
    10: FailureCode.TLS_CERTIFICATE_EXPIRED,
    18: FailureCode.TLS_CERTIFICATE_SELF_SIGNED,
    19: FailureCode.TLS_CERTIFICATE_SELF_SIGNED,
    2: FailureCode.TLS_ISSUER_UNKNOWN,
    20: FailureCode.TLS_ISSUER_UNKNOWN,
    21: FailureCode.TLS_ISSUER_UNKNOWN,
    62: FailureCode.TLS_NAME_MISMATCH,
    64: FailureCode.TLS_NAME_MISMATCH,
}
_SUSPECTS = {
    ProbeStage.RESOLVE: Setting.HOST,
    ProbeStage.CONNECT: Setting.PORT,
    ProbeStage.GREET: Setting.SECURITY,
    ProbeStage.SECURE: Setting.SECURITY,
}
"""The setting that a silence or a hang-up makes one think of."""


def explain(error: Exception, journal: Journal) -> ProbeFailure:  # noqa: PLR0911  # a table
    """What *error* means where *journal* stands; nothing that it hides is in the text."""
    match error:
        case Refused():
            return error.failure(journal.stage)
        case Answered():
            return _refusal(error, journal)
        case NotConnected():
            return failure(error.code, journal.stage)
        case TokenRefused():
            return _no_token(error, journal)
        case _ if journal.dot_sent:
            return failure(FailureCode.DELIVERY_UNKNOWN, journal.stage)
        case ssl.SSLCertVerificationError():
            code = _CERTIFICATE.get(error.verify_code, FailureCode.TLS_CERTIFICATE_INVALID)
            return failure(code, journal.stage, explanation=_verification(code, error))
        case ssl.SSLError() if journal.stage is ProbeStage.SECURE:
            not_tls = error.reason in _NOT_TLS and journal.server.security is ConnectionSecurity.IMPLICIT_TLS
            code = FailureCode.WRONG_CONNECTION_SECURITY if not_tls else FailureCode.TLS_HANDSHAKE_FAILED
            explanation = "this port does not begin with TLS." if not_tls else ""
            return failure(code, journal.stage, explanation=explanation)
        case _:
            return failure(_kind(error, journal.stage), journal.stage, changes=_suspect(journal))


def outcome_of(found: ProbeFailure) -> Outcome:
    """Whether the failed stage is known to have failed."""
    return Outcome.UNKNOWN if found.code is FailureCode.DELIVERY_UNKNOWN else Outcome.FAILED


def not_smtp(stage: ProbeStage, protocol: str | None) -> ProbeFailure:
    """What answers is something else, known by name or not."""
    explanation = f"what answers on this port speaks {protocol}, not SMTP." if protocol else ""
    return failure(FailureCode.NOT_SMTP, stage, explanation=explanation)


def _refusal(answer: Answered, journal: Journal) -> ProbeFailure:
    early = journal.stage is ProbeStage.GREET and not journal.greeted
    if early and (protocol := protocol_of(answer.code, answer.text)):
        journal.greeted = protocol != "TLS"  # which settles what the port is
        return not_smtp(journal.stage, protocol)
    if answer.code >= 0:
        return refusals.explain(answer, reply(answer.code, answer.text, journal.hidden), journal)
    if journal.dot_sent:
        return failure(FailureCode.DELIVERY_UNKNOWN, journal.stage)
    if journal.stage is ProbeStage.GREET:
        return not_smtp(journal.stage, None)
    return failure(FailureCode.UNEXPECTED_REPLY, journal.stage)


def _no_token(error: TokenRefused, journal: Journal) -> ProbeFailure:
    meaning = failure(error.code, journal.stage)
    said = shown(error.said, journal.hidden)
    explanation = f"{meaning.explanation.rstrip('.')}; the authority said: {said}" if said else ""
    return failure(error.code, journal.stage, explanation=explanation)


def _kind(error: Exception, stage: ProbeStage) -> FailureCode:
    match error:
        case TimeoutError():
            return FailureCode.DEADLINE_EXCEEDED
        case _ if stage is ProbeStage.RESOLVE:
            return FailureCode.HOST_NOT_FOUND
        case ConnectionError() | OSError():
            return FailureCode.CONNECTION_LOST
        case ValueError() if stage is ProbeStage.SECURE:  # Python cannot read the certificate's fields
            return FailureCode.TLS_CERTIFICATE_INVALID
        case _:
            return FailureCode.UNEXPECTED_REPLY


def _suspect(journal: Journal) -> tuple[Change, ...]:
    setting = _SUSPECTS.get(journal.stage)
    return (Change(setting),) if setting else ()


def _verification(code: FailureCode, error: ssl.SSLCertVerificationError) -> str:
    """OpenSSL's own words where we have none; they hold the host at most."""
    if code is FailureCode.TLS_CERTIFICATE_INVALID:
        return f"the server's certificate is not trusted: {error.verify_message}."
    return ""
