"""The commands about stored mail servers: their tests, their versions, and when their secrets expire."""

import json
import sys
from datetime import datetime
from itertools import zip_longest
from typing import TYPE_CHECKING

import click

from mailsettings.cli.client import service
from mailsettings.cli.client.client import segment
from mailsettings.cli.command import Group
from mailsettings.cli.local import operator, run
from mailsettings.cli.output import Column, Item, print_item, print_items, printable
from mailsettings.cli.report_options import json_option, pem_option, recipient_option

if TYPE_CHECKING:
    from mailsettings.domain.change import MailServerVersion

ID_TYPE = click.IntRange(1, 2**31 - 1)
"""An id or a version: what the databases' integer columns hold."""

id_option = click.option(
    "--id",
    "server_id",
    type=ID_TYPE,
    help="The mail server of this id; by default the default mail server.",
)


@click.group(cls=Group)
def server() -> None:
    """Manage the stored mail servers."""


def _secret(item: Item) -> str | None:
    login = item["authentication"]
    secret = login.get("password") or login.get("client_secret")
    if secret is None:
        return None
    expiry = f", expires on {secret['expires_on']}" if secret["expires_on"] else ""
    return f"stored, label {secret['label']}{expiry}" if secret["stored"] else "not stored"


def _health(health: Item) -> str:
    parts = [health["state"], f"since {health['since']}" if health["since"] else "", health["failure"] or ""]
    return ", ".join(filter(None, parts))


def _revision(item: Item) -> str:
    return f"{item['changed_at'] or 'at an unknown time'} by {item['changed_by'] or 'an unknown caller'}"


COLUMNS = [
    Column("id"),
    Column("name"),
    Column("server", lambda item: f"{item['host']}:{item['port']}"),
    Column("security"),
    Column("login", lambda item: item["authentication"]["kind"]),
    Column("sender", lambda item: item["sender"]["address"]),
    Column("health", lambda item: item["health"]["state"]),
    Column("default"),
]
LINES = [
    *COLUMNS[:6],
    Column("username", lambda item: item["authentication"].get("username")),
    Column("secret", _secret),
    Column("trust", lambda item: item["trust"]["kind"]),
    Column("default"),
    Column("health", lambda item: _health(item["health"])),
    Column("version"),
    Column("changed", _revision),
]


@server.command("list")
def list_() -> None:
    """Print the mail servers with their health."""
    with service() as client:
        print_items(client.pages("/mail-servers"), COLUMNS)


@server.command()
@click.argument("name")
def show(name: str) -> None:
    """Print the mail server NAME, which may be its id."""
    with service() as client:
        print_item(client.get(f"/mail-servers/{segment(name)}"), LINES)


@server.command()
@click.option("--api", help="Test the mail server of this API (the default).")
@click.option("--id", "server_id", type=ID_TYPE, help="Test the SMTP settings of this id.")
@recipient_option
@json_option
@pem_option
def test(api: str | None, server_id: int | None, recipient: str | None, *, as_json: bool, show_pem: bool) -> None:
    """Test a stored mail server and print the result, stage by stage."""
    from mailsettings.bootstrap import SINGLE_SERVER_APIS
    from mailsettings.cli.report import STORED_VOCABULARY, ReportPrinter

    if api and api not in SINGLE_SERVER_APIS:
        raise click.UsageError(f"--api must be one of: {', '.join(SINGLE_SERVER_APIS)}.")
    if api and server_id:
        raise click.UsageError("--api and --id do not go together.")
    terminal = ReportPrinter(STORED_VOCABULARY, as_json=as_json, show_pem=show_pem)
    report = run(
        lambda backend: backend.use_cases.probes.stored(
            operator(), server_id, recipient, listener=terminal.on_progress
        )
    )
    terminal.print_rest(report)
    sys.exit(0 if report.succeeded else 1)


@server.command()
@id_option
@click.option("--json", "as_json", is_flag=True, help="Print each version as a line of JSON.")
def history(server_id: int | None, *, as_json: bool) -> None:
    """Print every stored version of a mail server, newest first.

    Secrets are never printed: each version says whether its secret was set, replaced, removed or kept.
    """
    from mailsettings.domain.change import secret_change

    versions = run(lambda backend: backend.use_cases.history.versions(operator(), server_id))
    for version, before in zip_longest(versions, versions[1:]):
        secret = secret_change(version, before)
        click.echo(json.dumps(_members(version, secret)) if as_json else _line(version, secret))


@server.command()
@id_option
def forget_history(server_id: int | None) -> None:
    """Delete the earlier versions of a mail server; its current settings stay."""
    run(lambda backend: backend.use_cases.history.forget(operator(), server_id))


@server.command()
@click.argument("version", type=ID_TYPE)
@id_option
def restore(version: int, server_id: int | None) -> None:
    """Restore the settings of VERSION, see `server history`, as a new version."""
    stored = run(lambda backend: backend.use_cases.history.restore(operator(), server_id, version))
    click.echo(f"Restored version {version} of mail server {stored.id} as version {stored.version}.")


@server.command()
@click.argument("day", metavar="DATE", required=False, type=click.DateTime(["%Y-%m-%d"]))
@click.option("--never", is_flag=True, help="The secret does not expire, or its expiry is unknown.")
@id_option
def secret_expiry(day: datetime | None, server_id: int | None, *, never: bool) -> None:
    """Store that a password or client secret expires on DATE, like 2027-03-31, so that monitoring announces it."""
    if (day is None) is not never:
        raise click.UsageError("Give either a date or --never.")
    expires_on = None if day is None else day.date()
    run(lambda backend: backend.monitoring_status.set_secret_expiry(operator(), server_id, expires_on))


def _line(version: "MailServerVersion", secret: str | None) -> str:
    settings = _settings(version)
    said = ", ".join(f"{name}: {value}" for name, value in settings.items()) if settings else "removed"
    said = said if secret is None else f"{said}, secret {secret}"
    return "\t".join(map(printable, (str(version.server_id), f"{version.version}{version.revision}", said)))


def _members(version: "MailServerVersion", secret: str | None) -> dict[str, object]:
    at = version.revision.at
    return {
        "id": version.server_id,
        "version": version.version,
        "changed_at": at.isoformat() if at else None,
        "changed_by": version.revision.by,
        "settings": _settings(version) or None,
        "secret": secret,
    }


def _settings(version: "MailServerVersion") -> dict[str, object]:
    from mailsettings.domain.change import described

    shown = described(version.server)
    return {str(setting): value for setting, value in shown.items() if value is not None}
