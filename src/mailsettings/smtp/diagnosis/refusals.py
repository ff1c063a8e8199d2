"""Explain a refusing reply: evidence in the reply counts more than the command that it answers.

The order: replies of known providers; phrases; the enhanced status code (RFC 3463); then the reply code and the
stage. A first digit of 4 does not mean that waiting helps: Postfix sends "relay access denied" as 454.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from mailsettings.domain.connection_test import FailureCode, ProbeFailure, ProbeStage
from mailsettings.domain.findings import failure
from mailsettings.domain.findings.meaning import ENVELOPE
from mailsettings.domain.mail_server import ConnectionSecurity, OAuth2ClientCredentials
from mailsettings.domain.observation import SMTPReply
from mailsettings.smtp.diagnosis import phrases, providers
from mailsettings.smtp.diagnosis.advice import LOGIN_STAGE, Advice, finding_from_advice
from mailsettings.smtp.errors import ReplyError, TokenRejected
from mailsettings.smtp.journal import Journal
from mailsettings.smtp.redaction import displayable_reply, displayable_text

# Only codes that name their subject. X.7.1 is missing: Postfix sends it with every refusal.
_CODES_BY_STATUS: Mapping[str, FailureCode] = {
    # RFC 3463 3.2, addressing: 1 to 6 and 9 are the destination's, 7 and 8 the sender's. RFC 7505: 1.10 and 7.27.
    **dict.fromkeys(("1.1", "1.2", "1.3", "1.4", "1.6", "1.10"), FailureCode.RECIPIENT_REFUSED),
    **dict.fromkeys(("1.7", "1.8", "7.27"), FailureCode.SENDER_NOT_ALLOWED),
    "2.2": FailureCode.RECIPIENT_REFUSED,  # mailbox full
    "2.3": FailureCode.MESSAGE_TOO_LARGE,  # for the mailbox
    "3.4": FailureCode.MESSAGE_TOO_LARGE,  # for the system
    "3.5": FailureCode.SERVER_FAULT,  # system incorrectly configured
    **dict.fromkeys(("7.8", "7.12"), FailureCode.AUTHENTICATION_FAILED),  # RFC 4954 6
    "7.9": FailureCode.MECHANISM_REFUSED,  # RFC 4954 6
    **dict.fromkeys(("7.10", "7.11"), FailureCode.ENCRYPTION_REQUIRED),  # RFC 5248 2.4, RFC 4954 6
    "7.13": FailureCode.ACCOUNT_DISABLED,  # RFC 5248 2.4
    **dict.fromkeys(
        [f"7.{detail}" for detail in (*range(20, 25), 26)], FailureCode.SENDER_NOT_ALLOWED
    ),  # RFC 7372
    "7.25": FailureCode.CLIENT_REFUSED,  # RFC 7372: reverse DNS validation failed
    "7.28": FailureCode.SENDING_LIMIT_REACHED,  # mail flood detected
}


def code_for_enhanced_status(enhanced_code: str | None) -> FailureCode | None:
    """Return the failure code for *enhanced_code*, if it names a subject."""
    return _CODES_BY_STATUS.get(enhanced_code.partition(".")[2]) if enhanced_code else None


SEND_PERMISSION = "SMTP.SendAsApp"
MAX_READ_LENGTH = 2048
_SERVICE_UNAVAILABLE = 421  # RFC 5321 3.8: at any time
_PERMANENT, _TRANSIENT = 5, 4
_EARLY_STAGES = (ProbeStage.GREET, ProbeStage.SECURE)
_ADDRESSES_AND_HOST_NAMES = re.compile(
    r"<[^>]*>|(?<!\S)[^\s@]++@\S+|(?<![\w.-])[\w-]++(?:\.[\w-]++)*\.[a-z]{2,}\b|[\[(]?\b\d+(?:\.\d+){3}\b[\])]?",
    re.IGNORECASE,
)
"""Addresses and host names. A host called relay or tls says nothing about the cause of a refusal."""


def _always(_journal: Journal) -> bool:
    return True


def _in_clear(journal: Journal) -> bool:
    return journal.server.security is ConnectionSecurity.NONE


def _login_was_skipped(journal: Journal) -> bool:
    """Return whether the missing command before an out-of-order command may be AUTH."""
    return not journal.logged_in and bool(journal.offered.mechanisms)


def _starttls_done(journal: Journal) -> bool:
    return journal.encrypted


@dataclass(frozen=True, slots=True)
class _DefaultMeaning:
    """The meaning of a refusal by its stage and reply code (any code, if `codes` is empty)."""

    meaning: FailureCode
    stages: Iterable[ProbeStage]
    codes: tuple[int, ...] = ()
    of: Callable[[Journal], bool] = _always

    def matches(self, said: SMTPReply, journal: Journal) -> bool:
        return journal.stage in self.stages and (not self.codes or said.code in self.codes) and self.of(journal)


_DEFAULT_MEANINGS = (
    # RFC 3207 4 and RFC 4954 6: 530 "Must issue a STARTTLS command first", 538 for a mechanism.
    _DefaultMeaning(FailureCode.ENCRYPTION_REQUIRED, (*LOGIN_STAGE, *ENVELOPE), (538,), _in_clear),
    _DefaultMeaning(FailureCode.AUTHENTICATION_REQUIRED, ENVELOPE, (530, 535)),  # RFC 4954 6
    _DefaultMeaning(FailureCode.AUTHENTICATION_REQUIRED, ENVELOPE, (503,), _login_was_skipped),
    _DefaultMeaning(
        FailureCode.UNEXPECTED_REPLY, ENVELOPE, (500, 502, 503)
    ),  # RFC 5321 4.2.4: unknown, out of order
    # RFC 4954 4 and 6, RFC 5321 4.2.4: unknown, not implemented, too weak, too long, out of order.
    _DefaultMeaning(FailureCode.MECHANISM_REFUSED, LOGIN_STAGE, (500, 501, 502, 503, 504, 534, 538)),
    _DefaultMeaning(FailureCode.ACCOUNT_DISABLED, LOGIN_STAGE, (525,)),  # RFC 5248 2.4
    _DefaultMeaning(FailureCode.AUTHENTICATION_FAILED, LOGIN_STAGE),
    _DefaultMeaning(FailureCode.MESSAGE_TOO_LARGE, (ProbeStage.SENDER, ProbeStage.CONTENT), (552,)),  # RFC 1870 6
    _DefaultMeaning(FailureCode.SENDER_NOT_ALLOWED, (ProbeStage.SENDER,)),
    _DefaultMeaning(FailureCode.RECIPIENT_REFUSED, (ProbeStage.RECIPIENT,)),
    _DefaultMeaning(FailureCode.MESSAGE_REFUSED, (ProbeStage.CONTENT,)),
    _DefaultMeaning(
        FailureCode.SERVER_REFUSED, (ProbeStage.SECURE,), (), _starttls_done
    ),  # the reply to EHLO after TLS
    _DefaultMeaning(FailureCode.STARTTLS_REFUSED, (ProbeStage.SECURE,)),
    _DefaultMeaning(FailureCode.SERVER_REFUSED, (ProbeStage.GREET,)),
)


def explain_refusal(answer: ReplyError, refusal: SMTPReply, journal: Journal) -> ProbeFailure:
    """Return the failure for *answer* in the current stage; *refusal* is the same reply, redacted."""
    stage = journal.stage
    if refusal.code // 100 not in {_TRANSIENT, _PERMANENT}:
        code = FailureCode.DELIVERY_UNKNOWN if journal.message_sent else FailureCode.UNEXPECTED_REPLY
        return failure(code, stage, reply=refusal)
    said = displayable_reply(answer.code, answer.text, (), MAX_READ_LENGTH)
    advice = providers.find_advice(said, stage)
    if _logs_in_with_token(journal) and (advice is None or advice.code is FailureCode.AUTHENTICATION_FAILED):
        return _explain_token_rejection(answer, refusal, journal)
    advice = advice or _advice_for(replace(said, text=_ADDRESSES_AND_HOST_NAMES.sub(" ", said.text)), journal)
    return finding_from_advice(advice, refusal, journal)


_DENIED = re.compile(r"(?<!relay )access denied\W*$|permissions? to (submit|send)\b", re.IGNORECASE)
_NOT_LOGGED_IN = Advice(
    FailureCode.AUTHENTICATION_REQUIRED,
    "",
    "the server denies access to clients that have not logged in.",
)


def _advice_for(said: SMTPReply, journal: Journal) -> Advice:
    """Return the row for *said* (without host names); if none matches, a row from code and stage."""
    if _is_denied_without_login(said, journal):
        return _NOT_LOGGED_IN
    for_now = said.code // 100 == _TRANSIENT
    rows = (*phrases.GREYLISTING, *phrases.ROWS, *phrases.BUSY) if for_now else phrases.ROWS
    fitting = (row for row in rows if row.matches(said, journal.stage) and _is_plausible(row.code, journal))
    found = next(fitting, None)
    subject = code_for_enhanced_status(said.enhanced_code)
    vague = found is None or found in phrases.BUSY
    if vague and subject is not None and _is_plausible(subject, journal):
        return Advice(subject, "")
    return found or Advice(_default_code(said, journal), "")


def _is_denied_without_login(said: SMTPReply, journal: Journal) -> bool:
    """Return whether "Access denied" means a missing login (Postfix's `permit_sasl_authenticated, reject`)."""
    could_log_in = journal.offered.mechanisms and not journal.logged_in
    return bool(could_log_in and journal.stage in ENVELOPE and _DENIED.search(said.text))


def _default_code(said: SMTPReply, journal: Journal) -> FailureCode:
    if said.code == _SERVICE_UNAVAILABLE or (said.code // 100 == _TRANSIENT and journal.stage is ProbeStage.GREET):
        return FailureCode.SERVER_UNAVAILABLE
    if said.code // 100 == _TRANSIENT and journal.stage not in _EARLY_STAGES:
        return FailureCode.TEMPORARY_REFUSAL
    place = next(place for place in _DEFAULT_MEANINGS if place.matches(said, journal))
    is_policy = (said.enhanced_code or "")[1:] in {".7.0", ".7.1"}  # RFC 3463 3.8: a policy, no details
    if is_policy and not place.codes and journal.stage in {ProbeStage.SENDER, ProbeStage.RECIPIENT}:
        return FailureCode.POLICY_REFUSED
    return place.meaning


def _is_plausible(code: FailureCode, journal: Journal) -> bool:
    """Return whether *code* is possible: for example, encryption is required only on an unencrypted session."""
    if code is FailureCode.ENCRYPTION_REQUIRED:
        return _in_clear(journal)
    if code in {FailureCode.AUTHENTICATION_FAILED, FailureCode.MECHANISM_REFUSED}:
        return journal.stage is ProbeStage.AUTHENTICATE
    if code is FailureCode.RECIPIENT_REFUSED:
        return journal.stage in {ProbeStage.RECIPIENT, ProbeStage.CONTENT}
    return True


def _logs_in_with_token(journal: Journal) -> bool:
    login = journal.server.authentication
    return journal.stage is ProbeStage.AUTHENTICATE and isinstance(login, OAuth2ClientCredentials)


def _explain_token_rejection(answer: ReplyError, refusal: SMTPReply, journal: Journal) -> ProbeFailure:
    if journal.permissions is not None and SEND_PERMISSION not in journal.permissions:
        return failure(FailureCode.OAUTH2_CONSENT_MISSING, journal.stage, reply=refusal)
    challenge = displayable_text(answer.challenge, journal.hidden) if isinstance(answer, TokenRejected) else ""
    explanation = "the mail server rejected the access token that the authority issued"
    said = f"{explanation} ({challenge})." if challenge else ""
    return failure(FailureCode.OAUTH2_LOGIN_REFUSED, journal.stage, explanation=said, reply=refusal)
