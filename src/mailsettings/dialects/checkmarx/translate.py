"""Translate between Checkmarx's words and the domain's."""

from collections.abc import AsyncGenerator, Awaitable, Callable

from pydantic import TypeAdapter

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
    OAuth2ClientCredentials,
    PasswordAuthentication,
    Sender,
    StoredMailServer,
)
from mailsettings.domain.secret import Secret, is_mask
from mailsettings.domain.setting import Setting
from mailsettings.use_cases.mail_servers import Page
from mailsettings.web.report import Vocabulary
from mailsettings.web.streaming import Chunk

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
ENCRYPTION_TYPES: dict[str, wire.EncryptionType] = {security: name for name, security in _SECURITY.items()}
VOCABULARY = Vocabulary(
    {setting: name for setting, name in FIELDS.items() if setting not in _OTHER_API_SETTINGS},
    lambda value: ENCRYPTION_TYPES[value] if isinstance(value, ConnectionSecurity) else value,
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


def to_wire(stored: StoredMailServer) -> wire.SMTPSettingsViewModel:
    """Return the response body of *stored*."""
    server = stored.server
    return wire.SMTPSettingsViewModel(
        id=stored.id,
        host=server.host,
        port=server.port,
        encryptionType=ENCRYPTION_TYPES[server.security],
        fromAddress=server.sender.address,
        useDefaultCredentials=isinstance(server.authentication, AmbientCredentials),
        username=_username(server.authentication),
        displayName=server.sender.display_name,
    )


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


def _username(authentication: Authentication) -> str | None:
    match authentication:
        case NoAuthentication():
            return None
        case (
            AmbientCredentials(username=name)
            | PasswordAuthentication(username=name)
            | OAuth2ClientCredentials(username=name)
        ):
            return name


_JSON = TypeAdapter(list[dict[str, object]])


async def stream_list(read: Callable[[int], Awaitable[Page]]) -> AsyncGenerator[Chunk]:
    """Yield a JSON array of all SMTP settings, one chunk for each page; *read* returns the page after an id.

    The bytes equal the output of the schema's model, without creating a model for each of 100,000 settings.
    """
    chunk, last = _chunk(await read(0), b"[", b"")
    while chunk.more:
        yield chunk
        chunk, last = _chunk(await read(last), b"", b",")
    yield chunk


def _chunk(page: Page, opening: bytes, comma: bytes) -> tuple[Chunk, int]:
    """Return the chunk of *page* and its last id; *comma* separates it from earlier pages unless it is empty."""
    views = memoryview(_JSON.dump_json([_listed_view(server) for server in page.servers]))[1:-1]
    body = b"".join((opening, comma if views else b"", views, b"" if page.more else b"]"))
    return Chunk(body, page.more), page.last


def _listed_view(server: ListedMailServer) -> dict[str, object]:
    """Return the members of `SMTPSettingsViewModel`, in its order."""
    number, host, port, security, address, name, username, ambient = server
    return {
        "id": number,
        "host": host,
        "port": port,
        "encryptionType": ENCRYPTION_TYPES[security],
        "fromAddress": address,
        "useDefaultCredentials": bool(ambient),
        "username": username,
        "displayName": name,
    }
