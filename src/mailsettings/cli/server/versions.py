"""The versions of a mail server: who changed what, differences, and going back."""

import re
from datetime import datetime
from typing import Any

import click

from mailsettings.cli.client import service
from mailsettings.cli.command import FAILED, LocalCommand, json_flag
from mailsettings.cli.local import operator, run
from mailsettings.cli.output import Column, Item, is_for_people, print_item, print_items, said
from mailsettings.cli.server.group import ID_TYPE, path_of, server, with_reference
from mailsettings.cli.server.stored import LINES


def _changes(item: Item) -> str:
    return ", ".join(_change(change) for change in item.get("changes") or ())


def _change(change: Item) -> str:
    if "before" in change or "after" in change:
        before, after = said(change.get("before")), said(change.get("after"))
        return f"{change['field']}: {before or '-'} -> {after or '-'}" if before else f"{change['field']}: {after}"
    return f"{change['field']} {change.get('change', '')}".strip()


_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
VERSION_COLUMNS = [
    Column("version"),
    Column("changed_at"),
    Column("changed_by"),
    Column("changes", _changes),
]
CHANGE_COLUMNS = [Column("field"), Column("before"), Column("after")]


@server.command()
@with_reference
@json_flag
def history(name: str | None, server_id: int | None) -> None:
    """Print every stored version of the mail server NAME, newest first: who changed what.

    Secrets are never printed: a version says whether its secret was set, replaced, removed or kept.
    """
    with service() as client:
        print_items(client.pages(f"{path_of(client, name, server_id)}/versions"), VERSION_COLUMNS)


@server.command()
@click.argument("name")
@click.argument("version", type=ID_TYPE)
@click.option("--to", "other", type=ID_TYPE, metavar="VERSION", help="Compare with this version, not the current.")
def diff(name: str, version: int, other: int | None) -> None:
    """Print what changed in NAME since VERSION; exit with 1 if anything did."""
    with service() as client:
        found = client.get(f"{path_of(client, name, None)}/versions/{version}/diff", to=other or "current")
    changes: list[Item] = found["changes"]
    if is_for_people() and not changes:
        click.echo("No difference.")
    else:
        print_items([changes], CHANGE_COLUMNS)
    if changes:
        click.get_current_context().exit(FAILED)


@server.command()
@click.argument("place", nargs=-1, required=True, metavar="[NAME] VERSION")
@click.option("--id", "server_id", type=ID_TYPE, hidden=True)
def restore(place: tuple[str, ...], server_id: int | None) -> None:
    """Restore the settings that NAME had in VERSION, see `server history`, as a new version."""
    if len(place) > 2:  # noqa: PLR2004  # NAME and VERSION
        raise click.UsageError("Give a name and a version.")
    version: int = ID_TYPE(place[-1], None, click.get_current_context())
    with service() as client:
        path = path_of(client, place[0] if len(place) > 1 else None, server_id)
        stored: Any = client.send("POST", f"{path}/versions/{version}/restore")
    if is_for_people():
        click.echo(f"Restored version {version} of mail server {stored['id']} as version {stored['version']}.")
    else:
        print_item(stored, LINES)


@server.command()
@click.argument("place", nargs=-1, metavar="[NAME] DATE")
@click.option("--never", is_flag=True, help="The secret does not expire, or its expiry is unknown.")
@click.option("--id", "server_id", type=ID_TYPE, hidden=True)
def secret_expiry(place: tuple[str, ...], server_id: int | None, *, never: bool) -> None:
    """Store that the secret of NAME expires on DATE, like 2027-03-31, so that monitoring announces it."""
    names, day = (place, None) if never else (place[:-1], place[-1] if place else None)
    if len(names) > 1 or (day is None) is not never or any(map(_DATE.fullmatch, names)):
        raise click.UsageError("Give either a date or --never.")
    expires_on = None if day is None else _date(day)
    with service() as client:
        path = f"{path_of(client, names[0] if names else None, server_id)}/secret-expiry"
        if expires_on is None:
            client.send("DELETE", path)
        else:
            client.send("PUT", path, {"expires_on": expires_on})


@server.command(cls=LocalCommand)
@with_reference
def forget_history(name: str | None, server_id: int | None) -> None:
    """Delete the earlier versions of the mail server NAME; its current settings stay."""
    if name is not None:
        with service() as client:
            server_id = client.get(path_of(client, name, server_id))["id"]
    run(lambda backend: backend.use_cases.history.forget(operator(), server_id))


def _date(text: str) -> str:
    try:
        return datetime.strptime(text, "%Y-%m-%d").date().isoformat()  # noqa: DTZ007  # a day
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a date like 2027-03-31.", param_hint="'DATE'") from None
