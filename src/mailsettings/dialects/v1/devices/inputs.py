"""The JSON of devices in requests; every rule of the domain about a single member is checked here."""

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Annotated, Any

from pydantic import Field, StrictBool, StrictInt, StrictStr, WithJsonSchema

from mailsettings.dialects.v1.devices.schemas import BYTES, PER_MINUTE, RECIPIENTS, or_null, view
from mailsettings.dialects.v1.request_parts import WITHOUT_NULL, Ignored, Input, require_unchanged, rule
from mailsettings.domain.device import (
    MAX_LIST_LENGTH,
    MAX_RECIPIENTS,
    Device,
    parse_network,
    require_from_domains,
    require_limit,
    require_networks,
    require_senders,
)
from mailsettings.domain.device_overview import DeviceOverview, DeviceSettings
from mailsettings.domain.naming import MAX_DESCRIPTION_LENGTH, SERVER_NAME, require_description, require_name
from mailsettings.domain.setting import Setting


def _require_network_texts(texts: list[str]) -> None:
    require_networks([parse_network(text) for text in texts])


def _limit(setting: Setting) -> Callable[[int], None]:
    return lambda value: require_limit(setting, value)


_TEXTS = WithJsonSchema({"type": "array", "maxItems": MAX_LIST_LENGTH, "items": {"type": "string"}})


NameText = Annotated[
    StrictStr,
    rule(require_name),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 63, "pattern": f"^{SERVER_NAME}$"}),
]
Description = Annotated[
    StrictStr,
    rule(require_description),
    WithJsonSchema({"type": "string", "maxLength": MAX_DESCRIPTION_LENGTH}),
]
Senders = Annotated[list[StrictStr], rule(require_senders), _TEXTS]
FromDomains = Annotated[list[StrictStr], rule(require_from_domains), _TEXTS]
Networks = Annotated[list[StrictStr], rule(_require_network_texts), _TEXTS]
PerMinute = Annotated[
    StrictInt | None, rule(_limit(Setting.MESSAGES_PER_MINUTE)), WithJsonSchema(or_null(PER_MINUTE))
]
Recipients = Annotated[StrictInt | None, rule(_limit(Setting.MAX_RECIPIENTS)), WithJsonSchema(or_null(RECIPIENTS))]
Bytes = Annotated[StrictInt | None, rule(_limit(Setting.MAX_MESSAGE_BYTES)), WithJsonSchema(or_null(BYTES))]


class DeviceMembers(Input):
    """The members that a caller sets: null gives a member its default."""

    name: Annotated[NameText | None, WITHOUT_NULL, Field(description="A new name.")] = None
    description: Annotated[Description | None, Field(description="Notes for people.")] = None
    enabled: Annotated[StrictBool | None, Field(description="Whether it may send; by default true.")] = None
    senders: Annotated[
        Senders | None,
        Field(
            description="Addresses that it may send from; `*@example.com` is each of a domain, `*` any.",
            examples=[["scan@example.com"]],
        ),
    ] = None
    from_domains: Annotated[
        FromDomains | None,
        Field(
            description="Domains that its `From` field may have, next to its senders.", examples=[["example.com"]]
        ),
    ] = None
    networks: Annotated[
        Networks | None,
        Field(
            description="Networks that it may send from, such as `10.1.0.0/16`; by default any. Not wider than /8 "
            "for IPv4 and /33 for IPv6.",
            examples=[["10.1.0.0/16"]],
        ),
    ] = None
    trusts_network: Annotated[
        StrictBool | None, Field(description="Whether its networks replace the login; by default false.")
    ] = None
    mail_server: Annotated[
        StrictStr | None,
        Field(max_length=63, description="Name of its mail server; null for the default mail server."),
    ] = None
    sends_as_stored_sender: Annotated[
        StrictBool | None,
        Field(description="Whether the relay replaces its sender by that of the mail server; by default false."),
    ] = None
    sends_null_sender: Annotated[
        StrictBool | None, Field(description="Whether it may send without a sender; by default false.")
    ] = None
    messages_per_minute: Annotated[PerMinute, Field(description="Messages in a minute; null for no limit.")] = None
    max_recipients: Annotated[
        Recipients, Field(description=f"Recipients of a message; by default {MAX_RECIPIENTS}.")
    ] = None
    max_message_bytes: Annotated[
        Bytes, Field(description="Size of a message; null for the limit of the relay.")
    ] = None


class DevicePatch(DeviceMembers):
    """The members to change (RFC 7396): null gives a member its default.

    A client may send back what it read, with the members that the service sets.
    """

    id: Ignored = None
    mail_server_problem: Ignored = None
    secret_stored_at: Ignored = None
    created_at: Ignored = None
    created_by: Ignored = None
    changed_at: Ignored = None
    changed_by: Ignored = None
    version: Ignored = None
    last_used_at: Ignored = None
    last_peer: Ignored = None


class NewDevice(DeviceMembers):
    """The settings of a new device."""

    name: Annotated[
        NameText, Field(description="Name, and user name at the relay: lower-case letters, digits and hyphens.")
    ]


_SET_BY_SERVICE = {"id", "secret_stored_at", "created_at", "created_by", "changed_at", "changed_by", "version"}
_DEFAULTS: Mapping[str, Any] = {member.name: member.default for member in fields(Device)}
_FROM_JSON: Mapping[str, Callable[[Any], Any]] = {
    "senders": tuple,
    "from_domains": tuple,
    "networks": lambda texts: tuple(map(parse_network, texts)),
}


def to_settings(sent: NewDevice) -> DeviceSettings:
    """Return what a request wants to store."""
    return DeviceSettings(Device(0, sent.name, **_given(sent)), sent.mail_server)


def patching(patch: DevicePatch) -> Callable[[DeviceOverview], DeviceSettings]:
    """Return the change that a PATCH makes."""

    def onto(shown: DeviceOverview) -> DeviceSettings:
        _require_unchanged(patch, shown)
        device = shown.stored.device
        changed = replace(device, name=patch.name or device.name, **_given(patch))
        chosen = "mail_server" in patch.model_fields_set
        return DeviceSettings(changed, patch.mail_server if chosen else shown.mail_server.name)

    return onto


def _require_unchanged(patch: DevicePatch, shown: DeviceOverview) -> None:
    """Refuse other values of members that the service sets, such as an old version."""
    # Not the last use and the problem of the mail server, which change between a GET and the PATCH.
    now = view(shown).model_dump(mode="json", include=_SET_BY_SERVICE)
    require_unchanged(patch, now)


def _given(sent: DeviceMembers) -> dict[str, Any]:
    """Return the members of the request, with defaults in place of null."""
    settable = DeviceMembers.model_fields.keys() - {"name", "mail_server"}
    values = {name: getattr(sent, name) for name in sent.model_fields_set & settable}
    return {
        name: _DEFAULTS[name] if value is None else _FROM_JSON.get(name, lambda same: same)(value)
        for name, value in values.items()
    }
