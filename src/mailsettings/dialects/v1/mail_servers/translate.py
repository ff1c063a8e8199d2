"""Translate between mail servers in JSON and in the domain."""

from datetime import UTC, date, datetime

from mailsettings.dialects.v1.mail_servers import schemas as wire
from mailsettings.domain.certificates import CustomTrust, Trust
from mailsettings.domain.mail_server import (
    AmbientCredentials,
    Authentication,
    ConnectionSecurity,
    NoAuthentication,
    OAuth2ClientCredentials,
    PasswordAuthentication,
    StoredMailServer,
)
from mailsettings.domain.monitoring import MonitoredServer
from mailsettings.domain.values import Secret

SECURITY: dict[wire.Security, ConnectionSecurity] = {
    "none": ConnectionSecurity.NONE,
    "starttls": ConnectionSecurity.STARTTLS,
    "implicit_tls": ConnectionSecurity.IMPLICIT_TLS,
}
_SHOWN_SECURITY = {security: name for name, security in SECURITY.items()}


def to_view(stored: StoredMailServer, monitored: MonitoredServer, *, is_default: bool) -> wire.MailServerView:
    """Return what a response shows of *stored*."""
    server = stored.server
    return wire.MailServerView(
        id=stored.id,
        default=is_default,
        host=server.host,
        port=server.port,
        security=_SHOWN_SECURITY[server.security],
        trust=_trust(server.trust),
        sender=wire.SenderShown(address=server.sender.address, name=server.sender.display_name),
        authentication=_login(server.authentication, monitored.secret_ends_on),
        version=stored.version,
        created_by=stored.creation.by,
        created_through=stored.creation.through,
        changed_at=_utc(stored.revision.at),
        changed_by=stored.revision.by,
        health=_health(monitored),
    )


def _trust(trust: Trust) -> wire.Trusted:
    if isinstance(trust, CustomTrust):
        return wire.CertificatesTrusted(kind="certificates", pem=trust.pem)
    return wire.SystemTrusted(kind="system")


def _login(login: Authentication, expires_on: date | None) -> wire.Login:
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
        return wire.StoredSecret(stored=False, label=None, expires_on=None)
    return wire.StoredSecret(stored=True, label=secret.label, expires_on=expires_on)


def _health(monitored: MonitoredServer) -> wire.MailServerHealth:
    return wire.MailServerHealth(
        state=monitored.health,
        since=_at(monitored.since),
        checked_at=_at(monitored.checked_at),
        failure=monitored.code,
        certificate_expires_at=_at(monitored.certificate_ends_at),
        secret_expires_on=monitored.secret_ends_on,
    )


def _at(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.astimezone(UTC)
