"""Turn an error into a finding: replies through the tables, all other errors by their type."""

import re
import socket
import ssl
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address
from typing import cast

from mailsettings.domain.connection_test import (
    FailureCode,
    Outcome,
    ProbeFailure,
    ProbeStage,
    SettingStep,
    Steps,
    SuggestedChange,
)
from mailsettings.domain.findings import failure
from mailsettings.domain.mail_server import ConnectionSecurity, OAuth2ClientCredentials
from mailsettings.domain.setting import Setting
from mailsettings.network.connect import NotConnected
from mailsettings.network.guard import NotAllowed
from mailsettings.smtp.diagnosis import refusals
from mailsettings.smtp.diagnosis.deadline import explain_deadline
from mailsettings.smtp.diagnosis.inspection import identify_protocol
from mailsettings.smtp.diagnosis.tls import NOT_TLS_REASONS, explain_tls_error, is_known_alert
from mailsettings.smtp.errors import ReplyError, StageFailed
from mailsettings.smtp.journal import Journal
from mailsettings.smtp.oauth2 import TokenRequestFailed
from mailsettings.smtp.redaction import displayable_text

RESOLVER_TIMEOUT_SECONDS = 4.5
"""A little less than glibc's 5 s for one name server: EAI_AGAIN means silence or failure, so time decides."""
_NAME_UNKNOWN = {socket.EAI_NONAME}
_NAME_WITHOUT_ADDRESS = {
    getattr(socket, name, socket.EAI_NONAME) for name in ("EAI_NODATA", "EAI_ADDRFAMILY")
} - _NAME_UNKNOWN
_NO_RESPONSE = {socket.EAI_AGAIN}


def explain_lookup_error(error: Exception, seconds: float) -> ProbeFailure:
    """Return the failure for a look-up that failed with *error* after *seconds*."""
    return failure(_lookup_code(error, seconds), ProbeStage.RESOLVE)


def _lookup_code(error: Exception, seconds: float) -> FailureCode:
    if not isinstance(error, socket.gaierror):
        return FailureCode.HOST_NOT_FOUND if isinstance(error, UnicodeError) else FailureCode.NAME_SERVER_FAILED
    if error.errno in _NAME_UNKNOWN:
        return FailureCode.HOST_NOT_FOUND
    if error.errno in _NAME_WITHOUT_ADDRESS:
        return FailureCode.HOST_WITHOUT_ADDRESS
    silent = error.errno in _NO_RESPONSE and seconds >= RESOLVER_TIMEOUT_SECONDS
    return FailureCode.NAME_SERVER_TIMED_OUT if silent else FailureCode.NAME_SERVER_FAILED


_TOKEN_MECHANISMS = {"XOAUTH2", "OAUTHBEARER"}
_LOGIN_AFTER_STARTTLS = "the server offers a login only after STARTTLS."
_USE_OAUTH2 = SettingStep(Setting.CLIENT_ID, "Log in by OAuth2, which the server offers.")
_USE_PASSWORD = "Log in by user name and password, which the server offers."  # noqa: S105  # advice
_OVERWRITTEN_KEYWORD = re.compile(r"X{4,}[A-Z]?")
_STARTTLS_REMOVED = (
    "the reply has the word {} in its place: a firewall or mail scanner on the way removes STARTTLS."
)
_STOP_INSPECTION = (
    "Ask the network's administrator to switch off SMTP inspection for this server, or to let STARTTLS pass.",
    "Or use implicit TLS, commonly on port 465, which an inspection cannot rewrite.",
)
_OTHER_PORT_STEPS = {
    465: "Use port 465 with implicit TLS, if the server has it.",
    587: "Use port 587 with STARTTLS, or 465 with implicit TLS, if the server has them.",
}
_ENABLE_PLAIN_LOGIN = (
    "Ask the server's administrator to offer PLAIN or LOGIN; this service supports these and CRAM-MD5."
)


def add_offers(found: ProbeFailure, journal: Journal) -> ProbeFailure:
    """Return *found*, with the server's offers if something is not offered."""
    if found.code is FailureCode.AUTHENTICATION_NOT_OFFERED:
        return _explain_missing_login(found, journal)
    if found.code is FailureCode.STARTTLS_NOT_OFFERED:
        return _explain_missing_starttls(found, journal)
    return found


