"""The wire of Checkmarx Access Control's SMTP settings, under the vendor's own names.

Source: the vendor's page "Access Control (REST) API - SMTP Settings", and what its clients send and demand.
Reading is lenient as the vendor's ASP.NET is, writing is strict as its generated clients are.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, StrictInt, model_validator
from pydantic.alias_generators import to_camel

from mailsettings.web.report_schema import ConnectionTestReport

LONGEST_ADDRESS = 256  # the generated client's limit for the receiver

EncryptionType = Literal["None", "Ssl", "Tls"]
_ENCRYPTION_TYPES: dict[str, EncryptionType] = {"": "None", "none": "None", "ssl": "Ssl", "tls": "Tls"}
_PORT = re.compile(r"[0-9]{1,5}")


def _read_encryption_type(value: object) -> object:
    """In any case; null and an empty string mean none."""
    if value is None:
        return "None"
    return _ENCRYPTION_TYPES.get(value.lower(), value) if isinstance(value, str) else value


def _read_flag(value: object) -> object:
    """The page says string, its samples boolean, and the Python client sends what it is given."""
    if isinstance(value, str):
        return {"true": True, "1": True, "false": False, "0": False, "": False}.get(value.lower(), value)
    if isinstance(value, int) and value in {0, 1}:
        return bool(value)
    return False if value is None else value


def _read_port(value: object) -> object:
    """A number, or one in a string, which the Python client passes through."""
    return int(value) if isinstance(value, str) and _PORT.fullmatch(value) else value


class Wire(BaseModel):
    """camelCase on the wire, read in any case as ASP.NET does; members that are not known are ignored."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _fold_case(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        names = {name.replace("_", ""): to_camel(name) for name in cls.model_fields}
        folded: dict[str, Any] = {}
        for key, member in value.items():
            name = names.get(str(key).lower(), str(key))
            if name in folded:
                raise ValueError(f"must not have {name} twice.")
            folded[name] = member
        return folded


class SMTPSettingsModel(Wire):
    """What create, update and test have in common."""

    password: Annotated[
        SecretStr | None,
        Field(description="Sender password; never returned."),
    ] = None
    host: Annotated[str, Field(min_length=1, description="SMTP server host")]
    port: Annotated[
        StrictInt, Field(ge=1, le=65535, description="Port for sending emails"), BeforeValidator(_read_port)
    ]
    encryption_type: Annotated[
        EncryptionType,
        BeforeValidator(_read_encryption_type),
        Field(description="`Ssl`: TLS from the first byte. `Tls`: STARTTLS, demanded. Read in any case."),
    ] = "None"
    from_address: Annotated[str, Field(min_length=1, description="From field when sending emails")]
    use_default_credentials: Annotated[
        bool,
        BeforeValidator(_read_flag),
        Field(strict=True, description="Log in as the machine itself: user name and password are not used."),
    ] = False
    username: Annotated[str | None, Field(description="Sender user name")] = None
    display_name: Annotated[str | None, Field(description="Name shown beside the from address")] = None


class CreateSMTPSettingsModel(SMTPSettingsModel):
    """Specifies the SMTP settings to create."""


class UpdateSMTPSettingsModel(SMTPSettingsModel):
    """Specifies the SMTP settings that replace the stored ones."""


class TestConnectionModel(SMTPSettingsModel):
    """Specifies the SMTP settings to test."""

    __test__ = False  # the vendor's name; pytest shall not collect it

    receiver_email: Annotated[
        str | None,
        Field(max_length=LONGEST_ADDRESS, description="Who gets the test mail; left out, none is sent."),
    ] = None
    # Every known client writes it this way; the vendor's page does not.
    reciever_email: Annotated[
        str | None, Field(max_length=LONGEST_ADDRESS, description="The same, as clients spell it.")
    ] = None


class SMTPSettingsViewModel(Wire):
    """SMTP settings as they are shown: no password, and no null where a generated client refuses one."""

    id: int
    host: str
    port: int
    encryption_type: EncryptionType
    from_address: str
    use_default_credentials: bool
    username: str | None
    display_name: str | None


class ErrorViewModel(BaseModel):
    """What every refusal looks like."""

    message: str


class FailedTestModel(ErrorViewModel):
    """A refusal; of a test that was made and failed, it has the report."""

    report: ConnectionTestReport | None = None


class AccessTokenModel(BaseModel):
    """An access token; one client takes the first member, whatever its name, so the order is fixed."""

    access_token: str
    expires_in: Annotated[int, Field(description="Seconds")]
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  # a scheme, not a token
    scope: str | None = None


class TokenErrorModel(BaseModel):
    """Why there is no token (RFC 6749 5.2)."""

    error: str
    error_description: str | None = None


class DiscoveryModel(BaseModel):
    """What the vendor's discovery document says of tokens (OpenID Connect Discovery 1.0, 3)."""

    issuer: str
    jwks_uri: str
    token_endpoint: str
    grant_types_supported: list[str] = ["password", "client_credentials"]
    token_endpoint_auth_methods_supported: list[str] = ["client_secret_basic", "client_secret_post"]


class JsonWebKey(BaseModel):
    """A public key (RFC 7517 4, RFC 7518 6.2.1)."""

    kty: str
    crv: str
    x: str
    y: str
    kid: str
    use: str
    alg: str


class JsonWebKeySet(BaseModel):
    """All of them (RFC 7517 5)."""

    keys: list[JsonWebKey]


class TokenRequest(BaseModel):
    """The form of the grants (RFC 6749 4.3.2 and 4.4.2); one client writes `userName`."""

    model_config = ConfigDict(hide_input_in_errors=True)

    grant_type: str = ""
    username: str | None = None
    user_name: Annotated[str | None, Field(alias="userName")] = None
    password: SecretStr | None = None
    scope: str = ""
    client_id: str | None = None
    client_secret: SecretStr | None = None
