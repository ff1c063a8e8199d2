"""Judge the settings of a test: unusable settings before it connects, risky settings after it passes."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from mailsettings.domain.connection_test import (
    FailureCode,
    ProbeStage,
    ProbeWarning,
    SettingValue,
    StageReport,
    SuggestedChange,
    WarningCode,
)
from mailsettings.domain.errors import InvalidSetting, SecretUnreadable
from mailsettings.domain.findings import WARNINGS
from mailsettings.domain.mail_server import (
    ConnectionSecurity,
    MailServer,
    OAuth2ClientCredentials,
    PasswordAuthentication,
)
from mailsettings.domain.observation import EXPIRES_SOON_DAYS, TLSSession
from mailsettings.domain.setting import Setting
from mailsettings.domain.values import require_mail_address
from mailsettings.smtp.errors import StageFailed
from mailsettings.smtp.journal import Journal

_log = logging.getLogger("mailsettings.smtp")

CLEARTEXT_SETTING = "MAILSETTINGS_SMTP_ALLOW_CLEARTEXT_LOGIN"


def require_addresses(server: MailServer, recipient: str | None) -> None:
    """Check the sender and the recipient of a test mail. Raises `StageFailed` with the stage concerned."""
    _require_address(ProbeStage.SENDER, Setting.SENDER_ADDRESS, server.sender.address)
    if recipient is not None:
        _require_address(ProbeStage.RECIPIENT, Setting.RECIPIENT, recipient)


def _require_address(stage: ProbeStage, setting: Setting, address: str) -> None:
    try:
        require_mail_address(setting, address)
    except InvalidSetting as invalid:
        explanation = f"the {setting} {invalid.problem}"
        steps = ("Give another address.",)
        raise StageFailed(
            FailureCode.SETTING_INVALID, explanation, steps, (SuggestedChange(setting),), stage
        ) from None


def require_credentials(server: MailServer, *, cleartext_allowed: bool) -> None:
    """Check that the login is complete and may be sent. Raises `StageFailed` for the login's stage."""
    login = server.authentication
    if not isinstance(login, PasswordAuthentication | OAuth2ClientCredentials):
        return
    setting = login.secret_setting
    if server.secret is None:
        explanation = f"there is a user name but no {setting}."
        raise _login_unusable(
            FailureCode.SETTING_INVALID, explanation, (f"Give a {setting}.",), SuggestedChange(setting)
        )
    try:
        server.secret.reveal()
    except SecretUnreadable as unreadable:
        _log.warning("The stored %s cannot be decrypted: %s.", setting, unreadable.reason)
        explanation = f"the stored {setting} cannot be read with this service's key."
        raise _login_unusable(FailureCode.SECRET_UNREADABLE, explanation, (), SuggestedChange(setting)) from None
    if server.security is ConnectionSecurity.NONE and not cleartext_allowed:
        explanation = f"the {setting} would cross the network unencrypted."
        steps = (
            "Use STARTTLS or implicit TLS.",
            f"Or ask this service's administrator to set {CLEARTEXT_SETTING}.",
        )
        change = SuggestedChange(Setting.SECURITY, suggested=ConnectionSecurity.STARTTLS)
        raise _login_unusable(FailureCode.CLEARTEXT_CREDENTIALS, explanation, steps, change)


def _login_unusable(
    code: FailureCode, explanation: str, steps: tuple[str, ...], change: SuggestedChange
) -> StageFailed:
    return StageFailed(code, explanation, steps, (change,), ProbeStage.AUTHENTICATE)


_DISPLAYED_VALUES: Mapping[Setting, Callable[[MailServer], SettingValue | None]] = {
    Setting.HOST: lambda server: server.host,
    Setting.PORT: lambda server: server.port,
    Setting.SECURITY: lambda server: server.security,
    Setting.SENDER_ADDRESS: lambda server: server.sender.address,
    Setting.USERNAME: lambda server: server.authentication.username,
    Setting.CLIENT_ID: lambda server: server.authentication.client_id,
    Setting.TENANT: lambda server: server.authentication.tenant,
}


def add_current_value(change: SuggestedChange, server: MailServer) -> SuggestedChange:
    """Return *change* with the current value of its setting; never with a secret."""
    value_in = _DISPLAYED_VALUES.get(change.setting)
    return replace(change, current=value_in(server)) if value_in else change


def find_warnings(journal: Journal, now: datetime) -> tuple[ProbeWarning, ...]:
    """Return the warnings of a test that passed."""
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
    login = server.authentication.username or ""
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
        explanation = f"{certificate.subject} is valid until {certificate.not_after:%Y-%m-%d}: {WARNINGS[code]}"
        yield ProbeWarning(code, explanation)


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower()
