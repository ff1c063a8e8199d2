"""The commands about monitoring: the health of the mail servers as scheduled checks found it."""

from datetime import UTC, datetime

import click

from mailsettings.cli.client import service
from mailsettings.cli.command import Group, json_flag
from mailsettings.cli.output import Column, Item, is_for_people, print_items


def _days(text: str | None) -> int | None:
    """Return the whole days until a time, or until a day begins (UTC)."""
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime.now(UTC)).days


COLUMNS = [
    Column("id"),
    Column("name"),
    Column("server", lambda item: f"{item['host']}:{item['port']}"),
    Column("health", lambda item: item["health"]["state"]),
    Column("since", lambda item: item["health"]["since"], usual=""),
    Column("checked_at", lambda item: item["health"]["checked_at"], usual=""),
    Column("failure", lambda item: item["health"]["failure"], usual=""),
    Column("certificate_days", lambda item: _days(item["health"]["certificate_expires_at"])),
    Column("secret_days", lambda item: _days(item["health"]["secret_expires_on"])),
]


@click.group(cls=Group)
def monitoring() -> None:
    """Show the results of scheduled checks; see MAILSETTINGS_MONITORING_INTERVAL."""


@monitoring.command()
@click.option(
    "--expiring", type=click.IntRange(0), metavar="DAYS", help="Only if a certificate or secret expires."
)
@json_flag
def status(expiring: int | None) -> None:
    """Print the health of each mail server, the time of its last change, and the days until anything expires."""
    with service() as client:
        if is_for_people() and expiring is None:
            click.echo(_summary(client.get("/monitoring")))
        pages = ([item for item in page if _expires(item, expiring)] for page in client.pages("/mail-servers"))
        print_items(pages, COLUMNS)


def _expires(item: Item, within: int | None) -> bool:
    if within is None:
        return True
    health = item["health"]
    days = [_days(health["certificate_expires_at"]), _days(health["secret_expires_on"])]
    return any(left is not None and left <= within for left in days)


def _summary(state: Item) -> str:
    if not state["enabled"]:
        return "Scheduled checks are off; set MAILSETTINGS_MONITORING_INTERVAL for the service."
    counts = ", ".join(f"{count} {health}" for health, count in state["mail_servers"].items() if count)
    deliveries = state["deliveries"]
    waiting = f"; {deliveries['waiting']} events wait for the webhook" if deliveries["waiting"] else ""
    return f"Checked every {state['interval_seconds']} s: {counts or 'no mail servers'}{waiting}."
