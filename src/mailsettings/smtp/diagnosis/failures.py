"""From what goes wrong on the wire to a finding: replies by one table, everything else by its kind."""

import ssl
from ipaddress import ip_address
from typing import cast

from mailsettings.domain.connection_test import FailureCode, Outcome, ProbeFailure, ProbeStage, SuggestedChange
from mailsettings.domain.findings import failure
from mailsettings.domain.mail_server import ConnectionSecurity
from mailsettings.domain.setting import Setting
from mailsettings.network.connect import NotConnected
from mailsettings.network.guard import NotAllowed
from mailsettings.smtp.diagnosis import refusals
from mailsettings.smtp.diagnosis.deadline import explain_deadline
from mailsettings.smtp.errors import ReplyError, StageFailed
from mailsettings.smtp.foreign import identify_protocol
from mailsettings.smtp.journal import Journal
from mailsettings.smtp.look_ups import explain_lookup_error
from mailsettings.smtp.oauth2 import TokenRequestFailed
from mailsettings.smtp.offers import add_offers
from mailsettings.smtp.replies import displayable_text
from mailsettings.smtp.tls_reasons import NOT_TLS_REASONS, explain_tls_error, is_known_alert

# OpenSSL's X509_V_ERR_ numbers, from x509_vfy.h.
_CERTIFICATE_CODES = {
    9: FailureCode.TLS_CERTIFICATE_NOT_YET_VALID,
    10: FailureCode.TLS_CERTIFICATE_EXPIRED,
    18: FailureCode.TLS_CERTIFICATE_SELF_SIGNED,
    19: FailureCode.TLS_CERTIFICATE_SELF_SIGNED,
    2: FailureCode.TLS_ISSUER_UNKNOWN,
    20: FailureCode.TLS_ISSUER_UNKNOWN,
    21: FailureCode.TLS_ISSUER_UNKNOWN,
    62: FailureCode.TLS_NAME_MISMATCH,
    64: FailureCode.TLS_NAME_MISMATCH,
    66: FailureCode.TLS_KEY_EXCHANGE_WEAK,
    67: FailureCode.TLS_KEY_EXCHANGE_WEAK,
}
_SUSPECT_SETTINGS = {
    ProbeStage.CONNECT: Setting.PORT,
    ProbeStage.GREET: Setting.SECURITY,
    ProbeStage.SECURE: Setting.SECURITY,
}
"""The setting to look at first where the server closed the connection without a word."""


def explain_error(error: Exception, journal: Journal) -> ProbeFailure:
    """What *error* means where *journal* stands; nothing that it hides is in the text."""
    match error:
        case StageFailed():
            return add_offers(error.failure(journal.stage), journal)
        case ReplyError():
            return _explain_reply(error, journal)
        case NotAllowed() | NotConnected():
            return _no_connection(error, journal.stage)
        case TokenRequestFailed():
            return _explain_missing_token(error, journal)
        case _ if journal.message_sent:
            return failure(FailureCode.DELIVERY_UNKNOWN, journal.stage)
        case _:
            return _explain_wire_error(error, journal)


def _explain_wire_error(error: Exception, journal: Journal) -> ProbeFailure:  # noqa: PLR0911  # a table
    match error:
        case TimeoutError():
            return explain_deadline(journal)
        case _ if journal.stage is ProbeStage.RESOLVE:
            return explain_lookup_error(error, journal.seconds)
        case _ if is_known_alert(error.__cause__):
            journal.return_to(ProbeStage.SECURE)  # TLS 1.3: the alert comes after the client's handshake is done
            return explain_tls_error(cast("ssl.SSLError", error.__cause__), ProbeStage.SECURE)
        case ssl.SSLCertVerificationError():
            code = _CERTIFICATE_CODES.get(error.verify_code, FailureCode.TLS_CERTIFICATE_INVALID)
            return failure(code, journal.stage, explanation=_verification_explanation(code, error))
        case ssl.SSLError() if journal.stage is ProbeStage.SECURE:
            if error.reason in NOT_TLS_REASONS and journal.server.security is ConnectionSecurity.IMPLICIT_TLS:
                explanation = "this port does not begin with TLS."
                return failure(FailureCode.WRONG_CONNECTION_SECURITY, journal.stage, explanation=explanation)
            return explain_tls_error(error, journal.stage)
        case _:
            return failure(
                _wire_error_code(error, journal.stage), journal.stage, changes=_suspect_changes(journal)
            )


