"""What the commands that read a log share: times, and a largest number of entries."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice

import click

from mailsettings.cli.output import Item

_AGO = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class TimeType(click.ParamType[str]):
    """A time in ISO 8601, in UTC unless it has an offset, or an age: 90s, 15m, 12h, 30d."""

    name = "time"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the time in RFC 3339."""
        ago = _AGO.fullmatch(value)
        try:
            if ago:
                moment = datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
            else:
                moment = datetime.fromisoformat(value)
            moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except (ValueError, OverflowError):  # before the year 1 or after 9999, in UTC
            self.fail("give a time like 2026-11-21T10:00, or how long ago, like 12h or 30d.", param, ctx)
        return moment.replace(tzinfo=None).isoformat() + "Z"


def limited(pages: Iterator[Sequence[Item]], limit: int | None) -> Iterator[Sequence[Item]]:
    """Yield the items of *pages* up to *limit*; None for all."""
    left = limit
    for page in pages:
        yield page if left is None else list(islice(page, left))
        if left is not None and (left := left - len(page)) <= 0:
            return
