"""The list of mail servers that an administrator sees: a filter, and each server with its health."""

from collections.abc import Sequence
from dataclasses import dataclass

from mailsettings.domain.mail_server import StoredMailServer
from mailsettings.domain.monitoring import Health, MonitoredServer


@dataclass(frozen=True, slots=True)
class LabelFilter:
    """Mail servers that have a label with this key, and with this value, if any."""

    key: str
    value: str | None = None

    @classmethod
    def parse(cls, text: str) -> "LabelFilter":
        """Return the filter in `key` or `key=value`."""
        key, separator, value = text.partition("=")
        return cls(key, value if separator else None)


@dataclass(frozen=True, slots=True)
class MailServerFilter:
    """The mail servers that meet every condition; None and an empty sequence are no condition."""

    name_part: str | None = None
    labels: Sequence[LabelFilter] = ()
    enabled: bool | None = None
    health: Health | None = None


NO_FILTER = MailServerFilter()


@dataclass(frozen=True, slots=True)
class MailServerOverview:
    """A stored mail server with the results of its scheduled checks."""

    stored: StoredMailServer
    monitored: MonitoredServer
