"""What a reply of refusal means: first by the provider's habits, then by the code and where it came."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from mailsettings.domain.findings import failure
from mailsettings.domain.findings.meaning import ENVELOPE
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, OAuth2ClientCredentials
from mailsettings.domain.observation import SMTPReply
from mailsettings.domain.probe import Change, FailureCode, ProbeFailure, ProbeStage
from mailsettings.domain.setting import Setting
from mailsettings.smtp import providers
from mailsettings.smtp.errors import Answered, TokenNotTaken
from mailsettings.smtp.journal import Journal
from mailsettings.smtp.replies import reply, shown

SEND_PERMISSION = "SMTP.SendAsApp"
_UNAVAILABLE = 421  # RFC 5321 3.8: at any time
_PERMANENT = 5
_TRANSIENT = 4


def _always(_server: MailServer) -> bool:
    return True


def _in_clear(server: MailServer) -> bool:
    return server.security is ConnectionSecurity.NONE


def _without_login(server: MailServer) -> bool:
    return server.secret is None


@dataclass(frozen=True, slots=True)
class _Rule:
    """Fits replies of these codes, any where none are given, in these stages, with words like these."""

    code: FailureCode
    stages: Iterable[ProbeStage]
    codes: tuple[int, ...] = ()
    words: str = ""
    to: Callable[[MailServer], bool] = _always

    def fits(self, said: SMTPReply, journal: Journal) -> bool:
        return (
            journal.stage in self.stages
            and (not self.codes or said.code in self.codes)
            and self.to(journal.server)
            and re.search(self.words, str(said), re.IGNORECASE) is not None
        )


_LOGIN = (ProbeStage.AUTHENTICATE,)
_ENCRYPT = r"STARTTLS|\bTLS\b|encrypt"
_LOG_IN = r"authenticat(e|ion)\b.*\brequired"
_RULES = (
    # RFC 3463 3.2: 5.1.x is about an address, whatever the words.
    _Rule(FailureCode.SENDER_NOT_ALLOWED, (ProbeStage.SENDER,), (), r"^\d+ 5\.1\."),
    _Rule(FailureCode.RECIPIENT_REFUSED, (ProbeStage.RECIPIENT,), (), r"^\d+ 5\.1\."),
    # RFC 3207 4 and RFC 4954 6: 530 "Must issue a STARTTLS command first", 538 for a mechanism.
    _Rule(FailureCode.ENCRYPTION_REQUIRED, (*_LOGIN, *ENVELOPE), (538,), to=_in_clear),
    _Rule(FailureCode.ENCRYPTION_REQUIRED, (*_LOGIN, *ENVELOPE), (530, 550, 554), _ENCRYPT, _in_clear),
    _Rule(FailureCode.AUTHENTICATION_REQUIRED, ENVELOPE, (530,), to=_without_login),  # RFC 4954 6
    _Rule(FailureCode.AUTHENTICATION_REQUIRED, ENVELOPE, (550, 553, 554), _LOG_IN, _without_login),
    # RFC 4954 4 and 6, RFC 5321 4.2.4: unknown, not implemented, too weak, too long, out of order.
    _Rule(FailureCode.MECHANISM_REFUSED, _LOGIN, (500, 501, 502, 503, 504, 534, 538)),
    _Rule(FailureCode.AUTHENTICATION_FAILED, _LOGIN),
    _Rule(FailureCode.SENDER_NOT_ALLOWED, (ProbeStage.SENDER,)),
    _Rule(FailureCode.RELAY_REFUSED, (ProbeStage.RECIPIENT,), (), r"\brelay"),
    _Rule(FailureCode.RECIPIENT_REFUSED, (ProbeStage.RECIPIENT,)),
    _Rule(FailureCode.MESSAGE_REFUSED, (ProbeStage.CONTENT,)),
    _Rule(FailureCode.STARTTLS_REFUSED, (ProbeStage.SECURE,)),
    _Rule(FailureCode.SERVER_REFUSED, (ProbeStage.GREET,)),
)
_NAMES = re.compile(r"<[^>]*>|\S+@\S+|\b[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}\b", re.IGNORECASE)
"""Addresses and host names: that a host is called relay or tls says nothing about why it refuses."""
LONGEST_READ = 1000


def explain(answer: Answered, refusal: SMTPReply, journal: Journal) -> ProbeFailure:  # noqa: PLR0911  # in turn
    """What *answer* means where *journal* stands; *refusal* is the same made fit to be shown."""
    stage = journal.stage
    if refusal.code == _UNAVAILABLE:
        return failure(FailureCode.SERVER_UNAVAILABLE, stage, reply=refusal)
    if refusal.code // 100 not in {_TRANSIENT, _PERMANENT}:
        code = FailureCode.DELIVERY_UNKNOWN if journal.dot_sent else FailureCode.UNEXPECTED_REPLY
        return failure(code, stage, reply=refusal)
    said = reply(answer.code, answer.text, (), LONGEST_READ)
    if advice := providers.advice_on(said, stage):
        return failure(advice.code, stage, explanation=advice.explanation, steps=advice.steps, reply=refusal)
    if stage is ProbeStage.AUTHENTICATE and isinstance(journal.server.authentication, OAuth2ClientCredentials):
        return _token_not_taken(answer, refusal, journal)
    if refusal.code // 100 == _TRANSIENT and stage not in {ProbeStage.GREET, ProbeStage.SECURE}:
        return failure(FailureCode.TEMPORARY_REFUSAL, stage, reply=refusal)
    if journal.encrypted:  # STARTTLS went well; it is the greeting after it that is refused
        return failure(FailureCode.SERVER_REFUSED, stage, reply=refusal)
    said = replace(said, text=_NAMES.sub(" ", said.text))
    code = next(rule.code for rule in _RULES if rule.fits(said, journal))
    return failure(code, stage, changes=_changes(code), reply=refusal)


def _changes(code: FailureCode) -> tuple[Change, ...]:
    if code is FailureCode.ENCRYPTION_REQUIRED:
        return (Change(Setting.SECURITY, suggested=ConnectionSecurity.STARTTLS),)
    return ()


def _token_not_taken(answer: Answered, refusal: SMTPReply, journal: Journal) -> ProbeFailure:
    if journal.permissions is not None and SEND_PERMISSION not in journal.permissions:
        return failure(FailureCode.OAUTH2_CONSENT_MISSING, journal.stage, reply=refusal)
    challenge = shown(answer.challenge, journal.hidden) if isinstance(answer, TokenNotTaken) else ""
    explanation = "the access token was had, and the mail server does not let it in"
    said = f"{explanation} ({challenge})." if challenge else ""
    return failure(FailureCode.OAUTH2_LOGIN_REFUSED, journal.stage, explanation=said, reply=refusal)
