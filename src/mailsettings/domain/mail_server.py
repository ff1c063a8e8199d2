"""The settings of one outgoing mail server, valid from the moment they exist, and who created and changed them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import ClassVar, NamedTuple

from mailsettings.domain.certificates import SystemTrust, Trust
from mailsettings.domain.errors import InvalidSetting, NoSecretStored
from mailsettings.domain.naming import name_of_id, require_description, require_labels
from mailsettings.domain.setting import Setting
from mailsettings.domain.values import Secret, is_mask, normalised_host, require_host, require_text


@dataclass(frozen=True, slots=True)
class Revision:
    """Who changed something, and when; None where earlier versions of the program did not record it."""

    at: datetime | None = None
    by: str | None = None

    def __str__(self) -> str:
        """Return ` by admin at 2026-11-21T10:00:00Z`, without the unknown parts."""
        by = "" if self.by is None else f" by {self.by}"
        return by if self.at is None else f"{by} at {self.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True, slots=True)
class Creation:
    """Who created something, and through which API; None where it was not recorded."""

    by: str | None = None
    through: str | None = None


MAX_PORT = 65535
# A local part of 64 octets, "@" and a domain of 255 (RFC 5321 4.5.3.1).
MAX_NAME_LENGTH = 320
# The longest password that the Oracle Analytics API allows.
MAX_SECRET_LENGTH = 255
MAX_CLIENT_ID_LENGTH = 255


class ConnectionSecurity(StrEnum):
    """How the connection is protected. STARTTLS is required: the connection never continues without it."""

    NONE = "none"
    STARTTLS = "starttls"
    IMPLICIT_TLS = "implicit-tls"


@dataclass(frozen=True, slots=True)
class Sender:
    """The sender of a mail, in the `From:` header and in the envelope."""

    address: str
    display_name: str | None = None

    def __post_init__(self) -> None:
        require_text(Setting.SENDER_ADDRESS, self.address, MAX_NAME_LENGTH)
        if self.display_name is not None:
            require_text(Setting.SENDER_NAME, self.display_name, MAX_NAME_LENGTH)


@dataclass(frozen=True, slots=True)
class NoAuthentication:
    """The server accepts mail without a login."""

    kind: ClassVar[str] = "none"
    secret_setting: ClassVar[Setting] = Setting.PASSWORD
    username: ClassVar[None] = None
    client_id: ClassVar[None] = None
    tenant: ClassVar[None] = None


@dataclass(frozen=True, slots=True)
class AmbientCredentials:
    """The login of the machine itself (.NET's default credentials); `username` is stored and never sent."""

    kind: ClassVar[str] = "ambient"
    secret_setting: ClassVar[Setting] = Setting.PASSWORD
    username: str | None = None
    client_id: ClassVar[None] = None
    tenant: ClassVar[None] = None

    def __post_init__(self) -> None:
        if self.username is not None:
            require_text(Setting.USERNAME, self.username, MAX_NAME_LENGTH)


@dataclass(frozen=True, slots=True)
class PasswordAuthentication:
    """A user name and a password; None means that no password is stored."""

    kind: ClassVar[str] = "password"
    secret_setting: ClassVar[Setting] = Setting.PASSWORD
    username: str
    password: Secret | None
    client_id: ClassVar[None] = None
    tenant: ClassVar[None] = None

    def __post_init__(self) -> None:
        require_text(Setting.USERNAME, self.username, MAX_NAME_LENGTH)
        _require_secret(Setting.PASSWORD, self.password)


@dataclass(frozen=True, slots=True)
class OAuth2ClientCredentials:
    """A Microsoft Entra application that may send as `username`."""

    kind: ClassVar[str] = "oauth2"
    secret_setting: ClassVar[Setting] = Setting.CLIENT_SECRET
    username: str
    client_id: str
    tenant: str
    client_secret: Secret | None

    def __post_init__(self) -> None:
        require_text(Setting.USERNAME, self.username, MAX_NAME_LENGTH)
        require_text(Setting.CLIENT_ID, self.client_id, MAX_CLIENT_ID_LENGTH)
        require_text(Setting.TENANT, self.tenant, MAX_CLIENT_ID_LENGTH)
        if not self.tenant.replace("-", "").replace(".", "").isalnum() or not self.tenant.isascii():
            raise InvalidSetting(Setting.TENANT, "must be a tenant id or a domain name.")
        _require_secret(Setting.CLIENT_SECRET, self.client_secret)


# Each has a kind, which is stored; the setting that holds its secret, for errors even where it has none; and user
# name, client id and tenant: None if the kind of login lacks them.
Authentication = NoAuthentication | AmbientCredentials | PasswordAuthentication | OAuth2ClientCredentials


@dataclass(frozen=True, slots=True)
class MailServer:
    """All settings of one SMTP server, and what administrators note about it: what a version restores."""

    host: str
    port: int
    security: ConnectionSecurity
    sender: Sender
    authentication: Authentication = NoAuthentication()
    trust: Trust = SystemTrust()
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        require_host(self.host)
        require_description(self.description)
        require_labels(self.labels)
        if not 1 <= self.port <= MAX_PORT:
            raise InvalidSetting(Setting.PORT, f"must be between 1 and {MAX_PORT}.")

    @property
    def secret(self) -> Secret | None:
        """The password or client secret of the login, if it has one."""
        match self.authentication:
            case PasswordAuthentication(password=secret) | OAuth2ClientCredentials(client_secret=secret):
                return secret
            case _:
                return None

    def with_secret(self, secret: Secret | None) -> "MailServer":
        """Return the same server with another secret; unchanged if its login has none."""
        match self.authentication:
            case PasswordAuthentication() as login:
                return replace(self, authentication=replace(login, password=secret))
            case OAuth2ClientCredentials() as login:
                return replace(self, authentication=replace(login, client_secret=secret))
            case _:
                return self

    def destination(self) -> "Destination":
        """Return the settings that the secret is bound to."""
        login = self.authentication
        return Destination(
            host=normalised_host(self.host),
            port=self.port,
            security=self.security,
            trust=self.trust,
            login=type(login),
            username=login.username,
            client_id=login.client_id,
            tenant=login.tenant,
        )


PLAIN_SETTINGS: Mapping[Setting, str] = {
    Setting.DESCRIPTION: "description",
    Setting.HOST: "host",
    Setting.PORT: "port",
}
"""The settings that are one attribute of `MailServer` and one column, both of this name.

The store, the audit log and `Replacement.keeps` read this table, so that a new plain setting needs no code there.
An empty column, which an older program left, means the default of the attribute.
"""


@dataclass(frozen=True, slots=True)
class Destination:
    """All settings that decide which server receives a secret; only `MailServer.destination` creates it.

    A stored secret, and an access token that was obtained with it, is used only for an equal destination. The
    order of the fields is part of every sealed secret: see `sealing.py`.
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
    """Return the id of one version of a server."""
    return f"{server_id}.{version}"


@dataclass(frozen=True, slots=True)
class StoredMailServer:
    """A mail server with its id; `version` counts its changes from 1, `revision` describes the last.

    `given_name` is None if an earlier program, without names, stored it; `default_since` is None if an earlier
    program made it the default because it was the first.
    """

    id: int
    version: int
    server: MailServer
    revision: Revision = Revision()
    creation: Creation = Creation()
    given_name: str | None = None
    enabled: bool = True
    is_default: bool = False
    default_since: datetime | None = None

    @property
    def name(self) -> str:
        """The name, which no other mail server has."""
        return self.given_name or name_of_id(self.id)

    @property
    def state(self) -> str:
        """Id and version: unique for each state as long as no backup is restored."""
        return state_id(self.id, self.version)

    @property
    def tag(self) -> str:
        """The state with the time of its change, which makes it unique even after a backup was restored.

        The choice as the default is part of it, because an API may show the default.
        """
        times = [at for at in (self.revision.at, self.default_since) if at is not None]
        # In microseconds, the precision that both databases store.
        return ".".join([self.state, *(f"{round(at.timestamp() * 1_000_000):x}" for at in times)])

    def listed(self) -> "ListedMailServer":
        """Return the form of a list."""
        server, login = self.server, self.server.authentication
        return ListedMailServer(
            id=self.id,
            host=server.host,
            port=server.port,
            security=server.security.value,
            sender_address=server.sender.address,
            sender_name=server.sender.display_name,
            authentication=login.kind,
            username=login.username,
        )


class ListedMailServer(NamedTuple):
    """A stored mail server in the form of a list, without its secret.

    `security` is the value of a `ConnectionSecurity`, `authentication` the kind of a login. It checks nothing: a
    list can have a hundred thousand, which were checked when they were stored. Creating a frozen dataclass takes
    three times as long.
    """

    id: int
    host: str
    port: int
    security: str
    sender_address: str
    sender_name: str | None
    authentication: str
    username: str | None


def _require_secret(setting: Setting, secret: Secret | None) -> None:
    """Check a secret that a caller just gave; a sealed one was checked when it was stored."""
    if secret is None or secret.is_sealed:
        return
    text = secret.reveal()
    require_text(setting, text, MAX_SECRET_LENGTH)
    if is_mask(text):
        raise NoSecretStored(setting)
