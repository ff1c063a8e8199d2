"""The JSON of devices in responses."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, WithJsonSchema

from mailsettings.dialects.v1.mail_servers.schemas import Security
from mailsettings.dialects.v1.moments import Moment, at
from mailsettings.domain.device import (
    MAX_MESSAGE_BYTES,
    MAX_MESSAGES_PER_MINUTE,
    MAX_RECIPIENTS_LIMIT,
    MIN_MESSAGE_BYTES,
)
from mailsettings.domain.device_overview import DeviceOverview
from mailsettings.domain.listening import ListenerKind, SubmissionAddress
from mailsettings.domain.values import Secret
from mailsettings.web.openapi import Int32

_SECURITY: Mapping[ListenerKind, Security] = {
    ListenerKind.PLAIN: "none",
    ListenerKind.STARTTLS: "starttls",
    ListenerKind.TLS: "implicit_tls",
}
RECIPIENTS = {**Int32, "minimum": 1, "maximum": MAX_RECIPIENTS_LIMIT}
PER_MINUTE = {**Int32, "minimum": 1, "maximum": MAX_MESSAGES_PER_MINUTE}
BYTES = {**Int32, "minimum": MIN_MESSAGE_BYTES, "maximum": MAX_MESSAGE_BYTES}


def or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return *schema* with null as another value."""
    return {**schema, "type": ["integer", "null"]}


class DeviceView(BaseModel):
    """A device, without its secret."""

    id: Annotated[int, WithJsonSchema({**Int32, "minimum": 1})] = Field(description="Id; it never changes.")
    name: str = Field(description="Name, and user name at the relay.")
    description: str = Field(description="Notes for people; empty without any.")
    enabled: bool = Field(description="Whether it may send.")
    senders: list[str] = Field(description="Addresses that it may send from; `*@example.com`, or `*` for any.")
    from_domains: list[str] = Field(description="Domains that its `From` field may have, next to its senders.")
    networks: list[str] = Field(description="Networks that it may send from; empty for any.")
    trusts_network: bool = Field(description="Whether the network replaces the login.")
    mail_server: str | None = Field(description="Name of its mail server; null for the default mail server.")
    mail_server_problem: Literal["missing", "disabled"] | None = Field(
        description="Why its mail server cannot be used, so that the relay answers 451; null if it can."
    )
    sends_as_stored_sender: bool = Field(
        description="Whether the relay replaces its sender by that of the mail server."
    )
    sends_null_sender: bool = Field(description="Whether it may send without a sender, as for notifications.")
    messages_per_minute: Annotated[int | None, WithJsonSchema(or_null(PER_MINUTE))] = Field(
        description="Messages in a minute, at most; null without a limit."
    )
    max_recipients: Annotated[int, WithJsonSchema(RECIPIENTS)] = Field(
        description="Recipients of a message, at most."
    )
    max_message_bytes: Annotated[int | None, WithJsonSchema(or_null(BYTES))] = Field(
        description="Size of a message, at most; null for the limit of the relay."
    )
    secret_stored_at: Moment | None = Field(description="When it got its secret; null without a secret.")
    created_at: Moment = Field(description="When it was created.")
    created_by: str | None = Field(description="Who created it.")
    changed_at: Moment = Field(description="When it was last changed.")
    changed_by: str | None = Field(description="Who changed it last.")
    version: Annotated[int, WithJsonSchema({**Int32, "minimum": 1})] = Field(description="Counts its changes.")
    last_used_at: Moment | None = Field(description="When it last submitted a message; null if it never did.")
    last_peer: str | None = Field(description="The address that it last submitted from.")


class DevicePage(BaseModel):
    """A page of devices, by name."""

    items: list[DeviceView] = Field(description="The devices.")
    next_cursor: str | None = Field(description="Send it as `cursor` to get the next page; null on the last page.")


class SubmissionView(BaseModel):
    """An address at which the relay takes mail."""

    host: str = Field(description="Host name or address.")
    port: Annotated[int, WithJsonSchema({**Int32, "minimum": 1, "maximum": 65535})] = Field(description="Port.")
    security: Security = Field(description="How the connection is encrypted.")


class DeviceLogin(BaseModel):
    """What to enter into a device. The secret is in this response only."""

    id: Annotated[int, WithJsonSchema({**Int32, "minimum": 1})] = Field(description="Id of the device.")
    name: str = Field(description="User name.")
    secret: str | None = Field(description="Password, which is not shown again; null if the network is trusted.")
    submission: list[SubmissionView] = Field(description="The addresses of the relay by the settings.")


def view(shown: DeviceOverview) -> DeviceView:
    """Return what the API shows of a device."""
    stored, device, use = shown.stored, shown.stored.device, shown.last_use
    return DeviceView(
        id=device.id,
        name=device.name,
        description=device.description,
        enabled=device.enabled,
        senders=list(device.senders),
        from_domains=list(device.from_domains),
        networks=[str(network) for network in device.networks],
        trusts_network=device.trusts_network,
        mail_server=shown.mail_server.name,
        mail_server_problem=shown.mail_server.problem,
        sends_as_stored_sender=device.sends_as_stored_sender,
        sends_null_sender=device.sends_null_sender,
        messages_per_minute=device.messages_per_minute,
        max_recipients=device.max_recipients,
        max_message_bytes=device.max_message_bytes,
        secret_stored_at=stored.secret_stored_at,
        created_at=stored.created.at,
        created_by=stored.created.by,
        changed_at=stored.changed.at,
        changed_by=stored.changed.by,
        version=stored.version,
        last_used_at=None if use is None else at(use.at),
        last_peer=None if use is None else use.peer,
    )


def login(device_id: int, name: str, secret: Secret | None, found: Sequence[SubmissionAddress]) -> DeviceLogin:
    """Return what an administrator enters into a device."""
    return DeviceLogin(
        id=device_id,
        name=name,
        secret=None if secret is None else secret.reveal(),
        submission=[
            SubmissionView(host=each.host, port=each.port, security=_SECURITY[each.kind]) for each in found
        ],
    )
