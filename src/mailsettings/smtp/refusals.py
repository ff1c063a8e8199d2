"""What a reply of refusal means: the evidence in it comes before the command that it answers.

In this order: what the provider is known to mean; the words; the enhanced status code; and only then the reply
code and the stage. A first digit of 4 does not mean that waiting helps: "relay access denied" is a 454 in Postfix.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from mailsettings.domain.findings import failure
from mailsettings.domain.findings.meaning import ENVELOPE
from mailsettings.domain.mail_server import ConnectionSecurity, OAuth2ClientCredentials
from mailsettings.domain.observation import SMTPReply
from mailsettings.domain.probe import FailureCode, ProbeFailure, ProbeStage
from mailsettings.smtp import grammar, providers
from mailsettings.smtp.advice import LOGIN, Advice
from mailsettings.smtp.errors import Answered, TokenNotTaken
from mailsettings.smtp.journal import Journal
from mailsettings.smtp.replies import reply, shown
from mailsettings.smtp.status import subject_of
from mailsettings.smtp.suspects import pointed

SEND_PERMISSION = "SMTP.SendAsApp"
LONGEST_READ = 2048
_UNAVAILABLE = 421  # RFC 5321 3.8: at any time
_PERMANENT, _TRANSIENT = 5, 4
_EARLY = (ProbeStage.GREET, ProbeStage.SECURE)
_NAMES = re.compile(
    r"<[^>]*>|(?<!\S)[^\s@]++@\S+|(?<![\w.-])[\w-]++(?:\.[\w-]++)*\.[a-z]{2,}\b|[\[(]?\b\d+(?:\.\d+){3}\b[\])]?",
    re.IGNORECASE,
)
"""Addresses and host names: that a host is called relay or tls says nothing about why it refuses."""


def _always(_journal: Journal) -> bool:
    return True


def _in_clear(journal: Journal) -> bool:
    return journal.server.security is ConnectionSecurity.NONE


def _login_left_out(journal: Journal) -> bool:
    """A command out of order: the one that is missing is AUTH."""
    return not journal.logged_in and bool(journal.offered.mechanisms)


def _starttls_done(journal: Journal) -> bool:
    return journal.encrypted


@dataclass(frozen=True, slots=True)
class _Place:
    """What a refusal means by its code, any where none are given, and the stages where it comes."""

    meaning: FailureCode
    stages: Iterable[ProbeStage]
    codes: tuple[int, ...] = ()
    of: Callable[[Journal], bool] = _always

    def fits(self, said: SMTPReply, journal: Journal) -> bool:
        return journal.stage in self.stages and (not self.codes or said.code in self.codes) and self.of(journal)


_PLACES = (
    # RFC 3207 4 and RFC 4954 6: 530 "Must issue a STARTTLS command first", 538 for a mechanism.
    _Place(FailureCode.ENCRYPTION_REQUIRED, (*LOGIN, *ENVELOPE), (538,), _in_clear),
    _Place(FailureCode.AUTHENTICATION_REQUIRED, ENVELOPE, (530, 535)),  # RFC 4954 6
    _Place(FailureCode.AUTHENTICATION_REQUIRED, ENVELOPE, (503,), _login_left_out),
    _Place(FailureCode.UNEXPECTED_REPLY, ENVELOPE, (500, 502, 503)),  # RFC 5321 4.2.4: unknown, out of order
    # RFC 4954 4 and 6, RFC 5321 4.2.4: unknown, not implemented, too weak, too long, out of order.
    _Place(FailureCode.MECHANISM_REFUSED, LOGIN, (500, 501, 502, 503, 504, 534, 538)),
    _Place(FailureCode.ACCOUNT_DISABLED, LOGIN, (525,)),  # RFC 5248 2.4
    _Place(FailureCode.AUTHENTICATION_FAILED, LOGIN),
    _Place(FailureCode.MESSAGE_TOO_LARGE, (ProbeStage.SENDER, ProbeStage.CONTENT), (552,)),  # RFC 1870 6
    _Place(FailureCode.SENDER_NOT_ALLOWED, (ProbeStage.SENDER,)),
    _Place(FailureCode.RECIPIENT_REFUSED, (ProbeStage.RECIPIENT,)),
    _Place(FailureCode.MESSAGE_REFUSED, (ProbeStage.CONTENT,)),
    _Place(FailureCode.SERVER_REFUSED, (ProbeStage.SECURE,), (), _starttls_done),  # the greeting after it
    _Place(FailureCode.STARTTLS_REFUSED, (ProbeStage.SECURE,)),
    _Place(FailureCode.SERVER_REFUSED, (ProbeStage.GREET,)),
)


def explain(answer: Answered, refusal: SMTPReply, journal: Journal) -> ProbeFailure:
    """What *answer* means where *journal* stands; *refusal* is the same made fit to be shown."""
    stage = journal.stage
    if refusal.code // 100 not in {_TRANSIENT, _PERMANENT}:
        code = FailureCode.DELIVERY_UNKNOWN if journal.dot_sent else FailureCode.UNEXPECTED_REPLY
        return failure(code, stage, reply=refusal)
    said = reply(answer.code, answer.text, (), LONGEST_READ)
    advice = providers.advice_on(said, stage)
    if _by_token(journal) and (advice is None or advice.code is FailureCode.AUTHENTICATION_FAILED):
        return _token_not_taken(answer, refusal, journal)
    advice = advice or _judged(replace(said, text=_NAMES.sub(" ", said.text)), journal)
    return pointed(advice, refusal, journal)


_DENIED = re.compile(r"(?<!relay )access denied\W*$|permissions? to (submit|send)\b", re.IGNORECASE)
_NOT_LOGGED_IN = Advice(
    FailureCode.AUTHENTICATION_REQUIRED,
    "",
    "the server denies access to clients that have not logged in, and it offers a login.",
)


def _judged(said: SMTPReply, journal: Journal) -> Advice:
    """The row that fits *said*, whose names are taken out; one is made where only code and place speak."""
    if _is_denied_without_login(said, journal):
        return _NOT_LOGGED_IN
    for_now = said.code // 100 == _TRANSIENT
    rows = (*grammar.GREYLISTING, *grammar.ROWS, *grammar.BUSY) if for_now else grammar.ROWS
    fitting = (row for row in rows if row.fits(said, journal.stage) and _possible(row.code, journal))
    found = next(fitting, None)
    subject = subject_of(said.enhanced_code)
    vague = found is None or found in grammar.BUSY
    if vague and subject is not None and _possible(subject, journal):
        return Advice(subject, "")
    return found or Advice(_by_place(said, journal), "")


def _is_denied_without_login(said: SMTPReply, journal: Journal) -> bool:
    """Postfix's submission ports say no more than "Access denied" (`permit_sasl_authenticated, reject`)."""
    could_log_in = journal.offered.mechanisms and not journal.logged_in
    return bool(could_log_in and journal.stage in ENVELOPE and _DENIED.search(said.text))


