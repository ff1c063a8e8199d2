"""The schema of a patch of a mail server, for the documents; a request checks the merged settings."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, GetJsonSchemaHandler, RootModel, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from mailsettings.dialects.v1.mail_servers.inputs import KEEP, KEPT, NameText, SecretText, without_default
from mailsettings.dialects.v1.mail_servers.schemas import PORT, Security
from mailsettings.dialects.v1.request_parts import WITHOUT_NULL
from mailsettings.domain.naming import MAX_DESCRIPTION_LENGTH


class SenderPatch(BaseModel):
    """The members of the sender to change."""

    address: Annotated[str | None, WITHOUT_NULL, Field(min_length=1, description="Address.")] = None
    name: Annotated[str | None, Field(description="Name; null for none.")] = None


class TrustPatch(BaseModel):
    """The members of the trust to change; with another `kind`, all of them."""

    kind: Annotated[
        Literal["system", "certificates"] | None, WITHOUT_NULL, Field(description="Which are trusted.")
    ] = None
    pem: Annotated[str | None, WITHOUT_NULL, Field(description="The trusted certificates in PEM form.")] = None


class LoginPatch(BaseModel):
    """The members of the login to change; with another `kind`, all of them."""

    kind: Annotated[
        Literal["none", "password", "oauth2_client_credentials", "machine"] | None,
        WITHOUT_NULL,
        Field(description="How to log in."),
    ] = None
    username: Annotated[str | None, WITHOUT_NULL, Field(description="User name or mailbox.")] = None
    password: Annotated[
        SecretText, Field(description=f"A new password. {KEEP}", json_schema_extra=without_default)
    ] = KEPT
    tenant: Annotated[str | None, WITHOUT_NULL, Field(description="Directory (tenant) id or domain.")] = None
    client_id: Annotated[str | None, WITHOUT_NULL, Field(description="Application (client) id.")] = None
    client_secret: Annotated[
        SecretText, Field(description=f"A new client secret. {KEEP}", json_schema_extra=without_default)
    ] = KEPT


class _PatchMembers(BaseModel):
    """The members of a patch."""

    name: Annotated[NameText | None, WITHOUT_NULL, Field(description="A new name.")] = None
    description: Annotated[
        str | None, Field(max_length=MAX_DESCRIPTION_LENGTH, description="Notes for people; null for none.")
    ] = None
    labels: Annotated[
        dict[str, str | None] | None, WITHOUT_NULL, Field(description="Labels; null removes a label.")
    ] = None
    enabled: Annotated[bool | None, WITHOUT_NULL, Field(description="Whether it is in use.")] = None
    host: Annotated[str | None, WITHOUT_NULL, Field(min_length=1, description="Host name or address.")] = None
    port: Annotated[
        int | None, WithJsonSchema({**PORT, "type": ["integer", "null"]}), Field(description="Port.")
    ] = None
    security: Annotated[Security | None, WITHOUT_NULL, Field(description="How the connection is encrypted.")] = (
        None
    )
    trust: Annotated[TrustPatch | None, WITHOUT_NULL, Field(description="Which certificates are trusted.")] = None
    sender: Annotated[SenderPatch | None, WITHOUT_NULL, Field(description="Who the mail is from.")] = None
    authentication: Annotated[
        LoginPatch | None, WITHOUT_NULL, Field(description="How to log in to the mail server.")
    ] = None


class MailServerPatch(RootModel[dict[str, Any]]):
    """The members to change (RFC 7396): null gives a member its default.

    It is any JSON object here, because a member with null differs from a member that is left out.
    """

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        members = handler.resolve_ref_schema(handler(_PatchMembers.__pydantic_core_schema__))
        description = "The members to change (RFC 7396): null gives a member its default."
        return {**members, "title": cls.__name__, "description": description}
