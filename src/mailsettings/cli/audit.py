"""The commands about the audit log."""

import re
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from mailsettings.cli.command import Group, LocalCommand
from mailsettings.cli.local import operator, run
from mailsettings.cli.output import printable

if TYPE_CHECKING:
    from mailsettings.bootstrap import Backend
    from mailsettings.domain.audit_log import AuditEntry, WitnessedEntry
    from mailsettings.use_cases.audit_log import AuditLogVerdict

_AGO = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class _SinceType(click.ParamType[str]):
    """A time in ISO 8601, in UTC unless it has an offset, or an age: 90s, 15m, 12h, 30d."""

    name = "time"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the time as a `timestamp`."""
        from mailsettings.domain.audit_log import timestamp

        ago = _AGO.fullmatch(value)
        try:
            if ago:
                return timestamp(datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])}))
            moment = datetime.fromisoformat(value)
            return timestamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        except (ValueError, OverflowError):  # before the year 1 or after 9999, in UTC
            self.fail("give a time like 2026-11-21T10:00, or how long ago, like 12h or 30d.", param, ctx)


class _SeenEntryType(click.ParamType["WitnessedEntry"]):
    """An entry of the audit log, as `verify` and the log print it."""

    name = "number:hash"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> "WitnessedEntry":
        """Return the entry."""
        from mailsettings.domain.audit_log import WitnessedEntry

        try:
            return WitnessedEntry.parse(value)
        except ValueError:
            self.fail(
                "give number and hash as verify and the program's log print them, like 12:9f86d081.", param, ctx
            )


@click.group(cls=Group)
def audit() -> None:
    """Read and verify the audit log."""


@audit.command("list")
@click.option("--since", type=_SinceType(), help="Skip older entries: 2026-11-21T10:00, or 12h, or 30d.")
@click.option("--json", "as_json", is_flag=True, help="Print each entry as a line of JSON.")
def list_(since: str | None, *, as_json: bool) -> None:
    """Print every change, test, login and refusal, oldest first."""
    run(lambda backend: _print(backend.use_cases.audit_log.all(operator(), since or ""), as_json=as_json))


@audit.command()
@click.option(
    "--seen",
    type=_SeenEntryType(),
    help="An entry from an earlier `verify` or the log, which must still exist: NUMBER:HASH.",
)
def verify(seen: "WitnessedEntry | None") -> None:
    """Check that no entry was removed, altered or reordered."""

    async def check(backend: "Backend") -> "AuditLogVerdict":
        return await backend.use_cases.audit_log.verify(operator(), seen)

    verdict = run(check)
    if verdict.problem is not None:
        click.echo(verdict.problem, err=True)
        sys.exit(1)
    click.echo(
        f"{verdict.sequence} entries, all as they were written; the last is {verdict.sequence}:{verdict.mac.hex()}"
    )


@audit.command(cls=LocalCommand)
def accept() -> None:
    """Accept the log as it is, after a restored backup, a fail-over or a reset; the log gets an entry about it."""
    accepted = run(lambda backend: backend.witness.accept(operator()), look=False)
    if accepted is None:
        click.echo("The log has what its witness in the data directory knows; there is nothing to accept.")
    else:
        click.echo(
            f"The witness follows the log from {accepted.now} on; before it had {accepted.before or 'no entry'}."
        )


async def _print(entries: "AsyncIterator[AuditEntry]", *, as_json: bool) -> None:
    from mailsettings.site.audit import entry_json

    async for entry in entries:
        click.echo(entry_json(entry) if as_json else _line(entry))


def _line(entry: "AuditEntry") -> str:
    record = entry.record
    who = f"{record.actor or '-'} from {record.origin.address or '-'}"
    details = ", ".join(f"{name}: {_said(value)}" for name, value in record.details.items())
    return printable(
        f"{entry.sequence:>6} {entry.at[:19]}Z {record.action} {record.target or '-'} {record.outcome} by {who}"
        f"{f' ({details})' if details else ''}"
    )


def _said(value: object) -> str:
    match value:
        case {"before": before, "after": after}:
            return f"{_said(before)} -> {_said(after)}"
        case dict():
            return " ".join(f"{name} {_said(member)}" for name, member in value.items())
        case list():
            return " ".join(map(str, value))
        case None:
            return "-"
        case _:
            return str(value)
