"""Devices as they are stored and shown: with their history, their mail server and their last use."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from mailsettings.domain.device import Device
from mailsettings.domain.mail_server import Revision
from mailsettings.domain.naming import MailServerRef


@dataclass(frozen=True, slots=True)
class StoredDevice:
    """A device as it is stored; `version` counts its changes from 1.

    `created` and `changed` say by whom and when. `secret_stored_at` is None for a device without a secret, which
    cannot log in.
    """

    device: Device
    version: int
    secret_stored_at: datetime | None
    created: Revision
    changed: Revision


@dataclass(frozen=True, slots=True)
class DeviceUse:
    """The last message that a device submitted: when, in seconds since the epoch, and from which address."""

    at: float
    peer: str


@dataclass(frozen=True, slots=True)
class DeviceMailServer:
    """The mail server that a device sends through: its name, and why it cannot be used, if it cannot."""

    name: str | None
    problem: Literal["missing", "disabled"] | None = None


@dataclass(frozen=True, slots=True)
class DeviceOverview:
    """A stored device with its mail server and its last use."""

    stored: StoredDevice
    mail_server: DeviceMailServer
    last_use: DeviceUse | None = None


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """What a caller wants to store: a device, and its mail server by id or name.

    The id of the device does not count. A mail server of None is the default mail server.
    """

    device: Device
    mail_server: MailServerRef | None = None
