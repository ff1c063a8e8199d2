"""The JSON of Oracle Analytics' mail server operations, under the vendor's own names.

Source: "Get mail server settings" of the Oracle Analytics Cloud REST API, version 20210901, with its schema and
its limits. Where it contradicts itself, a comment gives the decision.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    SecretStr,
    StrictInt,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue, SkipJsonSchema
from pydantic_core import CoreSchema

from mailsettings.domain.mail_server import MAX_PORT
from mailsettings.web import body
from mailsettings.web.normalization import integral
from mailsettings.web.openapi import single_value
from mailsettings.web.report_schema import ConnectionTestReport


class Wire(BaseModel):
    """camelCase in JSON; unknown members are ignored, also the Python names of the fields."""

    model_config = ConfigDict(alias_generator=to_camel, hide_input_in_errors=True)


# Two discriminators are optional on the vendor's page and in requests here. The documents require them: OpenAPI
# 3.1.1 does not define the meaning of an optional discriminator.
def _all_required(schema: dict[str, Any]) -> None:
    schema["required"] = list(schema["properties"])


_DISCRIMINATED = ConfigDict(json_schema_extra=_all_required)


class _ByProvider:
    """The vendor's union over providers has a single variant; pydantic makes no union of one model."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        provider = handler(schema)
        mapping = {"MS_OAUTH2": provider["$ref"]}
        return {"oneOf": [provider], "discriminator": {"propertyName": "oAuth2Provider", "mapping": mapping}}


NonEmpty = Annotated[str, Field(min_length=1)]
UpTo255 = Annotated[str, Field(min_length=1, max_length=255)]
HiddenText = Annotated[
    SecretStr,
    Field(min_length=8, max_length=255),
    # Not writeOnly, which pydantic adds: the vendor's schema requires the member in responses too, as a mask.
    WithJsonSchema({"type": "string", "format": "password", "minLength": 8, "maxLength": 255}),
]


class MailServerNoAuth(Wire):
    """The mail server accepts mail without a login."""

    auth_type: Annotated[Literal["NO_AUTH"], single_value("NO_AUTH"), Field(description="No login.")]


class MailServerUsernamePasswordAuth(Wire):
    """Log in to the mail server with a user name and a password."""

    auth_type: Annotated[
        Literal["USERNAME_PASSWORD_AUTH"],
        single_value("USERNAME_PASSWORD_AUTH"),
        Field(description="Login with user name and password."),
    ]
    username: Annotated[NonEmpty, Field(description="User name of the account at the mail server."), body.USERNAME]
    password: Annotated[
        HiddenText,
        Field(description="Password of that account. Responses have ten asterisks; sent back, they keep it."),
    ]


class MailServerMSOAuth2(Wire):
    """Log in with an access token that Microsoft issues for a client secret (client credentials flow)."""

    model_config = _DISCRIMINATED

    o_auth2_provider: Annotated[
        Literal["MS_OAUTH2"], single_value("MS_OAUTH2"), Field(description="Microsoft issues the access tokens.")
    ] = "MS_OAUTH2"
    client_id: Annotated[
        UpTo255, Field(description="Application (client) id of the app registration."), body.CLIENT_ID
    ]
    secret: Annotated[
        HiddenText,
        Field(description="Client secret of the app. Responses have ten asterisks; sent back, they keep it."),
    ]
    tenant: Annotated[
        UpTo255, Field(description="Directory (tenant) id or domain that the app belongs to."), body.TENANT
    ]
    username: Annotated[
        NonEmpty,
        Field(description="Mailbox that the mail is sent from; the app needs access."),
        body.USERNAME,
    ]


class MailServerOAuth2Auth(Wire):
    """Log in to the mail server with an OAuth 2.0 access token."""

    # The vendor's page lists OSS_AUTH_OCI_USER_ID and OCI_RESOURCE_PRINCIPAL here, from a schema of the same name
    # for snapshots; the discriminator above it requires OAUTH2_AUTH.
    model_config = _DISCRIMINATED
    auth_type: Annotated[
        Literal["OAUTH2_AUTH"], single_value("OAUTH2_AUTH"), Field(description="Login with an access token.")
    ] = "OAUTH2_AUTH"
    o_auth2_details: Annotated[
        MailServerMSOAuth2, _ByProvider(), Field(description="Who issues the access token, and for what.")
    ]


