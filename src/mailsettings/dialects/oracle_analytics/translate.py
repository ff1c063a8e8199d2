"""Translate between Oracle Analytics' words and the domain's."""

from pydantic import SecretStr

from mailsettings.dialects.oracle_analytics import schemas as wire
from mailsettings.domain.certificates import CustomTrust, SystemTrust, Trust
from mailsettings.domain.change import Replacement, SecretInput
from mailsettings.domain.connection_test import ProbeReport
from mailsettings.domain.errors import InvalidSetting
from mailsettings.domain.mail_server import (
    AmbientCredentials,
    Authentication,
    ConnectionSecurity,
    MailServer,
    NoAuthentication,
    OAuth2ClientCredentials,
    PasswordAuthentication,
    Sender,
)
from mailsettings.domain.setting import Setting
from mailsettings.domain.values import MASK, Secret, is_mask
from mailsettings.web.report import Vocabulary
from mailsettings.web.request_errors import ParameterInvalid

FIELDS = {
    Setting.AUTHENTICATION: "auth.authType",
    Setting.CERTIFICATE: "connectionSecurity.tlsCertificateDetails.certificate",
    Setting.CLIENT_ID: "auth.oAuth2Details.clientId",
    Setting.CLIENT_SECRET: "auth.oAuth2Details.secret",
    Setting.HOST: "host",
    Setting.PASSWORD: "auth.password",
    Setting.PORT: "port",
    Setting.RECIPIENT: "recipient",
    Setting.SECURITY: "connectionSecurity.connectionSecurityType",
    Setting.SENDER_ADDRESS: "sender.emailAddress",
    Setting.SENDER_NAME: "sender.displayName",
    Setting.TENANT: "auth.oAuth2Details.tenant",
    Setting.USERNAME: "auth.username",
}
"""This API's name for each setting."""
# The display name is required here, so no request can remove it.
_INEXPRESSIBLE = frozenset(Setting).difference(FIELDS) | {Setting.SENDER_NAME}
_OAUTH2_USERNAME = "auth.oAuth2Details.username"


def to_domain(model: wire.MailServer) -> Replacement:
    """Return what a PUT stores. Raises `InvalidSetting` and `ParameterInvalid`."""
    authentication, secret = _authentication(model)
    server = MailServer(
        host=model.host.strip(" "),
        port=model.port,
        security=_SECURITY[model.connection_security.connection_security_type],
        sender=Sender(model.sender.email_address, model.sender.display_name),
        authentication=authentication,
        trust=_trust(model),
    )
    # Without encryption the request has no place for a certificate.
    encrypted = server.security is not ConnectionSecurity.NONE
    return Replacement(server, secret, _INEXPRESSIBLE if encrypted else _INEXPRESSIBLE | {Setting.CERTIFICATE})


def to_wire(server: MailServer) -> wire.MailServer:
    """Return the response body of *server*: valid under the vendor's schema, with masked secrets."""
    return wire.MailServer(
        auth=_auth(server.authentication),
        connectionSecurity=_connection_security(server),
        host=server.host,
        port=server.port,
        sender=wire.MailSender(
            # Required here, optional in other APIs: without a display name, mail shows the address.
            displayName=server.sender.display_name or server.sender.address,
            emailAddress=server.sender.address,
        ),
    )


_SECURITY: dict[str, ConnectionSecurity] = {
    "NO_CONNECTION_SECURITY": ConnectionSecurity.NONE,
    "SSL_TLS_CONNECTION_SECURITY": ConnectionSecurity.IMPLICIT_TLS,
    "START_TLS_CONNECTION_SECURITY": ConnectionSecurity.STARTTLS,
}

_SECURITY_TYPE = {security: name for name, security in _SECURITY.items()}


