"""Who created or changed something, when, and through which API."""

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Revision:
    """Both are None where it was not written down, as by earlier versions of this program."""

    at: datetime | None = None
    by: str | None = None

    def __str__(self) -> str:
        """` by admin at 2026-11-21T10:00:00Z`, as far as it is known."""
        by = "" if self.by is None else f" by {self.by}"
        return by if self.at is None else f"{by} at {self.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True, slots=True)
class Creation:
    """Who created something, and through which API; both are None where it was not written down."""

    by: str | None = None
    through: str | None = None