class DefaultTlsCertificate(Wire):
    """Trust the mail server's certificate if an authority that the system trusts issued it."""

    certificate_type: Annotated[
        Literal["DEFAULT_TLS_CERTIFICATE"],
        single_value("DEFAULT_TLS_CERTIFICATE"),
        Field(description="The system's authorities decide."),
    ]


class CustomTlsCertificate(Wire):
    """Trust the mail server's certificate if it is the given certificate or issued by it."""

    certificate_type: Annotated[
        Literal["CUSTOM_TLS_CERTIFICATE"],
        single_value("CUSTOM_TLS_CERTIFICATE"),
        Field(description="The given certificate decides."),
    ]
    certificate: Annotated[NonEmpty, Field(description="One or more certificates in PEM form.")]


TlsCertificateDetails = Annotated[
    DefaultTlsCertificate | CustomTlsCertificate,
    Field(discriminator="certificate_type", description="Which certificate of the mail server is trusted."),
]


class NoConnectionSecurity(Wire):
    """The connection to the mail server is not encrypted."""

    connection_security_type: Annotated[
        Literal["NO_CONNECTION_SECURITY"],
        single_value("NO_CONNECTION_SECURITY"),
        Field(description="No encryption."),
    ]


class SslTlsConnectionSecurity(Wire):
    """The connection is encrypted with TLS from the first byte (implicit TLS)."""

    connection_security_type: Annotated[
        Literal["SSL_TLS_CONNECTION_SECURITY"],
        single_value("SSL_TLS_CONNECTION_SECURITY"),
        Field(description="Implicit TLS."),
    ]
    tls_certificate_details: TlsCertificateDetails


class StartTlsConnectionSecurity(Wire):
    """The connection begins unencrypted and is upgraded with STARTTLS; without the upgrade nothing is sent."""

    connection_security_type: Annotated[
        Literal["START_TLS_CONNECTION_SECURITY"],
        single_value("START_TLS_CONNECTION_SECURITY"),
        Field(description="STARTTLS, required."),
    ]
    tls_certificate_details: TlsCertificateDetails


class MailSender(Wire):
    """Who the mail is from."""

    display_name: Annotated[
        NonEmpty, Field(description="Name that mail programs show for the sender."), body.SENDER_NAME
    ]
    email_address: Annotated[
        NonEmpty, Field(description="Address in the `From` field and the envelope."), body.SENDER_ADDRESS
    ]


Auth = Annotated[
    MailServerNoAuth | MailServerUsernamePasswordAuth | MailServerOAuth2Auth, Field(discriminator="auth_type")
]
Security = Annotated[
    NoConnectionSecurity | SslTlsConnectionSecurity | StartTlsConnectionSecurity,
    Field(discriminator="connection_security_type"),
]


class MailServer(Wire):
    """The outgoing mail server: where it is, how to connect and log in, and who the mail is from."""

    auth: Annotated[Auth, Field(description="How to log in to the mail server.")]
    connection_security: Annotated[Security, Field(description="How the connection is encrypted.")]
    host: Annotated[NonEmpty, Field(description="Host name or address of the mail server."), body.HOST]
    port: Annotated[
        StrictInt,
        Field(
            ge=1,
            le=MAX_PORT,
            json_schema_extra={"format": "int32"},
            description="Port of the mail server; usually 587 for STARTTLS, 465 for implicit TLS, 25 for neither.",
        ),
        BeforeValidator(integral),
    ]
    sender: Annotated[MailSender, Field(description="The sender of the mail.")]

    @model_validator(mode="before")
    @classmethod
    def _name_the_default_types(cls, value: Any) -> Any:
        """Fill in the two discriminators that the vendor's schema does not require."""
        auth = value.get("auth") if isinstance(value, dict) else None
        if not isinstance(auth, dict) or "oAuth2Details" not in auth or "authType" in auth:
            return value
        return {**value, "auth": {**auth, "authType": "OAUTH2_AUTH"}}


class MailServerTest(Wire):
    """Options of a connection test. This is an extension: the vendor's API has no such operation."""

    recipient: Annotated[
        str | None,
        Field(max_length=255, description="Address that gets the test mail; without it, no mail is sent."),
    ] = None


class Error(BaseModel):
    """Why a request was refused."""

    code: Annotated[str, Field(description="Name of the kind of error, meant for programs.")]
    message: Annotated[str, Field(description="What is wrong and what to do, meant for people.")]


class FailedTest(Error):
    """Why a request was refused, or why the connection test failed."""

    report: Annotated[
        ConnectionTestReport | SkipJsonSchema[None],
        Field(description="Present if a connection test ran and failed."),
    ] = None