def vocabulary(report: ProbeReport) -> Vocabulary:
    """Return the vocabulary for *report*; the user name of an OAuth2 login is another field."""
    by_oauth2 = report.failure is not None and report.failure.code.startswith("oauth2_")
    username = {Setting.USERNAME: _OAUTH2_USERNAME} if by_oauth2 else {}
    return Vocabulary(
        {**FIELDS, **username},
        lambda value: _SECURITY_TYPE[value] if isinstance(value, ConnectionSecurity) else value,
    )


def _authentication(model: wire.MailServer) -> tuple[Authentication, SecretInput]:
    match model.auth:
        case wire.MailServerUsernamePasswordAuth() as auth:
            secret, change = _secret(auth.password)
            return PasswordAuthentication(auth.username, secret), change
        case wire.MailServerOAuth2Auth(o_auth2_details=details):
            secret, change = _secret(details.secret)
            return _oauth2(details, secret), change
        case _:
            return NoAuthentication(), SecretInput.GIVEN


def _oauth2(details: wire.MailServerMSOAuth2, secret: Secret | None) -> OAuth2ClientCredentials:
    try:
        return OAuth2ClientCredentials(details.username, details.client_id, details.tenant, secret)
    except InvalidSetting as refused:
        if refused.setting is not Setting.USERNAME:
            raise
        # The user name has two places in this API.
        raise ParameterInvalid(f"{_OAUTH2_USERNAME} {refused.problem}") from None


def _secret(given: SecretStr) -> tuple[Secret | None, SecretInput]:
    text = given.get_secret_value()
    if text == MASK:
        return None, SecretInput.KEPT
    return (None, SecretInput.PLACEHOLDER) if is_mask(text) else (Secret(text), SecretInput.GIVEN)


def _trust(model: wire.MailServer) -> Trust:
    match model.connection_security:
        case (
            wire.SslTlsConnectionSecurity(tls_certificate_details=wire.CustomTlsCertificate(certificate=pem))
            | wire.StartTlsConnectionSecurity(tls_certificate_details=wire.CustomTlsCertificate(certificate=pem))
        ):
            return CustomTrust.parse(pem)
        case _:
            return SystemTrust()


def _auth(authentication: Authentication) -> wire.Auth:
    match authentication:
        case PasswordAuthentication(username=username):
            return wire.MailServerUsernamePasswordAuth(
                authType="USERNAME_PASSWORD_AUTH", username=username, password=SecretStr(MASK)
            )
        case OAuth2ClientCredentials() as login:
            details = wire.MailServerMSOAuth2(
                clientId=login.client_id,
                secret=SecretStr(MASK),
                tenant=login.tenant,
                username=login.username,
            )
            return wire.MailServerOAuth2Auth(oAuth2Details=details)
        case NoAuthentication() | AmbientCredentials():
            # This API cannot express a login with the machine's credentials; "no login" is the closest variant.
            return wire.MailServerNoAuth(authType="NO_AUTH")


def _connection_security(server: MailServer) -> wire.Security:
    match server.security:
        case ConnectionSecurity.NONE:
            return wire.NoConnectionSecurity(connectionSecurityType="NO_CONNECTION_SECURITY")
        case ConnectionSecurity.IMPLICIT_TLS:
            return wire.SslTlsConnectionSecurity(
                connectionSecurityType="SSL_TLS_CONNECTION_SECURITY",
                tlsCertificateDetails=_certificate_details(server.trust),
            )
        case ConnectionSecurity.STARTTLS:
            return wire.StartTlsConnectionSecurity(
                connectionSecurityType="START_TLS_CONNECTION_SECURITY",
                tlsCertificateDetails=_certificate_details(server.trust),
            )


def _certificate_details(trust: Trust) -> wire.TlsCertificateDetails:
    match trust:
        case CustomTrust(pem=pem):
            return wire.CustomTlsCertificate(certificateType="CUSTOM_TLS_CERTIFICATE", certificate=pem)
        case SystemTrust():
            return wire.DefaultTlsCertificate(certificateType="DEFAULT_TLS_CERTIFICATE")
