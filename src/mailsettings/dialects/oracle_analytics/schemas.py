"""The wire of Oracle Analytics' mail server operations, under the vendor's own names.

Source: "Get mail server settings" of the Oracle Analytics Cloud REST API, version 20210901. Its schema and
its limits are kept; where it contradicts itself the comment says what was decided.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StrictInt, WithJsonSchema, model_validator
from pydantic.alias_generators import to_camel

from mailsettings.web.report_schema import ConnectionTestReport


class Wire(BaseModel):
    """camelCase on the wire; members that are not known are ignored."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, hide_input_in_errors=True)


NonEmpty = Annotated[str, Field(min_length=1)]
UpTo255 = Annotated[str, Field(min_length=1, max_length=255)]
HiddenText = Annotated[
    SecretStr,
    Field(min_length=8, max_length=255),
    # Not writeOnly, as pydantic has it: the vendor's schema demands the member in answers too, as our mask.
    WithJsonSchema({"type": "string", "format": "password", "minLength": 8, "maxLength": 255}),
]


class MailServerNoAuth(Wire):
    """Mail server doesn't require authentication."""

    auth_type: Literal["NO_AUTH"]


class MailServerUsernamePasswordAuth(Wire):
    """Mail server authentication requires a username and password."""

    auth_type: Literal["USERNAME_PASSWORD_AUTH"]
    username: NonEmpty
    password: HiddenText


class MailServerMSOAuth2(Wire):
    """Mail server authentication that uses the Microsoft OAuth2 client credential flow."""

    o_auth2_provider: Literal["MS_OAUTH2"] = "MS_OAUTH2"
    client_id: UpTo255
    secret: HiddenText
    tenant: UpTo255
    username: NonEmpty


class MailServerOAuth2Auth(Wire):
    """Mail server authentication uses OAuth2."""

    # The vendor's page lists OSS_AUTH_OCI_USER_ID and OCI_RESOURCE_PRINCIPAL here, the values of a schema of
    # the same name that belongs to snapshots; the discriminator above it demands OAUTH2_AUTH.
    auth_type: Literal["OAUTH2_AUTH"] = "OAUTH2_AUTH"
    o_auth2_details: MailServerMSOAuth2


class DefaultTlsCertificate(Wire):
    """Use the default certificate provided for an SSL-enabled mail server."""

    certificate_type: Literal["DEFAULT_TLS_CERTIFICATE"]


class CustomTlsCertificate(Wire):
    """Use a custom TLS certificate for an SSL-enabled mail server."""

    certificate_type: Literal["CUSTOM_TLS_CERTIFICATE"]
    certificate: NonEmpty


TlsCertificateDetails = Annotated[
    DefaultTlsCertificate | CustomTlsCertificate, Field(discriminator="certificate_type")
]


class NoConnectionSecurity(Wire):
    """No connection security."""

    connection_security_type: Literal["NO_CONNECTION_SECURITY"]


class SslTlsConnectionSecurity(Wire):
    """SSL TLS security for the mail server connection."""

    connection_security_type: Literal["SSL_TLS_CONNECTION_SECURITY"]
    tls_certificate_details: TlsCertificateDetails


class StartTlsConnectionSecurity(Wire):
    """STARTTLS security for the mail server connection."""

    connection_security_type: Literal["START_TLS_CONNECTION_SECURITY"]
    tls_certificate_details: TlsCertificateDetails


class MailSender(Wire):
    """Sender of emails."""

    display_name: NonEmpty
    email_address: NonEmpty


Auth = Annotated[
    MailServerNoAuth | MailServerUsernamePasswordAuth | MailServerOAuth2Auth, Field(discriminator="auth_type")
]
Security = Annotated[
    NoConnectionSecurity | SslTlsConnectionSecurity | StartTlsConnectionSecurity,
    Field(discriminator="connection_security_type"),
]


class MailServer(Wire):
    """Mail server used to deliver visualizations and reports to users by email."""

    auth: Auth
    connection_security: Security
    host: NonEmpty
    port: Annotated[StrictInt, Field(ge=1, le=65535)]
    sender: MailSender

    @model_validator(mode="before")
    @classmethod
    def _name_the_default_types(cls, value: Any) -> Any:
        """Fill in the two discriminators that the vendor's schema does not require."""
        auth = value.get("auth") if isinstance(value, dict) else None
        if not isinstance(auth, dict) or "oAuth2Details" not in auth or "authType" in auth:
            return value
        return {**value, "auth": {**auth, "authType": "OAUTH2_AUTH"}}


class MailServerTest(Wire):
    """What to test the mail server with. This is an extension: the vendor's API has no such operation."""

    recipient: Annotated[
        str | None, Field(max_length=255, description="Gets the test mail; without one, none is sent.")
    ] = None


class Error(BaseModel):
    """What every refusal looks like."""

    code: Annotated[str, Field(description="Short error code, meant for programs.")]
    message: Annotated[str, Field(description="Human-readable error string.")]


class FailedTest(Error):
    """A refusal; of a test that was made and failed, it has the report."""

    report: ConnectionTestReport | None = None
