"""What can be said of a test before anything is connected: settings that cannot work, or must not be used."""

from mailsettings.domain.connection_test import FailureCode, ProbeStage, SuggestedChange
from mailsettings.domain.errors import InvalidSetting, SecretUnreadable
from mailsettings.domain.mail_server import (
    ConnectionSecurity,
    MailServer,
    OAuth2ClientCredentials,
    PasswordAuthentication,
)
from mailsettings.domain.setting import Setting
from mailsettings.domain.syntax import require_mail_address
from mailsettings.smtp.errors import StageFailed

CLEARTEXT_SETTING = "MAILSETTINGS_SMTP_CLEARTEXT_LOGIN"


def require_usable(server: MailServer, recipient: str | None, *, cleartext_allowed: bool) -> None:
    """Raises `StageFailed`, with the stage that could not pass."""
    _require_address(ProbeStage.SENDER, Setting.SENDER_ADDRESS, server.sender.address)
    if recipient is not None:
        _require_address(ProbeStage.RECIPIENT, Setting.RECIPIENT, recipient)
    _require_credentials(server, cleartext_allowed=cleartext_allowed)


def _require_address(stage: ProbeStage, setting: Setting, address: str) -> None:
    try:
        require_mail_address(setting, address)
    except InvalidSetting as invalid:
        explanation = f"the {setting} {invalid.problem}"
        steps = ("Give another address.",)
        raise StageFailed(
            FailureCode.SETTING_INVALID, explanation, steps, (SuggestedChange(setting),), stage
        ) from None


def _require_credentials(server: MailServer, *, cleartext_allowed: bool) -> None:
    login = server.authentication
    if not isinstance(login, PasswordAuthentication | OAuth2ClientCredentials):
        return
    setting = Setting.PASSWORD if isinstance(login, PasswordAuthentication) else Setting.CLIENT_SECRET
    if server.secret is None:
        explanation = f"there is a user name and no {setting}."
        raise _login_unusable(
            FailureCode.SETTING_INVALID, explanation, (f"Give a {setting}.",), SuggestedChange(setting)
        )
    try:
        server.secret.reveal()
    except SecretUnreadable:
        explanation = f"the stored {setting} cannot be read with this service's key."
        raise _login_unusable(FailureCode.SECRET_UNREADABLE, explanation, (), SuggestedChange(setting)) from None
    if server.security is ConnectionSecurity.NONE and not cleartext_allowed:
        explanation = f"the {setting} would go over the network for everybody to read."
        steps = ("Use STARTTLS or implicit TLS.", f"Or let whoever runs this service set {CLEARTEXT_SETTING}.")
        change = SuggestedChange(Setting.SECURITY, suggested=ConnectionSecurity.STARTTLS)
        raise _login_unusable(FailureCode.CLEARTEXT_CREDENTIALS, explanation, steps, change)


def _login_unusable(
    code: FailureCode, explanation: str, steps: tuple[str, ...], change: SuggestedChange
) -> StageFailed:
    return StageFailed(code, explanation, steps, (change,), ProbeStage.AUTHENTICATE)
