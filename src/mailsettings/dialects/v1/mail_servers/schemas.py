"""The JSON of mail servers in responses: their settings, who changed them, and their health."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from typing_extensions import TypeAliasType

from mailsettings.domain.mail_server import MAX_PORT
from mailsettings.domain.monitoring import Health
from mailsettings.web.openapi import Int32, single_value


class Shown(BaseModel):
    """A part of a response; a member without a value is null."""

    model_config = ConfigDict(frozen=True)


class StoredSecret(Shown):
    """A secret in a response: whether it is stored, and never the secret itself."""

    stored: Annotated[bool, Field(description="Whether a secret is stored.")]
    label: Annotated[
        str | None,
        Field(description="Random name of the stored secret, new at each storing; the audit log has the same."),
    ]
    stored_at: Annotated[
        datetime | None,
        Field(description="When a caller gave it; null if a version before 0.4.0 stored it."),
    ]
    expires_on: Annotated[
        date | None, Field(description="The day on which it expires, if an administrator entered it.")
    ]


class NoLogin(Shown):
    """The mail server accepts mail without a login."""

    kind: Annotated[Literal["none"], single_value("none"), Field(description="No login.")]


class PasswordLogin(Shown):
    """A login with a user name and a password."""

    kind: Annotated[Literal["password"], single_value("password"), Field(description="User name and password.")]
    username: Annotated[str, Field(description="User name at the mail server.")]
    password: Annotated[StoredSecret, Field(description="The password, never shown.")]


class OAuth2Login(Shown):
    """A login with an access token that Microsoft issues for a client secret (client credentials flow)."""

    kind: Annotated[
        Literal["oauth2_client_credentials"],
        single_value("oauth2_client_credentials"),
        Field(description="Microsoft OAuth2 for an application."),
    ]
    username: Annotated[str, Field(description="Mailbox that the mail is sent from.")]
    tenant: Annotated[str, Field(description="Directory (tenant) id or domain that the application belongs to.")]
    client_id: Annotated[str, Field(description="Application (client) id of the app registration.")]
    client_secret: Annotated[StoredSecret, Field(description="The client secret, never shown.")]


class MachineLogin(Shown):
    """A login with the credentials of the machine itself; they are stored, and a connection test sends none."""

    kind: Annotated[Literal["machine"], single_value("machine"), Field(description="The machine's credentials.")]
    username: Annotated[str | None, Field(description="A user name to keep; it is never sent.")]


class SystemTrusted(Shown):
    """The certificate of the mail server is trusted if an authority that the system trusts issued it."""

    kind: Annotated[Literal["system"], single_value("system"), Field(description="The system's authorities.")]


class CertificatesTrusted(Shown):
    """Only the given certificates are trusted: that of the mail server, or of its authority."""

    kind: Annotated[
        Literal["certificates"], single_value("certificates"), Field(description="The given certificates.")
    ]
    pem: Annotated[str, Field(description="One or more certificates in PEM form.")]


class SenderShown(Shown):
    """The sender of the mail."""

    address: Annotated[str, Field(description="Address in the `From` field and the envelope.")]
    name: Annotated[str | None, Field(description="Name that mail programs show for the sender.")]


class MailServerHealth(Shown):
    """What the scheduled checks found; members without a result are null."""

    state: Annotated[Health, Field(description="The health of the mail server.")]
    since: Annotated[datetime | None, Field(description="Since when the checks have had this result.")]
    checked_at: Annotated[datetime | None, Field(description="When the last check ended.")]
    failure: Annotated[str | None, Field(description="The code of the failure, if the last check failed.")]
    certificate_expires_at: Annotated[
        datetime | None, Field(description="When the certificate of the mail server expires.")
    ]
    secret_expires_on: Annotated[
        date | None, Field(description="When the stored secret expires, if an administrator entered it.")
    ]


AnyLogin = NoLogin | PasswordLogin | OAuth2Login | MachineLogin
AnyTrust = SystemTrusted | CertificatesTrusted
# Named, so that the documents have one schema for each, and generated clients one type.
Security = TypeAliasType("Security", Literal["none", "starttls", "implicit_tls"])
Login = TypeAliasType("Login", Annotated[AnyLogin, Field(discriminator="kind")])
Trusted = TypeAliasType("Trusted", Annotated[AnyTrust, Field(discriminator="kind")])
PORT = {**Int32, "minimum": 1, "maximum": MAX_PORT}


class MailServerSettings(Shown):
    """The settings of a mail server: all that an administrator chooses."""

    name: Annotated[str, Field(description="Name; no other mail server has it.")]
    description: Annotated[str | None, Field(description="Notes for people.")]
    labels: Annotated[dict[str, str], Field(description="Labels, by which lists can be filtered.")]
    enabled: Annotated[
        bool, Field(description="Whether it is in use; a disabled mail server is neither checked nor tested.")
    ]
    host: Annotated[str, Field(description="Host name or address.")]
    port: Annotated[int, WithJsonSchema(PORT), Field(description="Port.")]
    security: Annotated[Security, Field(description="How the connection is encrypted.")]
    trust: Annotated[Trusted, Field(description="Which certificates of the mail server are trusted.")]
    sender: Annotated[SenderShown, Field(description="Who the mail is from.")]
    authentication: Annotated[Login, Field(description="How to log in to the mail server.")]


class MailServerView(MailServerSettings):
    """A stored mail server."""

    id: Annotated[int, WithJsonSchema({**Int32, "minimum": 1}), Field(description="Id; it never changes.")]
    default: Annotated[bool, Field(description="Whether the APIs with a single mail server show it.")]
    version: Annotated[
        int, WithJsonSchema({**Int32, "minimum": 1}), Field(description="Counts the changes, from 1.")
    ]
    created_by: Annotated[str | None, Field(description="Who created it.")]
    created_through: Annotated[str | None, Field(description="The API that created it.")]
    changed_at: Annotated[datetime | None, Field(description="When it was changed last.")]
    changed_by: Annotated[str | None, Field(description="Who changed it last.")]
    health: Annotated[MailServerHealth, Field(description="What the scheduled checks found.")]


class MailServerPage(Shown):
    """A page of mail servers, in the order of their ids."""

    items: Annotated[list[MailServerView], Field(description="The mail servers.")]
    next_cursor: Annotated[
        str | None, Field(description="Send it as `cursor` to get the next page; null on the last page.")
    ]


_Any = Annotated[Any, WithJsonSchema({})]


class SettingChange(Shown):
    """A setting that differs between two versions."""

    field: Annotated[str, Field(description="The setting, by its path in a mail server.")]
    before: Annotated[
        _Any, Field(description="Its value before; a secret as its label, certificates as their SHA-256.")
    ]
    after: Annotated[_Any, Field(description="Its value after, in the same form.")]


class MailServerVersionView(Shown):
    """A version of a mail server, and what made it different from the version before."""

    version: Annotated[int, WithJsonSchema({**Int32, "minimum": 1}), Field(description="Number of the version.")]
    name: Annotated[str | None, Field(description="The name at that time.")]
    enabled: Annotated[bool, Field(description="Whether it was enabled.")]
    removed: Annotated[bool, Field(description="Whether the change removed the mail server.")]
    changed_at: Annotated[datetime | None, Field(description="When the change was made.")]
    changed_by: Annotated[str | None, Field(description="Who made the change.")]
    secret: Annotated[
        str | None, Field(description="What became of the secret: `set`, `replaced`, `removed` or `kept`.")
    ]
    changes: Annotated[
        list[SettingChange] | None,
        Field(description="What changed since the version before; null if that version is no longer stored."),
    ]


class MailServerVersionPage(Shown):
    """A page of versions, newest first."""

    items: Annotated[list[MailServerVersionView], Field(description="The versions.")]
    next_cursor: Annotated[
        str | None, Field(description="Send it as `cursor` to get the next page; null on the last page.")
    ]


class MailServerDifference(Shown):
    """What differs between two versions of a mail server."""

    from_version: Annotated[int, WithJsonSchema(Int32), Field(description="The version in the path.")]
    to_version: Annotated[int, WithJsonSchema(Int32), Field(description="The version that it is compared with.")]
    changes: Annotated[list[SettingChange], Field(description="The settings that differ.")]
