"""What a change of a mail server changed, setting by setting, for those who read it later."""

import hashlib
from collections.abc import Mapping

from mailsettings.domain.mail_server import (
    AmbientCredentials,
    Authentication,
    MailServer,
    NoAuthentication,
    OAuth2ClientCredentials,
    PasswordAuthentication,
)
from mailsettings.domain.setting import Setting
from mailsettings.domain.trust import CustomTrust, Trust

_LOGINS: Mapping[type[Authentication], str] = {
    NoAuthentication: "none",
    AmbientCredentials: "ambient",
    PasswordAuthentication: "password",
    OAuth2ClientCredentials: "oauth2",
}


def difference(before: MailServer | None, after: MailServer | None) -> dict[str, dict[str, object]]:
    """Each setting that differs, with `before` and `after`; a secret that a caller gives always differs."""
    old, new = described(before), described(after)
    return {
        str(setting): {"before": old.get(setting), "after": new.get(setting)}
        for setting in Setting
        if old.get(setting) != new.get(setting)
    }


def described(server: MailServer | None) -> dict[Setting, object]:
    """All settings as plain values; certificates by their hash, secrets by their random label."""
    if server is None:
        return {}
    login = server.authentication
    return {
        Setting.AUTHENTICATION: _LOGINS[type(login)],
        Setting.CERTIFICATE: _certificates(server.trust),
        Setting.CLIENT_ID: getattr(login, "client_id", None),
        Setting.HOST: server.host,
        secret_setting(login): None if server.secret is None else f"label {server.secret.label}",
        Setting.PORT: server.port,
        Setting.SECURITY: server.security.value,
        Setting.SENDER_ADDRESS: server.sender.address,
        Setting.SENDER_NAME: server.sender.display_name,
        Setting.TENANT: getattr(login, "tenant", None),
        Setting.USERNAME: getattr(login, "username", None),
    }


def secret_setting(login: Authentication) -> Setting:
    """What the secret of *login* is called."""
    return Setting.CLIENT_SECRET if isinstance(login, OAuth2ClientCredentials) else Setting.PASSWORD


def _certificates(trust: Trust) -> str | None:
    if not isinstance(trust, CustomTrust):
        return None
    return f"SHA-256 {hashlib.sha256(trust.pem.encode()).hexdigest()}"
