"""The wire of the email configurations, under the vendor's names."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StrictInt
from pydantic.alias_generators import to_camel
from pydantic.json_schema import SkipJsonSchema

from mailsettings.web import body

SecurityProtocol = Literal["NONE", "STARTTLS", "SSLTLS"]
Host = Annotated[str, Field(min_length=1, description="Host name or address of the mail server."), body.HOST]
Port = Annotated[
    StrictInt, Field(ge=1, le=65535, json_schema_extra={"format": "int32"}, description="Port of the mail server.")
]
Security = Annotated[SecurityProtocol, Field(description="How the connection is encrypted.")]
Address = Annotated[str, Field(min_length=1, description="Address of the sender."), body.SENDER_ADDRESS]
Name = Annotated[str, Field(description="Name of the sender; empty for none."), body.SENDER_NAME]
Username = Annotated[str, Field(description="User name at the mail server; empty for no login."), body.USERNAME]
Password = Annotated[SecretStr, Field(description="Password at the mail server; never returned.")]


class Wire(BaseModel):
    """camelCase on the wire; members that are not known are ignored."""

    model_config = ConfigDict(alias_generator=to_camel, hide_input_in_errors=True)


class NewEmailConfiguration(Wire):
    """The email configuration to store."""

    host: Host
    port: Port
    security_protocol: Security
    from_address: Address
    from_name: Name = ""
    username: Username = ""
    basic_password: Password | SkipJsonSchema[None] = None


class EmailConfigurationPatch(Wire):
    """The members to change; the others stay."""

    host: Host | SkipJsonSchema[None] = None
    port: Port | SkipJsonSchema[None] = None
    security_protocol: Security | SkipJsonSchema[None] = None
    from_address: Address | SkipJsonSchema[None] = None
    from_name: Name | SkipJsonSchema[None] = None
    username: Username | SkipJsonSchema[None] = None
    basic_password: Password | SkipJsonSchema[None] = None


class EmailConfiguration(Wire):
    """A stored email configuration, without its password."""

    id: Annotated[str, Field(description="Id of the configuration.")]
    host: Host
    port: Port
    security_protocol: Security
    from_address: Address
    from_name: Name
    username: Username


class EmailConfigurations(Wire):
    """All email configurations."""

    email_configurations: Annotated[list[EmailConfiguration], Field(description="In the order of their ids.")]


class EmailConfigurationError(BaseModel):
    """Why a request was refused."""

    message: Annotated[str, Field(description="What is wrong and what to do.")]
