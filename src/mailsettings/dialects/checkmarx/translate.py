"""Translate between Checkmarx's words and the domain's."""

from mailsettings.dialects.checkmarx import schemas as wire
from mailsettings.domain.change import Replacement, SecretInput
from mailsettings.domain.errors import InvalidSetting
from mailsettings.domain.mail_server import (
    AmbientCredentials,
    Authentication,
    ConnectionSecurity,
    ListedMailServer,
    MailServer,
    NoAuthentication,
    PasswordAuthentication,
    Sender,
)
from mailsettings.domain.setting import Setting
from mailsettings.domain.values import Secret, is_mask
from mailsettings.web.report import Vocabulary

FIELDS = {
    Setting.AUTHENTICATION: "username",  # a login requires a user name
    Setting.CERTIFICATE: "certificate",
    Setting.CLIENT_ID: "clientId",
    Setting.CLIENT_SECRET: "clientSecret",
    Setting.DEFAULT_CREDENTIALS: "useDefaultCredentials",
    Setting.HOST: "host",
    Setting.PASSWORD: "password",
    Setting.PORT: "port",
    Setting.RECIPIENT: "recieverEmail",
    Setting.SECURITY: "encryptionType",
    Setting.SENDER_ADDRESS: "fromAddress",
    Setting.SENDER_NAME: "displayName",
    Setting.TENANT: "tenant",
    Setting.USERNAME: "username",
}
"""This API's name for each setting; only other APIs can set those in `_OTHER_API_SETTINGS`."""
_OTHER_API_SETTINGS = {Setting.CERTIFICATE, Setting.CLIENT_ID, Setting.CLIENT_SECRET, Setting.TENANT}
_NO_OAUTH2 = "OAuth2 would help too; this API has no fields for it, but another API of this service has."
_NO_CERTIFICATE = (
    "If the certificate is the right one, ask the operator of this service to add it, or its issuer's "
    "certificate, to the file in MAILSETTINGS_SMTP_CA_FILE; this API has no field for certificates."
)

# The page lists "SSL, TLS or None" without a definition. Clients come from .NET mail libraries, where SSL means
# TLS from the first byte, and TLS the upgrade by STARTTLS.
_SECURITY: dict[wire.EncryptionType, ConnectionSecurity] = {
    "None": ConnectionSecurity.NONE,
    "Ssl": ConnectionSecurity.IMPLICIT_TLS,
    "Tls": ConnectionSecurity.STARTTLS,
}
_ENCRYPTION_TYPES: dict[str, wire.EncryptionType] = {security: name for name, security in _SECURITY.items()}
VOCABULARY = Vocabulary(
    {setting: name for setting, name in FIELDS.items() if setting not in _OTHER_API_SETTINGS},
    lambda value: _ENCRYPTION_TYPES[value] if isinstance(value, ConnectionSecurity) else value,
    {Setting.CERTIFICATE: _NO_CERTIFICATE, Setting.CLIENT_ID: _NO_OAUTH2},
)
_INEXPRESSIBLE = frozenset(Setting).difference(VOCABULARY.fields)


def to_domain(model: wire.SMTPSettingsModel) -> MailServer:
    """Return the mail server in *model*. Raises `InvalidSetting`."""
    return MailServer(
        host=model.host.strip(" "),
        port=model.port,
        security=_SECURITY[model.encryption_type],
        sender=Sender(model.from_address, model.display_name or None),
        authentication=_authentication(model),
    )


def to_replacement(model: wire.UpdateSMTPSettingsModel) -> Replacement:
    """Return what a PUT stores: without a password the stored secret is kept, an empty password removes it."""
    placeholder = model.password is not None and is_mask(model.password.get_secret_value())
    server = to_domain(model.model_copy(update={"password": None}) if placeholder else model)
    change = SecretInput.GIVEN
    if isinstance(server.authentication, PasswordAuthentication):
        unsaid = SecretInput.OMITTED if model.password is None else SecretInput.GIVEN
        change = SecretInput.PLACEHOLDER if placeholder else unsaid
    return Replacement(server, change, _INEXPRESSIBLE)


def to_view(server: ListedMailServer) -> dict[str, object]:
    """Return what GET shows: `SMTPSettingsViewModel`, in its order and under the vendor's names.

    Not the model itself, which takes several times as long for each of a hundred thousand.
    """
    return {
        "id": server.id,
        "host": server.host,
        "port": server.port,
        "encryptionType": _ENCRYPTION_TYPES[server.security],
        "fromAddress": server.sender_address,
        "useDefaultCredentials": server.authentication == AmbientCredentials.kind,
        "username": server.username,
        "displayName": server.sender_name,
    }


def recipient(model: wire.TestConnectionModel) -> str | None:
    """Return the receiver of the test mail, first by the clients' spelling; None for no mail."""
    return model.reciever_email or model.receiver_email or None


def _authentication(model: wire.SMTPSettingsModel) -> Authentication:
    password = model.password.get_secret_value() if model.password else ""
    if model.use_default_credentials:
        # As in .NET's SmtpClient, the default credentials replace the given credentials.
        return AmbientCredentials(model.username or None)
    if model.username:
        return PasswordAuthentication(model.username, Secret(password) if password else None)
    if password:
        raise InvalidSetting(Setting.USERNAME, "is required with a password.")
    return NoAuthentication()
