"""Facts about the running service that its administrators read: effective settings, versions, and monitoring."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mailsettings.domain.monitoring import MonitoringSummary

SettingValue = str | int | float | bool | Sequence[str] | None


class SettingSource(StrEnum):
    """Where the value of a setting comes from."""

    DEFAULT = "default"
    ENVIRONMENT = "environment"
    OPTION = "option"
    """An option of the command line."""
    FILE = "file"
    """A file that holds a secret, or a file in the data directory that an earlier start wrote."""


@dataclass(frozen=True, slots=True)
class EffectiveSetting:
    """A setting as it takes effect. The value of a secret is left out; `is_set` says whether it has one."""

    name: str
    value: SettingValue
    is_secret: bool
    is_set: bool
    source: SettingSource
    description: str


@dataclass(frozen=True, slots=True)
class DatabaseVersion:
    """The kind of the database, its version, and the last migration that was applied."""

    kind: str
    version: str
    schema: str


@dataclass(frozen=True, slots=True)
class SigningKeyFacts:
    """A key that signs access tokens, without the key itself."""

    key_id: str
    created_at: datetime
    signs: bool
    """Whether this key signs new tokens; the others verify those that they signed."""


@dataclass(frozen=True, slots=True)
class LeaseFacts:
    """Which process holds a lease, and until when if it does not renew it, in seconds since the epoch."""

    holder: str
    until: float


@dataclass(frozen=True, slots=True)
class WaitingDelivery:
    """An event that waits for the webhook; times are in seconds since the epoch."""

    id: str
    type: str
    created_at: float
    failed_attempts: int
    next_attempt_at: float


@dataclass(frozen=True, slots=True)
class DeliveryCounts:
    """How many events wait for the webhook, and how many of them were refused at least once."""

    waiting: int
    failed: int


@dataclass(frozen=True, slots=True)
class MonitoringFacts:
    """The state of monitoring itself; without an `interval_seconds` it is off."""

    interval_seconds: int | None
    has_webhook: bool
    leader: LeaseFacts | None
    summary: MonitoringSummary
    deliveries: DeliveryCounts