def _explain_missing_starttls(found: ProbeFailure, journal: Journal) -> ProbeFailure:
    begin, extensions = found.explanation.rstrip("."), journal.offered.extensions
    if overwritten := next(filter(_OVERWRITTEN_KEYWORD.fullmatch, extensions), None):
        return replace(
            found, explanation=f"{begin}; {_STARTTLS_REMOVED.format(overwritten)}", steps=_STOP_INSPECTION
        )
    other = 465 if journal.server.port in {587, 465} else 587
    steps = (_OTHER_PORT_STEPS[other], *found.steps[1:], "Or ask the server's administrator to offer STARTTLS.")
    return replace(found, explanation=f"{begin}{_offer_list(extensions)}.", steps=steps)


def _explain_missing_login(found: ProbeFailure, journal: Journal) -> ProbeFailure:
    mechanisms = journal.offered.mechanisms
    in_clear = journal.server.security is ConnectionSecurity.NONE
    if not mechanisms and in_clear and journal.offered.offers("STARTTLS"):
        change = SuggestedChange(Setting.SECURITY, suggested=ConnectionSecurity.STARTTLS)
        code = FailureCode.ENCRYPTION_REQUIRED
        return failure(code, found.stage, explanation=_LOGIN_AFTER_STARTTLS, changes=(change,))
    explanation = f"{found.explanation.rstrip('.')}{_offer_list(mechanisms, 'no login at all')}."
    return replace(found, explanation=explanation, steps=_login_steps(mechanisms, journal) or found.steps)


def _login_steps(mechanisms: Sequence[str], journal: Journal) -> Steps:
    if not mechanisms:
        return ()
    if isinstance(journal.server.authentication, OAuth2ClientCredentials):
        return (_USE_PASSWORD, "Check that host and port are those of Exchange Online.")
    return (_USE_OAUTH2, _ENABLE_PLAIN_LOGIN) if _TOKEN_MECHANISMS & set(mechanisms) else (_ENABLE_PLAIN_LOGIN,)


def _offer_list(words: Sequence[str], nothing: str = "nothing") -> str:
    return f"; it offers {', '.join(words) or nothing}"


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
"""The setting to check first when the server closed the connection without a reply."""


def explain_error(error: Exception, journal: Journal) -> ProbeFailure:
    """Return the failure for *error* in the current stage; its text contains none of `journal.hidden`."""
    match error:
        case StageFailed():
            if error.stage:
                journal.enter(error.stage)
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
            journal.return_to(ProbeStage.SECURE)  # TLS 1.3: the alert arrives after the client's handshake
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
    """Return whether the stage failed, or its outcome is unknown."""
    return Outcome.UNKNOWN if found.code is FailureCode.DELIVERY_UNKNOWN else Outcome.FAILED


def not_smtp(stage: ProbeStage, protocol: str | None) -> ProbeFailure:
    """Return the failure for a port with another protocol, by name if known."""
    explanation = f"the server on this port speaks {protocol}, not SMTP." if protocol else ""
    return failure(FailureCode.NOT_SMTP, stage, explanation=explanation)


def _explain_reply(answer: ReplyError, journal: Journal) -> ProbeFailure:
    early = journal.stage is ProbeStage.GREET and not journal.greeted
    if early and (protocol := identify_protocol(answer.code, answer.text)):
        journal.greeted = protocol != "TLS"  # the protocol is known, so no scan is needed
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
        case ValueError() if stage is ProbeStage.SECURE:  # Python cannot parse the certificate
            return FailureCode.TLS_CERTIFICATE_INVALID
        case _:
            return FailureCode.UNEXPECTED_REPLY


def _no_connection(error: NotAllowed | NotConnected, stage: ProbeStage) -> ProbeFailure:
    if isinstance(error, NotAllowed):
        return failure(error.code, stage, explanation=error.explanation, steps=error.steps)
    return failure(error.code, stage, explanation=_route_explanation(error))


def _route_explanation(error: NotConnected) -> str:
    """Return an explanation if all addresses are of one family, to which this machine has no route."""
    versions = {ip_address(attempt.address).version for attempt in error.attempts}
    if error.code is not FailureCode.HOST_UNREACHABLE or len(versions) != 1:
        return ""
    version = versions.pop()
    return f"the host has IPv{version} addresses only, and this machine has no route to them."


def _suspect_changes(journal: Journal) -> tuple[SuggestedChange, ...]:
    setting = _SUSPECT_SETTINGS.get(journal.stage)
    return (SuggestedChange(setting),) if setting else ()


def _verification_explanation(code: FailureCode, error: ssl.SSLCertVerificationError) -> str:
    """Return OpenSSL's message if the catalogue has no better text; it contains at most the host."""
    if code in {FailureCode.TLS_CERTIFICATE_INVALID, FailureCode.TLS_KEY_EXCHANGE_WEAK}:
        return f"the server's certificate is not trusted: {error.verify_message}."
    return ""
