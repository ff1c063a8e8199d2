"""What the server offers, where what the settings want is not among it."""

import re
from collections.abc import Sequence
from dataclasses import replace

from mailsettings.domain.connection_test import FailureCode, ProbeFailure, SettingStep, Steps, SuggestedChange
from mailsettings.domain.findings import failure
from mailsettings.domain.mail_server import ConnectionSecurity, OAuth2ClientCredentials
from mailsettings.domain.setting import Setting
from mailsettings.smtp.journal import Journal

_TOKEN_MECHANISMS = {"XOAUTH2", "OAUTHBEARER"}
_LOGIN_AFTER_STARTTLS = "the server lets clients log in only after STARTTLS."
_USE_OAUTH2 = SettingStep(Setting.CLIENT_ID, "Log in by OAuth2, which the server offers.")
_USE_PASSWORD = "Log in by user name and password, which the server offers."  # noqa: S105  # advice
_OVERWRITTEN_KEYWORD = re.compile(r"X{4,}[A-Z]?")
_STARTTLS_REMOVED = "the word {} was put in its place: a firewall or mail scanner on the way takes STARTTLS away."
_STOP_INSPECTION = (
    "Let whoever runs the network switch off the inspection of SMTP for this server, or let it pass STARTTLS.",
    "Or use implicit TLS, commonly on port 465, which an inspection cannot rewrite.",
)
_OTHER_PORT_STEPS = {
    465: "Use port 465 with implicit TLS, if the server has it.",
    587: "Use port 587 with STARTTLS, or 465 with implicit TLS, if the server has them.",
}
_ENABLE_PLAIN_LOGIN = (
    "Ask whoever runs the server to offer PLAIN or LOGIN; this service speaks PLAIN, LOGIN and CRAM-MD5."
)


def add_offers(found: ProbeFailure, journal: Journal) -> ProbeFailure:
    """*found*, with what is offered if it says that something is not."""
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
    steps = (_OTHER_PORT_STEPS[other], *found.steps[1:], "Or ask whoever runs the server to offer STARTTLS.")
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