def _by_place(said: SMTPReply, journal: Journal) -> FailureCode:
    if said.code == _UNAVAILABLE or (said.code // 100 == _TRANSIENT and journal.stage is ProbeStage.GREET):
        return FailureCode.SERVER_UNAVAILABLE
    if said.code // 100 == _TRANSIENT and journal.stage not in _EARLY:
        return FailureCode.TEMPORARY_REFUSAL
    place = next(place for place in _PLACES if place.fits(said, journal))
    is_policy = (said.enhanced_code or "")[1:] in {".7.0", ".7.1"}  # RFC 3463 3.8: not authorised, no more
    if is_policy and not place.codes and journal.stage in {ProbeStage.SENDER, ProbeStage.RECIPIENT}:
        return FailureCode.POLICY_REFUSED
    return place.meaning


def _possible(code: FailureCode, journal: Journal) -> bool:
    """Whether *code* can be right: encryption is missing only in clear, and a login is refused at AUTH."""
    if code is FailureCode.ENCRYPTION_REQUIRED:
        return _in_clear(journal)
    if code in {FailureCode.AUTHENTICATION_FAILED, FailureCode.MECHANISM_REFUSED}:
        return journal.stage is ProbeStage.AUTHENTICATE
    if code is FailureCode.RECIPIENT_REFUSED:
        return journal.stage in {ProbeStage.RECIPIENT, ProbeStage.CONTENT}
    return True


def _by_token(journal: Journal) -> bool:
    login = journal.server.authentication
    return journal.stage is ProbeStage.AUTHENTICATE and isinstance(login, OAuth2ClientCredentials)


def _token_not_taken(answer: Answered, refusal: SMTPReply, journal: Journal) -> ProbeFailure:
    if journal.permissions is not None and SEND_PERMISSION not in journal.permissions:
        return failure(FailureCode.OAUTH2_CONSENT_MISSING, journal.stage, reply=refusal)
    challenge = shown(answer.challenge, journal.hidden) if isinstance(answer, TokenNotTaken) else ""
    explanation = "the authority gave an access token, and the mail server rejected it"
    said = f"{explanation} ({challenge})." if challenge else ""
    return failure(FailureCode.OAUTH2_LOGIN_REFUSED, journal.stage, explanation=said, reply=refusal)
