"""Settings of the relay: its listeners, their certificate, and its limits."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from mailsettings.domain.listening import ListenAddress, ListenerKind, RelayListener
from mailsettings.settings.base import PREFIX, Address, Networks, SettingsGroup, split_at_commas

MEBIBYTE = 1024 * 1024


def _listeners(value: object) -> object:
    return tuple(map(RelayListener.parse, split_at_commas(value))) if isinstance(value, str) else value


def _old_listeners(value: object) -> object:
    if not isinstance(value, str):
        return value
    found = tuple(RelayListener.parse(text, old_tls=True) for text in split_at_commas(value))
    if any(listener.kind is ListenerKind.PLAIN for listener in found):
        raise ValueError("it must be like starttls://10.1.2.3:3587 or tls://10.1.2.3:3465")
    return found


Listeners = Annotated[tuple[RelayListener, ...], NoDecode, BeforeValidator(_listeners)]
OldListeners = Annotated[tuple[RelayListener, ...], NoDecode, BeforeValidator(_old_listeners)]


class RelaySettings(SettingsGroup):
    """The relay."""

    relay_plain_networks: Networks = Field(
        default=(),
        description="Networks in CIDR form, separated by commas, from which devices may use a `plain` listener "
        "of the relay, and so log in without encryption.",
    )
    relay_listen: Listeners = Field(
        default=(
            RelayListener(ListenerKind.STARTTLS, ListenAddress("0.0.0.0", 2587)),  # noqa: S104  # devices are elsewhere
            RelayListener(ListenerKind.TLS, ListenAddress("0.0.0.0", 2465)),  # noqa: S104  # devices are elsewhere
        ),
        min_length=1,
        description="Listeners of the relay, separated by commas: `starttls://0.0.0.0:587`, `tls://0.0.0.0:465` "
        "or `plain://10.1.2.3:25`; `[::]` serves IPv6 and IPv4. A plain listener needs the plain networks.",
    )
    relay_old_tls: OldListeners = Field(
        default=(),
        description="Further listeners that also take TLS 1.0 and 1.1, for old devices, such as "
        "`starttls://10.1.2.3:3587`; by default there are none.",
    )
    relay_tls_certificate: Path | None = Field(
        default=None,
        description="PEM file of the relay's certificate, followed by the intermediate certificates; by default "
        "the certificate of the HTTP server. The relay reloads it when it changes.",
    )
    relay_tls_key: Path | None = Field(
        default=None,
        validate_default=True,
        description="PEM file of that certificate's private key, not encrypted.",
    )
    relay_host_name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9.-]+$",
        description="Name by which devices reach the relay, in its greeting and in `Received` fields; by default "
        "the full DNS name of this machine.",
    )
    relay_hold_seconds: float = Field(
        default=50,
        ge=1,
        le=600,
        description="Time that a device waits at most for a connection to the mail server; many devices give up "
        "after 60 seconds.",
    )
    relay_connections_per_server: int = Field(
        default=3,
        ge=1,
        le=100,
        description="Connections to one mail server, at most, counted over all relays that share a database. "
        "Microsoft 365 allows 3.",
    )
    relay_max_message_bytes: int = Field(
        default=35 * MEBIBYTE,
        ge=64 * 1024,
        le=1024 * MEBIBYTE,
        description="Size of a message as the device sends it, at most.",
    )
    relay_max_connections: int = Field(
        default=2048, ge=1, le=1_000_000, description="Connections of devices to one relay, at most."
    )
    relay_max_connections_per_address: int = Field(
        default=256, ge=1, le=1_000_000, description="Connections of one network address to one relay, at most."
    )
    relay_log_days: int = Field(
        default=30, ge=1, le=3650, description="Days that the message log keeps a message; it has no content."
    )
    relay_status_listen: Address | None = Field(
        default=None,
        description="Address and port of an HTTP listener of the relay that needs no token, such as "
        "`127.0.0.1:9588`, for `/health/live`, `/health/ready` and `/metrics`; by default there is none.",
    )

    @field_validator("relay_listen")
    @classmethod
    def _names_networks_for_plain(
        cls, listeners: tuple[RelayListener, ...], info: ValidationInfo
    ) -> tuple[RelayListener, ...]:
        if any(each.kind is ListenerKind.PLAIN for each in listeners) and not info.data.get(
            "relay_plain_networks"
        ):
            raise ValueError(
                f"a plain listener needs {PREFIX}RELAY_PLAIN_NETWORKS; set it to the devices' networks"
            )
        return listeners

    @field_validator("relay_tls_key")
    @classmethod
    def _goes_with_the_relays_certificate(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        if (key is None) != (info.data.get("relay_tls_certificate") is None):
            raise ValueError(f"{PREFIX}RELAY_TLS_CERTIFICATE and this setting go together: set both or neither")
        return key
