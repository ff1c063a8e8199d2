"""Advice rows, which the tables of replies consist of, and the finding that a row makes for one test."""

import re
from dataclasses import dataclass

from mailsettings.domain.connection_test import FailureCode, ProbeFailure, ProbeStage, Steps, SuggestedChange
from mailsettings.domain.findings import FAILURES, failure
from mailsettings.domain.findings.meaning import ENVELOPE
from mailsettings.domain.mail_server import AmbientCredentials, ConnectionSecurity
from mailsettings.domain.observation import SMTPReply
from mailsettings.domain.setting import SERVICE_SETTINGS, Setting
from mailsettings.smtp.journal import Journal

LOGIN_STAGE = (ProbeStage.AUTHENTICATE,)
LOGIN_AND_ENVELOPE_STAGES = (*LOGIN_STAGE, *ENVELOPE)
ANY_STAGE = (ProbeStage.GREET, ProbeStage.SECURE, *LOGIN_AND_ENVELOPE_STAGES)


@dataclass(frozen=True, slots=True)
class Advice:
    """The meaning of replies that match *words*, a pattern for code, enhanced code and text together.

    Without an explanation or steps, a row uses those of its code. *source* names the server or provider and the
    page or report, with its date or the day it was read.
    """

    code: FailureCode
    words: str
    explanation: str = ""
    steps: Steps = ()
    stages: tuple[ProbeStage, ...] = ANY_STAGE
    source: str = ""

    def matches(self, reply: SMTPReply, stage: ProbeStage) -> bool:
        """Return whether the row matches *reply* in *stage*."""
        return stage in self.stages and re.search(self.words, str(reply), re.IGNORECASE) is not None


_EHLO = SERVICE_SETTINGS[Setting.EHLO_NAME]
_TEMPORARY_CODES = {FailureCode.SERVER_UNAVAILABLE, FailureCode.TEMPORARY_REFUSAL}
_POLICY_EXPLANATION = (
    "a rule of the server forbids this, and the reply does not say which rule; "
    "at this stage it knows the sender, the login and this machine."
)
_LOGIN_STILL_REQUIRED = (
    "the server asks for a login although it accepted this login; the account may lack the right to send.",
    ("Ask the server's administrator whether this account may send mail.",),
)
_RELAY_STILL_REFUSED = (
    "the server does not relay to other domains on this port although it accepted the login.",
    (
        "Ask the server's administrator whether this login may send to other domains.",
        "Use the port for message submission: 587 with STARTTLS, or 465 with implicit TLS.",
    ),
)


def finding_from_advice(advice: Advice, refusal: SMTPReply, journal: Journal) -> ProbeFailure:
    """Return the failure for *advice* in this test; *refusal* is the redacted reply."""
    explanation, steps = _adjust_to_test(advice, journal)
    return failure(
        advice.code,
        journal.stage,
        explanation=explanation,
        steps=steps,
        changes=_suggested_changes(advice.code, journal),
        reply=refusal,
    )


def _adjust_to_test(advice: Advice, journal: Journal) -> tuple[str, Steps]:  # noqa: PLR0911  # a table
    """Return explanation and steps of the row, else of the catalogue, with details of this test."""
    meaning = FAILURES[advice.code]
    explanation, steps = advice.explanation or meaning.explanation, advice.steps or meaning.steps
    match advice.code:
        case FailureCode.EHLO_NAME_REFUSED if journal.ehlo_name:
            return f"{explanation.rstrip('.')} (EHLO name: {journal.ehlo_name}).", steps
        case FailureCode.MESSAGE_TOO_LARGE:
            return f"{explanation.rstrip('.')}{_size_explanation(journal)}.", steps
        case FailureCode.AUTHENTICATION_REQUIRED if journal.logged_in and not advice.explanation:
            return _LOGIN_STILL_REQUIRED
        case FailureCode.RELAY_REFUSED if journal.logged_in and not advice.explanation:
            return _RELAY_STILL_REFUSED
        case FailureCode.POLICY_REFUSED if journal.stage is ProbeStage.SENDER:
            return _POLICY_EXPLANATION, steps
        case code if code in _TEMPORARY_CODES and journal.stage is ProbeStage.GREET and journal.greeted:
            hint = f"If this persists, set {_EHLO}: some servers close the connection to refuse it."
            return explanation, (*steps, hint)
        case _:
            return explanation, steps


def _size_explanation(journal: Journal) -> str:
    limit = journal.offered.size_limit
    return f": the server's limit (SIZE) is {limit} bytes" if limit else ""


def _suggested_changes(code: FailureCode, journal: Journal) -> tuple[SuggestedChange, ...]:
    match code:
        case FailureCode.ENCRYPTION_REQUIRED:
            return (SuggestedChange(Setting.SECURITY, suggested=ConnectionSecurity.STARTTLS),)
        case FailureCode.EHLO_NAME_REFUSED:
            return (SuggestedChange(Setting.EHLO_NAME, current=journal.ehlo_name or None),)
        case FailureCode.AUTHENTICATION_REQUIRED | FailureCode.RELAY_REFUSED if journal.server.secret is None:
            return _login_changes(journal)
        case FailureCode.RELAY_REFUSED | FailureCode.AUTHENTICATION_REQUIRED:
            return (SuggestedChange(Setting.USERNAME),)
        case FailureCode.POLICY_REFUSED if journal.stage is ProbeStage.SENDER:
            return (SuggestedChange(Setting.SENDER_ADDRESS),)
        case _:
            return ()


def _login_changes(journal: Journal) -> tuple[SuggestedChange, ...]:
    """Return the settings that a login needs."""
    ambient = isinstance(journal.server.authentication, AmbientCredentials)
    first = Setting.DEFAULT_CREDENTIALS if ambient else Setting.AUTHENTICATION
    return (SuggestedChange(first), SuggestedChange(Setting.USERNAME), SuggestedChange(Setting.PASSWORD))
