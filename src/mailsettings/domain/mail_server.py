"""The settings of one outgoing mail server, valid from the moment they exist, and who created and changed them."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from mailsettings.domain.certificates import SystemTrust, Trust
from mailsettings.domain.errors import InvalidSetting, NoSecretStored
from mailsettings.domain.secret import Secret, is_mask
from mailsettings.domain.setting import Setting
from mailsettings.domain.syntax import normalised_host, require_host, require_printable


@dataclass(frozen=True, slots=True)
class Revision:
    """Both are None where it was not written down, as by earlier versions of this program."""

    at: datetime | None = None
    by: str | None = None

    def __str__(self) -> str:
        """` by admin at 2026-11-21T10:00:00Z`, as far as it is known."""
        by = "" if self.by is None else f" by {self.by}"
        return by if self.at is None else f"{by} at {self.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True, slots=True)
class Creation:
    """Who created something, and through which API; both are None where it was not written down."""

    by: str | None = None
    through: str | None = None


ListedMailServer = tuple[int, str, int, str, str, str | None, str | None, bool | int]
"""Id, host, port, value of its `ConnectionSecurity`, address and display name of the sender, user name, and
whether it logs in as the machine itself.

A tuple and nothing more: to make an object of each of a hundred thousand takes longer than to read them.
"""


MAX_PORT = 65535
MAX_NAME_LENGTH = 320
MAX_SECRET_LENGTH = 255
MAX_CLIENT_ID_LENGTH = 255


class ConnectionSecurity(StrEnum):
    """How the connection is protected. STARTTLS is a demand, never an offer to go on without."""

    NONE = "none"
    STARTTLS = "starttls"
    IMPLICIT_TLS = "implicit-tls"


@dataclass(frozen=True, slots=True)
class Sender:
    """Who a mail is from: the `From:` header, and the envelope sender."""

    address: str
    display_name: str | None = None

    def __post_init__(self) -> None:
        _require_text(Setting.SENDER_ADDRESS, self.address, MAX_NAME_LENGTH)
        if self.display_name is not None:
            _require_text(Setting.SENDER_NAME, self.display_name, MAX_NAME_LENGTH)


@dataclass(frozen=True, slots=True)
class NoAuthentication:
    """The server takes mail from us without a login."""


@dataclass(frozen=True, slots=True)
class AmbientCredentials:
    """The login of the machine itself (.NET's default credentials); `username` is kept, never sent."""

    username: str | None = None

    def __post_init__(self) -> None:
        if self.username is not None:
            _require_text(Setting.USERNAME, self.username, MAX_NAME_LENGTH)


@dataclass(frozen=True, slots=True)
class PasswordAuthentication:
    """A user name and a password; no password is stored where `password` is None."""

    username: str
    password: Secret | None

    def __post_init__(self) -> None:
        _require_text(Setting.USERNAME, self.username, MAX_NAME_LENGTH)
        _require_secret(Setting.PASSWORD, self.password)


@dataclass(frozen=True, slots=True)
class OAuth2ClientCredentials:
    """A Microsoft Entra application that may send as `username`."""

    username: str
    client_id: str
    tenant: str
    client_secret: Secret | None

    def __post_init__(self) -> None:
        _require_text(Setting.USERNAME, self.username, MAX_NAME_LENGTH)
        _require_text(Setting.CLIENT_ID, self.client_id, MAX_CLIENT_ID_LENGTH)
        _require_text(Setting.TENANT, self.tenant, MAX_CLIENT_ID_LENGTH)
        if not self.tenant.replace("-", "").replace(".", "").isalnum() or not self.tenant.isascii():
            raise InvalidSetting(Setting.TENANT, "must be a tenant id or a domain name.")
        _require_secret(Setting.CLIENT_SECRET, self.client_secret)


Authentication = NoAuthentication | AmbientCredentials | PasswordAuthentication | OAuth2ClientCredentials


@dataclass(frozen=True, slots=True)
class MailServer:
    """What is needed to hand a message to one SMTP server."""

    host: str
    port: int
    security: ConnectionSecurity
    sender: Sender
    authentication: Authentication = NoAuthentication()
    trust: Trust = SystemTrust()

    def __post_init__(self) -> None:
        require_host(self.host)
        if not 1 <= self.port <= MAX_PORT:
            raise InvalidSetting(Setting.PORT, f"must be between 1 and {MAX_PORT}.")

    @property
    def secret(self) -> Secret | None:
        """What the server is shown at login, if anything."""
        match self.authentication:
            case PasswordAuthentication(password=secret) | OAuth2ClientCredentials(client_secret=secret):
                return secret
            case _:
                return None

    def with_secret(self, secret: Secret | None) -> "MailServer":
        """The same server with another secret; unchanged when its login needs none."""
        match self.authentication:
            case PasswordAuthentication() as login:
                return replace(self, authentication=replace(login, password=secret))
            case OAuth2ClientCredentials() as login:
                return replace(self, authentication=replace(login, client_secret=secret))
            case _:
                return self

    def destination(self) -> "Destination":
        """Who gets to see the secret, and as whose."""
        login = self.authentication
        return Destination(
            host=normalised_host(self.host),
            port=self.port,
            security=self.security,
            trust=self.trust,
            login=type(login),
            username=getattr(login, "username", None),
            client_id=getattr(login, "client_id", None),
            tenant=getattr(login, "tenant", None),
        )


@dataclass(frozen=True, slots=True)
class Destination:
    """All that decides who gets to see a secret; made by `MailServer.destination` alone.

    A secret, and whatever was had for it, is used where this is equal and nowhere else.
    """

    host: str
    port: int
    security: ConnectionSecurity
    trust: Trust
    login: type[Authentication]
    username: str | None
    client_id: str | None
    tenant: str | None


def state_id(server_id: int, version: int) -> str:
    """What a server is in one version."""
    return f"{server_id}.{version}"


@dataclass(frozen=True, slots=True)
class StoredMailServer:
    """A mail server under its id; `version` counts its changes from 1, the last of which is told of."""

    id: int
    version: int
    server: MailServer
    revision: Revision = Revision()
    creation: Creation = Creation()

    @property
    def state(self) -> str:
        """Its id and version: what no other state has, as long as no backup is restored."""
        return state_id(self.id, self.version)

    @property
    def tag(self) -> str:
        """The same with the moment of its change, by which it differs from what came after a restored backup."""
        at = self.revision.at
        return self.state if at is None else f"{self.state}.{round(at.timestamp() * 1_000_000):x}"


def _require_text(setting: Setting, text: str, longest: int) -> None:
    if not text:
        raise InvalidSetting(setting, "must not be empty.")
    if len(text) > longest:
        raise InvalidSetting(setting, f"must not be longer than {longest} characters.")
    require_printable(setting, text)


def _require_secret(setting: Setting, secret: Secret | None) -> None:
    """Look at a secret that a caller just gave; a sealed one was looked at when it was stored."""
    if secret is None or secret.is_sealed:
        return
    text = secret.reveal()
    _require_text(setting, text, MAX_SECRET_LENGTH)
    if is_mask(text):
        raise NoSecretStored(setting)
