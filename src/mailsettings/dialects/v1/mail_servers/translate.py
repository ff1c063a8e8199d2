"""Translate mail servers of the domain to the JSON of responses."""

from datetime import UTC, date, datetime
from typing import Any

from mailsettings.dialects.v1.mail_servers import schemas as wire
from mailsettings.dialects.v1.problems import FIELDS
from mailsettings.domain.certificates import CustomTrust, Trust
from mailsettings.domain.change import MailServerVersion, described, secret_change
from mailsettings.domain.connection_test import SettingValue
from mailsettings.domain.mail_server import (
    AmbientCredentials,
    Authentication,
    ConnectionSecurity,
    MailServer,
    NoAuthentication,
    OAuth2ClientCredentials,
    PasswordAuthentication,
    StoredMailServer,
)
from mailsettings.domain.mail_server_list import MailServerOverview
from mailsettings.domain.monitoring import MonitoredServer
from mailsettings.domain.setting import SERVICE_SETTINGS, Setting
from mailsettings.domain.values import Secret
from mailsettings.web.report import Vocabulary

SECURITY: dict[wire.Security, ConnectionSecurity] = {
    "none": ConnectionSecurity.NONE,
    "starttls": ConnectionSecurity.STARTTLS,
    "implicit_tls": ConnectionSecurity.IMPLICIT_TLS,
}
_SHOWN_SECURITY = {security: name for name, security in SECURITY.items()}
_KINDS = {
    NoAuthentication.kind: "none",
    AmbientCredentials.kind: "machine",
    PasswordAuthentication.kind: "password",
    OAuth2ClientCredentials.kind: "oauth2_client_credentials",
}


def shown_value(value: SettingValue) -> str | int:
    """Return the spelling of a setting's value."""
    return _SHOWN_SECURITY[value] if isinstance(value, ConnectionSecurity) else value


VOCABULARY = Vocabulary(
    {setting: name for setting, name in FIELDS.items() if setting not in SERVICE_SETTINGS}, shown_value
)


def to_view(overview: MailServerOverview) -> wire.MailServerView:
    """Return what a response shows of a mail server."""
    stored, monitored = overview.stored, overview.monitored
    settings = to_settings(stored, monitored.secret_ends_on)
    return wire.MailServerView(
        **{name: getattr(settings, name) for name in wire.MailServerSettings.model_fields},
        **read_only(stored),
        health=_health(monitored),
    )


def read_only(stored: StoredMailServer) -> dict[str, Any]:
    """Return the members that the service sets, apart from the health."""
    return {
        "id": stored.id,
        "default": stored.is_default,
        "version": stored.version,
        "created_by": stored.creation.by,
        "created_through": stored.creation.through,
        "changed_at": _utc(stored.revision.at),
        "changed_by": stored.revision.by,
    }


def to_settings(stored: StoredMailServer, secret_expires_on: date | None = None) -> wire.MailServerSettings:
    """Return the settings that an administrator chooses."""
    server = stored.server
    return wire.MailServerSettings(
        name=stored.name,
        description=server.description or None,
        labels=dict(server.labels),
        enabled=stored.enabled,
        host=server.host,
        port=server.port,
        security=_SHOWN_SECURITY[server.security],
        trust=_trust(server.trust),
        sender=wire.SenderShown(address=server.sender.address, name=server.sender.display_name),
        authentication=_login(server.authentication, secret_expires_on),
    )


def _trust(trust: Trust) -> wire.AnyTrust:
    if isinstance(trust, CustomTrust):
        return wire.CertificatesTrusted(kind="certificates", pem=trust.pem)
    return wire.SystemTrusted(kind="system")


def _login(login: Authentication, expires_on: date | None) -> wire.AnyLogin:
    match login:
        case PasswordAuthentication():
            return wire.PasswordLogin(
                kind="password", username=login.username, password=_secret(login.password, expires_on)
            )
        case OAuth2ClientCredentials():
            return wire.OAuth2Login(
                kind="oauth2_client_credentials",
                username=login.username,
                tenant=login.tenant,
                client_id=login.client_id,
                client_secret=_secret(login.client_secret, expires_on),
            )
        case AmbientCredentials():
            return wire.MachineLogin(kind="machine", username=login.username)
        case NoAuthentication():
            return wire.NoLogin(kind="none")


def _secret(secret: Secret | None, expires_on: date | None) -> wire.StoredSecret:
    if secret is None:
        return wire.StoredSecret(stored=False, label=None, stored_at=None, expires_on=None)
    return wire.StoredSecret(stored=True, label=secret.label, stored_at=secret.stored_at, expires_on=expires_on)


def _health(monitored: MonitoredServer) -> wire.MailServerHealth:
    return wire.MailServerHealth(
        state=monitored.health,
        since=_at(monitored.since),
        checked_at=_at(monitored.checked_at),
        failure=monitored.code,
        certificate_expires_at=_at(monitored.certificate_ends_at),
        secret_expires_on=monitored.secret_ends_on,
    )


def to_version(now: MailServerVersion, before: MailServerVersion | None) -> wire.MailServerVersionView:
    """Return what a response shows of the version *now*, which followed the version *before*."""
    is_known = before is not None or now.version == 1
    return wire.MailServerVersionView(
        version=now.version,
        name=now.given_name,
        enabled=now.enabled,
        removed=now.server is None,
        changed_at=_utc(now.revision.at),
        changed_by=now.revision.by,
        secret=secret_change(now, before),
        changes=changes(before.server if before else None, now.server) if is_known else None,
    )


def changes(before: MailServer | None, after: MailServer | None) -> list[wire.SettingChange]:
    """Return each setting that differs."""
    old, new = described(before), described(after)
    return [
        wire.SettingChange(
            field=FIELDS[setting],
            before=_described(setting, old.get(setting)),
            after=_described(setting, new.get(setting)),
        )
        for setting in Setting
        if old.get(setting) != new.get(setting)
    ]


def _described(setting: Setting, value: object) -> object:
    if value is not None and setting is Setting.SECURITY:
        return _SHOWN_SECURITY[ConnectionSecurity(str(value))]
    return _KINDS[str(value)] if value is not None and setting is Setting.AUTHENTICATION else value


def _at(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.astimezone(UTC)
