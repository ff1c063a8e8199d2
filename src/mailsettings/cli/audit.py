"""The commands about the audit log."""

import sys
from typing import TYPE_CHECKING

import click

from mailsettings.cli.client import service
from mailsettings.cli.command import FAILED, Group, LocalCommand, chosen, json_flag
from mailsettings.cli.filters import TimeType, limited
from mailsettings.cli.local import operator, run
from mailsettings.cli.output import Column, Item, is_for_people, print_item, print_items
from mailsettings.cli.testing.progress import working

if TYPE_CHECKING:
    from mailsettings.domain.audit_log import WitnessedEntry


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


def said(value: object) -> str:
    """Return a value of the details as text: `before -> after` for a change."""
    match value:
        case {"before": before, "after": after}:
            return f"{said(before)} -> {said(after)}"
        case dict():
            return " ".join(f"{name} {said(member)}" for name, member in value.items())
        case list():
            return " ".join(map(str, value))
        case None:
            return "-"
        case _:
            return str(value)


def _details(item: Item) -> str:
    return ", ".join(f"{name}: {said(value)}" for name, value in item["details"].items())


COLUMNS = [
    Column("sequence"),
    Column("at", lambda item: f"{item['at'][:19]}Z"),
    Column("actor"),
    Column("address"),
    Column("action"),
    Column("target"),
    Column("outcome"),
    Column("details", _details),
]


@click.group(cls=Group)
def audit() -> None:
    """Read and verify the audit log."""


@audit.command("list")
@click.option("--since", type=TimeType(), help="Skip older entries: 2026-11-21T10:00, or 12h, or 30d.")
@click.option("--until", type=TimeType(), help="Skip entries from this time on.")
@click.option("--actor", help="Only what this account, client or operator did.")
@click.option("--action", help="Only this action, for example mail-server.replace.")
@click.option("--target", help="Only actions on this target, for example mail-server:7.")
@click.option("--outcome", help="Only entries that ended so, for example refused.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="At most N entries; by default all.")
@json_flag
def list_(limit: int | None, **filters: str | None) -> None:
    """Print changes, tests, logins and refusals, newest first."""
    with service() as client:
        print_items(limited(client.pages("/audit-log", **filters), limit), COLUMNS)


@audit.command()
@click.option(
    "--seen",
    type=_SeenEntryType(),
    help="An entry from an earlier `verify` or the log, which must still exist: NUMBER:HASH.",
)
def verify(seen: "WitnessedEntry | None") -> None:
    """Check that no entry was removed, altered or reordered."""
    if seen is not None and chosen("url"):
        raise click.UsageError("--seen works on the machine of the service only; leave out --url.")
    with working("Verifying the audit log"):
        verdict = _verdict() if seen is None else _verdict_with(seen)
    if not is_for_people():
        print_item(verdict, [Column("intact"), Column("problem"), Column("entries"), Column("last")])
    elif verdict["intact"]:
        click.echo(f"{verdict['entries']} entries, all as they were written; the last is {verdict['last']}")
    else:
        click.echo(verdict["problem"], err=True)
    sys.exit(0 if verdict["intact"] else FAILED)


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


def _verdict() -> Item:
    with service() as client:
        found: Item = client.send("POST", "/audit-log/verify")
    return found


def _verdict_with(seen: "WitnessedEntry") -> Item:
    """Return the verdict with the entry *seen*, which the API does not take: only its holder trusts it."""
    verdict = run(lambda backend: backend.use_cases.audit_log.verify(operator(), seen))
    return {
        "intact": verdict.problem is None,
        "problem": verdict.problem,
        "entries": verdict.sequence,
        "last": f"{verdict.sequence}:{verdict.mac.hex()}",
    }
