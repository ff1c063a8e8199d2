"""The JSON of mail servers in requests; every rule of the domain about a single member is checked here."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    PlainValidator,
    StrictBool,
    StrictInt,
    StrictStr,
    WithJsonSchema,
)
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticKnownError
from typing_extensions import TypeAliasType

from mailsettings.dialects.v1.mail_servers.schemas import PORT, Security
from mailsettings.dialects.v1.request_parts import WITHOUT_NULL, Ignored, Input, checked, rule
from mailsettings.domain.certificates import CustomTrust
from mailsettings.domain.change import SecretInput
from mailsettings.domain.mail_server import MAX_PORT, MAX_SECRET_LENGTH, PasswordAuthentication
from mailsettings.domain.naming import (
    MAX_DESCRIPTION_LENGTH,
    MAX_LABEL_VALUE_LENGTH,
    MAX_LABELS,
    SERVER_NAME,
    id_in_name,
    require_description,
    require_labels,
    require_server_name,
)
from mailsettings.domain.values import Secret
from mailsettings.web import body
from mailsettings.web.normalization import integral
from mailsettings.web.openapi import single_value

_SECRET_MEMBERS = {"stored", "label", "stored_at", "expires_on"}
"""The members of a secret in responses."""


@dataclass(frozen=True, slots=True)
class SentSecret:
    """A secret in a request, and whether it stands for a new or the stored secret."""

    input: SecretInput
    secret: Secret | None = None


KEPT = SentSecret(SecretInput.OMITTED)


def _sent_secret(value: object) -> SentSecret:
    match value:
        case None:
            return SentSecret(SecretInput.GIVEN)
        case str():
            secret = Secret(value)
            # The limits of secrets are the same for each kind of login; the user name is of no account here.
            checked(lambda: PasswordAuthentication("x", secret))
            return SentSecret(SecretInput.GIVEN, secret)
        # What a GET shows, so that a client can send its response back.
        case {"stored": bool(), **others} if _SECRET_MEMBERS.issuperset(others):
            return KEPT
        case _:
            raise PydanticKnownError("string_type")


SecretText = Annotated[
    SentSecret,
    PlainValidator(_sent_secret),
    WithJsonSchema(
        {"type": ["string", "null"], "format": "password", "minLength": 1, "maxLength": MAX_SECRET_LENGTH}
    ),
]
_LABELS_SCHEMA = {
    "type": "object",
    "additionalProperties": {"type": "string", "maxLength": MAX_LABEL_VALUE_LENGTH},
    "maxProperties": MAX_LABELS,
}
KEEP = "Left out, or as a response shows it, the stored secret stays; null removes it."
"""What a secret in a request means, for the documents."""
# The longest address: 64 octets before the @ and 255 after it (RFC 5321 4.5.3.1).
UpTo320 = Annotated[StrictStr, Field(min_length=1, max_length=320)]
# The longest domain (RFC 5321 4.5.3.1.2).
UpTo255 = Annotated[StrictStr, Field(min_length=1, max_length=255)]


def without_default(schema: dict[str, Any]) -> None:
    """Remove the default, which marks a missing member and is not a value of the schema."""
    schema.pop("default", None)


class NoLoginInput(Input):
    """No login."""

    kind: Annotated[Literal["none"], single_value("none"), Field(description="No login.")]


class PasswordLoginInput(Input):
    """A login with a user name and a password."""

    kind: Annotated[Literal["password"], single_value("password"), Field(description="User name and password.")]
    username: Annotated[UpTo320, Field(description="User name at the mail server."), body.USERNAME]
    password: Annotated[
        SecretText, Field(description=f"A new password. {KEEP}", json_schema_extra=without_default)
    ] = KEPT


class OAuth2LoginInput(Input):
    """A login with an access token that Microsoft issues for a client secret (client credentials flow)."""

    kind: Annotated[
        Literal["oauth2_client_credentials"],
        single_value("oauth2_client_credentials"),
        Field(description="Microsoft OAuth2 for an application."),
    ]
    username: Annotated[UpTo320, Field(description="Mailbox that the mail is sent from."), body.USERNAME]
    tenant: Annotated[UpTo255, Field(description="Directory (tenant) id or domain."), body.TENANT]
    client_id: Annotated[UpTo255, Field(description="Application (client) id."), body.CLIENT_ID]
    client_secret: Annotated[
        SecretText, Field(description=f"A new client secret. {KEEP}", json_schema_extra=without_default)
    ] = KEPT


class MachineLoginInput(Input):
    """A login with the credentials of the machine itself."""

    kind: Annotated[Literal["machine"], single_value("machine"), Field(description="The machine's credentials.")]
    username: Annotated[
        StrictStr | None,
        Field(max_length=320, description="A user name to keep; it is never sent."),
        body.USERNAME,
    ] = None


class SystemTrustInput(Input):
    """Trust the authorities of the system."""

    kind: Annotated[Literal["system"], single_value("system"), Field(description="The system's authorities.")]


class CertificatesTrustInput(Input):
    """Trust the given certificates alone."""

    kind: Annotated[
        Literal["certificates"], single_value("certificates"), Field(description="The given certificates.")
    ]
    pem: Annotated[
        StrictStr,
        Field(min_length=1, description="One or more certificates in PEM form."),
        rule(CustomTrust.parse),
    ]


class SenderInput(Input):
    """The sender of the mail."""

    address: Annotated[
        UpTo320, Field(description="Address in the `From` field and the envelope."), body.SENDER_ADDRESS
    ]
    name: Annotated[
        StrictStr | None,
        Field(max_length=320, description="Name that mail programs show for the sender."),
        body.SENDER_NAME,
    ] = None


AnyLoginInput = NoLoginInput | PasswordLoginInput | OAuth2LoginInput | MachineLoginInput
AnyTrustInput = SystemTrustInput | CertificatesTrustInput
# Named, so that the documents have one schema for each union, which generated clients need.
LoginInput = TypeAliasType("LoginInput", Annotated[AnyLoginInput, Field(discriminator="kind")])
TrustInput = TypeAliasType("TrustInput", Annotated[AnyTrustInput, Field(discriminator="kind")])


def _require_name(name: str) -> None:
    # The name of a mail server that was stored without a name holds its id, which the use case compares.
    require_server_name(name, id_in_name(name))


def _labels(value: object) -> dict[str, str]:
    """Check the labels as a whole, so that an error repeats no key, which may be any text."""
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise ValueError("must be an object with strings.")
    checked(lambda: require_labels(value))
    return value


def _set_by_service(_value: object) -> None:
    raise ValueError("is set by the service; leave it out.")


NameText = Annotated[
    StrictStr,
    rule(_require_name),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 63, "pattern": f"^{SERVER_NAME}$"}),
]
Labels = Annotated[dict[str, str], PlainValidator(_labels), WithJsonSchema(_LABELS_SCHEMA)]
Refused = Annotated[Any, BeforeValidator(_set_by_service), SkipJsonSchema()]


PortNumber = Annotated[StrictInt, Field(ge=1, le=MAX_PORT), BeforeValidator(integral), WithJsonSchema(PORT)]


class ConnectionInput(Input):
    """The settings that a connection test needs."""

    host: Annotated[UpTo255, Field(description="Host name or address."), body.HOST]
    port: Annotated[
        PortNumber | None,
        WITHOUT_NULL,
        Field(description="Port; by default 587 for `starttls`, 465 for `implicit_tls` and 25 for `none`."),
    ] = None
    security: Annotated[
        Security | None,
        WITHOUT_NULL,
        Field(description="How the connection is encrypted; by default `starttls`, on port 465 `implicit_tls`."),
    ] = None
    trust: Annotated[
        TrustInput,
        Field(
            description="Which certificates of the mail server are trusted; by default `system`.",
            json_schema_extra=without_default,
        ),
    ] = SystemTrustInput(kind="system")
    sender: Annotated[SenderInput, Field(description="Who the mail is from.")]
    authentication: Annotated[
        LoginInput, Field(description="How to log in; by default `none`.", json_schema_extra=without_default)
    ] = NoLoginInput(kind="none")


class NewMailServer(ConnectionInput):
    """The settings of a new mail server."""

    name: Annotated[
        NameText | None,
        WITHOUT_NULL,
        Field(description="Name: lower-case letters, digits and hyphens; by default derived from the host."),
    ] = None
    description: Annotated[
        StrictStr | None,
        Field(max_length=MAX_DESCRIPTION_LENGTH, description="Notes for people."),
        rule(require_description),
    ] = None
    labels: Annotated[
        Labels,
        Field(
            default_factory=dict,
            description="Labels, by which lists can be filtered; at most 20.",
            json_schema_extra=without_default,
        ),
    ]
    enabled: Annotated[
        StrictBool | None, WITHOUT_NULL, Field(description="Whether it is in use; by default true.")
    ] = None
    id: Refused = None
    default: Refused = None
    version: Refused = None
    created_by: Refused = None
    created_through: Refused = None
    changed_at: Refused = None
    changed_by: Refused = None
    health: Refused = None


class MailServerReplacement(NewMailServer):
    """All settings of a mail server. A member that is left out gets its default; name and `enabled` stay.

    The other members of a response may be sent back unchanged.
    """

    id: Ignored = None
    default: Ignored = None
    version: Ignored = None
    created_by: Ignored = None
    created_through: Ignored = None
    changed_at: Ignored = None
    changed_by: Ignored = None
    health: Ignored = None
