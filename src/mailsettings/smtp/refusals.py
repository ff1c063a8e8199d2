"""What a reply of refusal means: first by the provider's habits, then by the code and where it came."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from mailsettings.domain.findings import failure
from mailsettings.domain.mail_server import ConnectionSecurity, OAuth2ClientCredentials
from mailsettings.domain.observation import SMTPReply
from mailsettings.domain.probe import Change, FailureCode, ProbeFailure, ProbeStage
from mailsettings.domain.setting import Setting
from mailsettings.smtp import providers
from mailsettings.smtp.errors import Answered, TokenNotTaken
from mailsettings.smtp.journal import Journal

SEND_PERMISSION = "SMTP.SendAsApp"
_UNAVAILABLE = 421  # RFC 5321 3.8: at any time
_PERMANENT = 5
_TRANSIENT = 4


@dataclass(frozen=True, slots=True)
class _Rule:
    """Fits replies of these codes, any where none are given, in these stages, with words like these."""

    code: FailureCode
    stages: Iterable[ProbeStage]
    codes: tuple[int, ...] = ()
    words: str = ""

    def fits(self, stage: ProbeStage, reply: SMTPReply) -> bool:
        return (
            stage in self.stages
            and (not self.codes or reply.code in self.codes)
            and re.search(self.words, str(reply), re.IGNORECASE) is not None
        )


_ENVELOPE = (ProbeStage.SENDER, ProbeStage.RECIPIENT, ProbeStage.CONTENT)
_LOGIN = (ProbeStage.AUTHENTICATE,)
_RULES = (
    # RFC 3207 4 and RFC 4954 6: 530 "Must issue a STARTTLS command first", 538 for a mechanism.
    _Rule(FailureCode.ENCRYPTION_REQUIRED, (*_LOGIN, *_ENVELOPE), (538,)),
    _Rule(FailureCode.ENCRYPTION_REQUIRED, (*_LOGIN, *_ENVELOPE), (530, 550, 554), r"STARTTLS|\bTLS\b|encrypt"),
    _Rule(FailureCode.AUTHENTICATION_REQUIRED, (*_LOGIN, *_ENVELOPE), (530,)),  # RFC 4954 6
    _Rule(FailureCode.AUTHENTICATION_REQUIRED, _ENVELOPE, (550, 553, 554), r"authenticat(e|ion)\b.*\brequired"),
    # RFC 4954 4 and 6, RFC 5321 4.2.4: unknown, not implemented, too weak, too long, out of order.
    _Rule(FailureCode.MECHANISM_REFUSED, _LOGIN, (500, 501, 502, 503, 504, 534)),
    _Rule(FailureCode.AUTHENTICATION_FAILED, _LOGIN),
    _Rule(FailureCode.SENDER_NOT_ALLOWED, _ENVELOPE, (), r"SendAsDenied|send ?as this sender|5\.7\.60"),
    _Rule(FailureCode.SENDER_NOT_ALLOWED, (ProbeStage.SENDER,)),
    _Rule(FailureCode.RELAY_REFUSED, (ProbeStage.RECIPIENT,), (), r"\brelay"),
    _Rule(FailureCode.RECIPIENT_REFUSED, (ProbeStage.RECIPIENT,)),
    _Rule(FailureCode.MESSAGE_REFUSED, (ProbeStage.CONTENT,)),
    _Rule(FailureCode.STARTTLS_REFUSED, (ProbeStage.SECURE,)),
    _Rule(FailureCode.SERVER_REFUSED, (ProbeStage.GREET,)),
)


def explain(answer: Answered, reply: SMTPReply, journal: Journal) -> ProbeFailure:  # noqa: PLR0911  # in turn
    """What *reply*, which is *answer* made fit to be shown, means where *journal* stands."""
    stage = journal.stage
    if reply.code == _UNAVAILABLE:
        return failure(FailureCode.SERVER_UNAVAILABLE, stage, reply=reply)
    if reply.code // 100 not in {_TRANSIENT, _PERMANENT}:
        code = FailureCode.DELIVERY_UNKNOWN if journal.dot_sent else FailureCode.UNEXPECTED_REPLY
        return failure(code, stage, reply=reply)
    if advice := providers.advice_on(reply, stage):
        return failure(advice.code, stage, explanation=advice.explanation, steps=advice.steps, reply=reply)
    if stage is ProbeStage.AUTHENTICATE and isinstance(journal.server.authentication, OAuth2ClientCredentials):
        return _token_not_taken(answer, reply, journal)
    if reply.code // 100 == _TRANSIENT and stage not in {ProbeStage.GREET, ProbeStage.SECURE}:
        return failure(FailureCode.TEMPORARY_REFUSAL, stage, reply=reply)
    if journal.encrypted:  # STARTTLS went well; it is the greeting after it that is refused
        return failure(FailureCode.SERVER_REFUSED, stage, reply=reply)
    code = next(rule.code for rule in _RULES if rule.fits(stage, reply))
    return failure(code, stage, changes=_changes(code, journal), reply=reply)


def _changes(code: FailureCode, journal: Journal) -> tuple[Change, ...]:
    if code is FailureCode.ENCRYPTION_REQUIRED and journal.server.security is ConnectionSecurity.NONE:
        return (Change(Setting.SECURITY, suggested=ConnectionSecurity.STARTTLS),)
    return ()


def _token_not_taken(answer: Answered, reply: SMTPReply, journal: Journal) -> ProbeFailure:
    if journal.permissions is not None and SEND_PERMISSION not in journal.permissions:
        return failure(FailureCode.OAUTH2_CONSENT_MISSING, journal.stage, reply=reply)
    challenge = answer.challenge if isinstance(answer, TokenNotTaken) else ""
    explanation = "the access token was had, and the mail server does not let it in"
    said = f"{explanation} ({challenge})." if challenge else ""
    return failure(FailureCode.OAUTH2_LOGIN_REFUSED, journal.stage, explanation=said, reply=reply)
