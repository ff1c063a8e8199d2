"""The JSON of Checkmarx Access Control's SMTP settings, under the vendor's own names.

Source: the vendor's page "Access Control (REST) API - SMTP Settings", and the requests and checks of its clients.
Requests are parsed leniently, as by the vendor's ASP.NET; responses are strict, as its generated clients require.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StrictInt,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import SkipJsonSchema

from mailsettings.domain.mail_server import MAX_PORT
from mailsettings.web import body
from mailsettings.web.normalization import ascii_lower, integral
from mailsettings.web.openapi import Int32, single_value
from mailsettings.web.report_schema import ConnectionTestReport

MAX_ID = 2**31 - 1  # the generated client reads an int32
MAX_ADDRESS_LENGTH = 256  # the generated client's limit for the receiver

EncryptionType = Literal["None", "Ssl", "Tls"]
_ENCRYPTION_TYPES: dict[str, EncryptionType] = {"": "None", "none": "None", "ssl": "Ssl", "tls": "Tls"}
_PORT = re.compile(r"[0-9]{1,5}")


def _read_encryption_type(value: object) -> object:
    """Read the type in any case; null and an empty string mean None."""
    if value is None:
        return "None"
    return _ENCRYPTION_TYPES.get(ascii_lower(value), value) if isinstance(value, str) else value


def _read_flag(value: object) -> object:
    """Read a boolean or a string: the page says string, its samples boolean, the Python client sends both."""
    if isinstance(value, str):
        return {"true": True, "1": True, "false": False, "0": False, "": False}.get(ascii_lower(value), value)
    number = integral(value)
    if isinstance(number, int) and number in {0, 1}:
        return bool(number)
    return False if value is None else value


def _read_port(value: object) -> object:
    """Read a number, also from a string, which the Python client sends."""
    return int(value) if isinstance(value, str) and _PORT.fullmatch(value) else integral(value)


class Wire(BaseModel):
    """camelCase in JSON, read in any case as in ASP.NET; unknown members are ignored.

    The Python names of the fields are unknown members too: `from_address` is ignored.
    """

    model_config = ConfigDict(alias_generator=to_camel, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _fold_case(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        names = {name.replace("_", ""): to_camel(name) for name in cls.model_fields}
        folded: dict[str, Any] = {}
        for key, member in value.items():
            name = names.get(ascii_lower(str(key)), str(key))
            if name in folded:
                raise ValueError(f"must not have {name} twice.")
            folded[name] = member
        return folded


class SMTPSettingsModel(Wire):
    """The members that create, update and test share."""

    password: Annotated[SecretStr | None, Field(description="Password of that account; never returned.")] = None
    host: Annotated[str, Field(min_length=1, description="Host name or address of the mail server."), body.HOST]
    port: Annotated[
        StrictInt,
        Field(
            ge=1,
            le=MAX_PORT,
            json_schema_extra={"format": "int32"},
            description="Port that the mail server listens on.",
        ),
        BeforeValidator(_read_port),
    ]
    encryption_type: Annotated[
        EncryptionType,
        BeforeValidator(_read_encryption_type),
        Field(
            description="How the connection is encrypted. `Ssl`: TLS from the first byte. `Tls`: STARTTLS, "
            "required. `None`: no encryption. Letter case does not matter."
        ),
    ] = "None"
    from_address: Annotated[
        str, Field(min_length=1, description="Address that the mail is from."), body.SENDER_ADDRESS
    ]
    use_default_credentials: Annotated[
        bool,
        BeforeValidator(_read_flag),
        Field(
            strict=True,
            description="Log in as the machine that sends the mail: user name and password are not used.",
        ),
    ] = False
    username: Annotated[
        str | None,
        Field(description="User name of the account at the mail server; without it, no login."),
        body.USERNAME,
    ] = None
    display_name: Annotated[
        str | None, Field(description="Name that mail programs show for the sender."), body.SENDER_NAME
    ] = None


class CreateSMTPSettingsModel(SMTPSettingsModel):
    """The SMTP settings to store."""


class UpdateSMTPSettingsModel(SMTPSettingsModel):
    """The SMTP settings that replace the stored settings."""


class TestConnectionModel(SMTPSettingsModel):
    """The SMTP settings to test, and who gets the test mail."""

    __test__ = False  # the vendor's name, which pytest would collect

    receiver_email: Annotated[
        str | None,
        Field(
            max_length=MAX_ADDRESS_LENGTH,
            description="Address that gets the test mail; without it, no mail is sent.",
        ),
    ] = None
    # The spelling of every known client; the vendor's page has `receiverEmail`.
    reciever_email: Annotated[
        str | None,
        Field(
            max_length=MAX_ADDRESS_LENGTH,
            description="`receiverEmail` in the spelling of the vendor's clients; it takes precedence.",
        ),
    ] = None


class SMTPSettingsViewModel(Wire):
    """Stored SMTP settings, without the password."""

    # No member is null where the generated client requires a value.
    id: Annotated[
        int,
        WithJsonSchema({**Int32, "minimum": 1, "maximum": MAX_ID}),
        Field(description="Id of the settings."),
    ]
    host: Annotated[str, Field(description="Host name or address of the mail server.")]
    port: Annotated[
        int,
        WithJsonSchema({**Int32, "minimum": 1, "maximum": MAX_PORT}),
        Field(description="Port that the mail server listens on."),
    ]
    encryption_type: Annotated[
        EncryptionType,
        Field(description="`Ssl`: TLS from the first byte. `Tls`: STARTTLS. `None`: not encrypted."),
    ]
    from_address: Annotated[str, Field(description="Address that the mail is from.")]
    use_default_credentials: Annotated[
        bool, Field(description="Whether the machine that sends the mail uses its own credentials.")
    ]
    username: Annotated[
        str | None, Field(description="User name at the mail server; null if there is no user name.")
    ]
    display_name: Annotated[str | None, Field(description="Name of the sender; null if there is no name.")]


class ErrorViewModel(BaseModel):
    """Why a request was refused."""

    message: Annotated[str, Field(description="What is wrong and what to do.")]


class FailedTestModel(ErrorViewModel):
    """Why a request was refused, or why the connection test failed."""

    report: Annotated[
        ConnectionTestReport | SkipJsonSchema[None],
        Field(description="Present if a connection test ran and failed."),
    ] = None


class AccessTokenModel(BaseModel):
    """An access token (RFC 6749 5.1)."""

    # One client reads the first member, whatever its name, so the order is fixed.
    access_token: Annotated[str, Field(description="Send it as `Authorization: Bearer <access_token>`.")]
    expires_in: Annotated[
        int, WithJsonSchema({**Int32, "minimum": 1}), Field(description="Seconds until the token expires.")
    ]
    token_type: Annotated[
        Literal["Bearer"], single_value("Bearer"), Field(description="How the token is sent (RFC 6750).")
    ] = "Bearer"  # noqa: S105  # a scheme, not a token
    scope: Annotated[
        str | SkipJsonSchema[None],
        Field(description="The requested scope; it neither adds nor removes permissions."),
    ] = None


class TokenErrorModel(BaseModel):
    """Why there is no token (RFC 6749 5.2)."""

    error: Annotated[str, Field(description="Error code of RFC 6749, such as `invalid_grant`.")]
    error_description: Annotated[str | SkipJsonSchema[None], Field(description="What is wrong.")] = None


class DiscoveryModel(BaseModel):
    """The token endpoint and the keys that verify its tokens (OpenID Connect Discovery 1.0, 3)."""

    issuer: Annotated[str, Field(description="The issuer, equal to the claim `iss` of access tokens.")]
    jwks_uri: Annotated[str, Field(description="Address of the keys that verify access tokens.")]
    token_endpoint: Annotated[str, Field(description="Address of the token endpoint.")]
    grant_types_supported: Annotated[list[str], Field(description="The grants of the token endpoint.")] = [
        *("password", "client_credentials")
    ]
    token_endpoint_auth_methods_supported: Annotated[
        list[str], Field(description="How a client may send its secret to the token endpoint.")
    ] = ["client_secret_basic", "client_secret_post"]


class JsonWebKey(BaseModel):
    """A public key (RFC 7517 4, RFC 7518 6.2.1)."""

    kty: Annotated[str, Field(description="Key type.")]
    crv: Annotated[str, Field(description="Curve.")]
    x: Annotated[str, Field(description="First coordinate, in base64url.")]
    y: Annotated[str, Field(description="Second coordinate, in base64url.")]
    kid: Annotated[str, Field(description="Key id, as in the header of access tokens.")]
    use: Annotated[str, Field(description="`sig`: the key verifies signatures.")]
    alg: Annotated[str, Field(description="Signature algorithm.")]


class JsonWebKeySet(BaseModel):
    """The public keys that verify access tokens (RFC 7517 5)."""

    keys: Annotated[list[JsonWebKey], Field(description="The keys in use.")]


def _without_default(schema: dict[str, Any]) -> None:
    """Remove the default, which marks a missing member and is not a valid value."""
    del schema["default"]


class TokenRequest(BaseModel):
    """The form parameters of the grants (RFC 6749 4.3.2 and 4.4.2)."""

    # grant_type is optional here, so that its absence becomes an error of RFC 6749 5.2.
    model_config = ConfigDict(hide_input_in_errors=True, json_schema_extra={"required": ["grant_type"]})

    grant_type: Annotated[
        str,
        WithJsonSchema({"type": "string", "enum": ["password", "client_credentials"]}),
        Field(
            description="`password` for a user, `client_credentials` for a client.",
            json_schema_extra=_without_default,
        ),
    ] = ""
    username: Annotated[str | SkipJsonSchema[None], Field(description="Name of the user.")] = None
    user_name: Annotated[
        str | SkipJsonSchema[None],
        Field(alias="userName", description="`username` in the spelling of one client; send only one of the two."),
    ] = None
    password: Annotated[SecretStr | SkipJsonSchema[None], Field(description="Password of the user.")] = None
    scope: Annotated[
        str,
        Field(
            description="Scopes, separated by spaces: `sast_rest_api`, `access_control_api`, `sast_api` and "
            "`offline_access`. Permissions depend on the account alone."
        ),
    ] = ""
    client_id: Annotated[str | SkipJsonSchema[None], Field(description="Id of the client.")] = None
    client_secret: Annotated[SecretStr | SkipJsonSchema[None], Field(description="Secret of the client.")] = None
