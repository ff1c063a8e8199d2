"""What works and should not stay as it is; looked for when a test passes."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from mailsettings.domain.connection_test import ProbeWarning, StageReport, WarningCode
from mailsettings.domain.findings import WARNINGS
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer
from mailsettings.domain.observation import EXPIRES_SOON_DAYS, TLSSession
from mailsettings.domain.setting import Setting
from mailsettings.smtp.journal import Journal


def find_warnings(journal: Journal, now: datetime) -> tuple[ProbeWarning, ...]:
    """The warnings of a test that passed."""
    found = [*_address_warnings(journal.stages), *_login_warnings(journal.server)]
    if journal.tls is not None:
        found += _tls_warnings(journal.tls, now)
    return tuple(found)


def _address_warnings(stages: Sequence[StageReport]) -> Iterator[ProbeWarning]:
    attempts = [attempt for stage in stages for attempt in stage.observed.attempts]
    if dead := [attempt.address for attempt in attempts if attempt.problem]:
        explanation = f"{', '.join(dead)}: {WARNINGS[WarningCode.ADDRESS_UNREACHABLE]}"
        yield ProbeWarning(WarningCode.ADDRESS_UNREACHABLE, explanation, Setting.HOST)


def _login_warnings(server: MailServer) -> Iterator[ProbeWarning]:
    if server.secret is None:
        return
    if server.security is ConnectionSecurity.NONE:
        code = WarningCode.CREDENTIALS_IN_CLEAR
        yield ProbeWarning(code, WARNINGS[code], Setting.SECURITY)
    login = str(getattr(server.authentication, "username", ""))
    if "@" in login and _domain(login) != _domain(server.sender.address):
        code = WarningCode.SENDER_DOMAIN_DIFFERS
        yield ProbeWarning(code, WARNINGS[code], Setting.SENDER_ADDRESS)


def _tls_warnings(tls: TLSSession, now: datetime) -> Iterator[ProbeWarning]:
    if tls.version != "TLSv1.3":
        code = WarningCode.TLS_BELOW_1_3
        yield ProbeWarning(code, WARNINGS[code])
    soon = [certificate for certificate in tls.path if certificate.days_left(now) < EXPIRES_SOON_DAYS]
    for certificate in soon[:1]:
        code = WarningCode.CERTIFICATE_EXPIRES_SOON
        explanation = f"{certificate.subject} is good until {certificate.not_after:%Y-%m-%d}: {WARNINGS[code]}"
        yield ProbeWarning(code, explanation)


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower()
