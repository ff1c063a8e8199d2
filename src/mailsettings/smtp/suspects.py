"""From what a refusal means to a finding about this test: its settings, its EHLO name, the server's limits."""

from mailsettings.domain.findings import FAILURES, failure
from mailsettings.domain.mail_server import AmbientCredentials, ConnectionSecurity
from mailsettings.domain.observation import SMTPReply
from mailsettings.domain.probe import Change, FailureCode, ProbeFailure, ProbeStage, Steps
from mailsettings.domain.setting import SERVICE_SETTINGS, Setting
from mailsettings.smtp.advice import Advice
from mailsettings.smtp.journal import Journal

_EHLO = SERVICE_SETTINGS[Setting.EHLO_NAME]
_FOR_NOW = {FailureCode.SERVER_UNAVAILABLE, FailureCode.TEMPORARY_REFUSAL}
_POLICY = (
    "a rule of the server forbids this, and the reply does not say which; "
    "so far it knows the sender, the login and this machine."
)
_STILL_WANTED = (
    "the server asks for a login, although it accepted this one; the account may not be one that sends.",
    ("Ask whoever runs the server whether this account may send mail.",),
)
_STILL_NO_RELAY = (
    "the server does not relay to other domains here, although it accepted the login.",
    (
        "Ask whoever runs the server whether this login may send to other domains.",
        "Use the port for message submission: 587 with STARTTLS, or 465 with implicit TLS.",
    ),
)


def pointed(advice: Advice, refusal: SMTPReply, journal: Journal) -> ProbeFailure:
    """*advice* as a finding about this test; *refusal* is the reply, fit to be shown."""
    explanation, steps = _for_this_test(advice, journal)
    return failure(
        advice.code,
        journal.stage,
        explanation=explanation,
        steps=steps,
        changes=_changes(advice.code, journal),
        reply=refusal,
    )


def _for_this_test(advice: Advice, journal: Journal) -> tuple[str, Steps]:  # noqa: PLR0911  # a table
    """The row's words, else the catalogue's, with what this test knows beside."""
    meaning = FAILURES[advice.code]
    explanation, steps = advice.explanation or meaning.explanation, advice.steps or meaning.steps
    match advice.code:
        case FailureCode.EHLO_NAME_REFUSED if journal.ehlo_name:
            return f"{explanation.rstrip('.')} (EHLO name: {journal.ehlo_name}).", steps
        case FailureCode.MESSAGE_TOO_LARGE:
            return f"{explanation.rstrip('.')}{_size(journal)}.", steps
        case FailureCode.AUTHENTICATION_REQUIRED if journal.logged_in and not advice.explanation:
            return _STILL_WANTED
        case FailureCode.RELAY_REFUSED if journal.logged_in and not advice.explanation:
            return _STILL_NO_RELAY
        case FailureCode.POLICY_REFUSED if journal.stage is ProbeStage.SENDER:
            return _POLICY, steps
        case code if code in _FOR_NOW and journal.stage is ProbeStage.GREET and journal.greeted:
            hint = f"If it stays so, set {_EHLO}: some servers close the connection at a name they do not accept."
            return explanation, (*steps, hint)
        case _:
            return explanation, steps


def _size(journal: Journal) -> str:
    limit = journal.offered.size_limit
    return f": the server's limit (SIZE) is {limit} bytes" if limit else ", whose limit it did not name"


def _changes(code: FailureCode, journal: Journal) -> tuple[Change, ...]:
    match code:
        case FailureCode.ENCRYPTION_REQUIRED:
            return (Change(Setting.SECURITY, suggested=ConnectionSecurity.STARTTLS),)
        case FailureCode.EHLO_NAME_REFUSED:
            return (Change(Setting.EHLO_NAME, current=journal.ehlo_name or None),)
        case FailureCode.AUTHENTICATION_REQUIRED | FailureCode.RELAY_REFUSED if journal.server.secret is None:
            return _login(journal)
        case FailureCode.RELAY_REFUSED | FailureCode.AUTHENTICATION_REQUIRED:
            return (Change(Setting.USERNAME),)
        case FailureCode.POLICY_REFUSED if journal.stage is ProbeStage.SENDER:
            return (Change(Setting.SENDER_ADDRESS),)
        case _:
            return ()


def _login(journal: Journal) -> tuple[Change, ...]:
    """The settings that a login needs. With the machine's own credentials no user name is ever sent."""
    ambient = isinstance(journal.server.authentication, AmbientCredentials)
    first = Setting.DEFAULT_CREDENTIALS if ambient else Setting.AUTHENTICATION
    return (Change(first), Change(Setting.USERNAME), Change(Setting.PASSWORD))