def outcome_of(found: ProbeFailure) -> Outcome:
    """Whether the failed stage is known to have failed."""
    return Outcome.UNKNOWN if found.code is FailureCode.DELIVERY_UNKNOWN else Outcome.FAILED


def not_smtp(stage: ProbeStage, protocol: str | None) -> ProbeFailure:
    """What answers is something else, known by name or not."""
    explanation = f"what answers on this port speaks {protocol}, not SMTP." if protocol else ""
    return failure(FailureCode.NOT_SMTP, stage, explanation=explanation)


def _explain_reply(answer: ReplyError, journal: Journal) -> ProbeFailure:
    early = journal.stage is ProbeStage.GREET and not journal.greeted
    if early and (protocol := identify_protocol(answer.code, answer.text)):
        journal.greeted = protocol != "TLS"  # which settles what the port is
        return not_smtp(journal.stage, protocol)
    if answer.code >= 0:
        return refusals.explain_refusal(answer, journal.reply(answer.code, answer.text), journal)
    if journal.message_sent:
        return failure(FailureCode.DELIVERY_UNKNOWN, journal.stage)
    if journal.stage is ProbeStage.GREET:
        return not_smtp(journal.stage, None)
    return failure(FailureCode.UNEXPECTED_REPLY, journal.stage)


def _explain_missing_token(error: TokenRequestFailed, journal: Journal) -> ProbeFailure:
    meaning = failure(error.code, journal.stage)
    said = displayable_text(error.said, journal.hidden)
    explanation = f"{meaning.explanation.rstrip('.')}; the authority said: {said}" if said else ""
    return failure(error.code, journal.stage, explanation=explanation)


def _wire_error_code(error: Exception, stage: ProbeStage) -> FailureCode:
    match error:
        case ConnectionError() | OSError():
            return FailureCode.CONNECTION_LOST
        case ValueError() if stage is ProbeStage.SECURE:  # Python cannot read the certificate's fields
            return FailureCode.TLS_CERTIFICATE_INVALID
        case _:
            return FailureCode.UNEXPECTED_REPLY


def _no_connection(error: NotAllowed | NotConnected, stage: ProbeStage) -> ProbeFailure:
    if isinstance(error, NotAllowed):
        return failure(error.code, stage, explanation=error.explanation, steps=error.steps)
    return failure(error.code, stage, explanation=_route_explanation(error))


def _route_explanation(error: NotConnected) -> str:
    """The family that this machine has no way to, if all addresses are of it."""
    versions = {ip_address(attempt.address).version for attempt in error.attempts}
    if error.code is not FailureCode.HOST_UNREACHABLE or len(versions) != 1:
        return ""
    version = versions.pop()
    return f"the host has IPv{version} addresses only, and this machine has no way to them."


def _suspect_changes(journal: Journal) -> tuple[SuggestedChange, ...]:
    setting = _SUSPECT_SETTINGS.get(journal.stage)
    return (SuggestedChange(setting),) if setting else ()


def _verification_explanation(code: FailureCode, error: ssl.SSLCertVerificationError) -> str:
    """OpenSSL's own words where we have none; they hold the host at most."""
    if code in {FailureCode.TLS_CERTIFICATE_INVALID, FailureCode.TLS_KEY_EXCHANGE_WEAK}:
        return f"the server's certificate is not trusted: {error.verify_message}."
    return ""
