"""Times and days of responses: RFC 3339 in UTC with `Z`."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import PlainSerializer, WithJsonSchema


def _text(at: datetime) -> str:
    utc = at.astimezone(UTC) if at.tzinfo else at
    return utc.replace(tzinfo=None).isoformat() + "Z"


Moment = Annotated[
    datetime,
    PlainSerializer(_text),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]
"""A time; one without a time zone is in UTC already."""


def at(seconds: float) -> datetime:
    """Return the time of *seconds* since the epoch."""
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=0)


def moment(seconds: float | None) -> datetime | None:
    """Return the time of *seconds* since the epoch; None without it."""
    return None if seconds is None else at(seconds)
