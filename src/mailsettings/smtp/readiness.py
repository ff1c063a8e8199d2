"""What can be said of a test before anything is connected: settings that cannot work, or must not be used."""

from mailsettings.domain.errors import InvalidSetting, SecretUnreadable
from mailsettings.domain.mail_server import (
    ConnectionSecurity,
    MailServer,
    OAuth2ClientCredentials,
    PasswordAuthentication,
)
from mailsettings.domain.probe import FailureCode, ProbeStage
from mailsettings.domain.setting import Setting
from mailsettings.domain.text import require_mail_address
from mailsettings.smtp.failures import Refused

CLEARTEXT_SETTING = "MAILSETTINGS_SMTP_CLEARTEXT_LOGIN"


def require_ready(server: MailServer, recipient: str | None, *, cleartext_allowed: bool) -> None:
    """Raises `Refused`, with the stage that could not pass."""
    _require_address(ProbeStage.SENDER, Setting.SENDER_ADDRESS, server.sender.address)
    if recipient is not None:
        _require_address(ProbeStage.RECIPIENT, Setting.RECIPIENT, recipient)
    _require_credentials(server, cleartext_allowed=cleartext_allowed)


def _require_address(stage: ProbeStage, setting: Setting, address: str) -> None:
    try:
        require_mail_address(setting, address)
    except InvalidSetting as invalid:
        explanation = f"the {setting} {invalid.problem}"
        advice = "Give another address."
        raise Refused(FailureCode.SETTING_INVALID, explanation, advice, setting, stage) from None


def _require_credentials(server: MailServer, *, cleartext_allowed: bool) -> None:
    login = server.authentication
    if not isinstance(login, PasswordAuthentication | OAuth2ClientCredentials):
        return
    setting = Setting.PASSWORD if isinstance(login, PasswordAuthentication) else Setting.CLIENT_SECRET
    if server.secret is None:
        raise _refused(
            FailureCode.SETTING_INVALID, f"there is a user name and no {setting}.", "Give one.", setting
        )
    try:
        server.secret.reveal()
    except SecretUnreadable:
        explanation = f"the stored {setting} cannot be read with this service's key."
        raise _refused(FailureCode.SECRET_UNREADABLE, explanation, "Store it again.", setting) from None
    if server.security is ConnectionSecurity.NONE and not cleartext_allowed:
        explanation = f"the {setting} would go over the network for everybody to read."
        advice = f"Use STARTTLS or implicit TLS, or let the one who runs this service set {CLEARTEXT_SETTING}."
        raise _refused(FailureCode.CLEARTEXT_CREDENTIALS, explanation, advice, Setting.SECURITY)


def _refused(code: FailureCode, explanation: str, advice: str, setting: Setting) -> Refused:
    return Refused(code, explanation, advice, setting, ProbeStage.AUTHENTICATE)
