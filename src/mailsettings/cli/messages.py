"""The command that reads the message log."""

import click

from mailsettings.cli.client import service
from mailsettings.cli.command import Command, json_flag
from mailsettings.cli.filters import TimeType, limited
from mailsettings.cli.output import Column, Item, print_items


def _recipients(item: Item) -> str:
    return " ".join(
        each["address"] if each["accepted"] else f"{each['address']} (refused)" for each in item["recipients"]
    )


COLUMNS = [
    Column("at"),
    Column("device"),
    Column("peer"),
    Column("sender", lambda item: item["sender"] or "<>"),
    Column("recipients", _recipients),
    Column("size"),
    Column("result"),
    Column("code", lambda item: " ".join(filter(None, [str(item["code"]), item["enhanced_code"]]))),
    Column("failure", usual=""),
    Column("words"),
    Column("milliseconds"),
]


@click.command(cls=Command)
@click.option("--device", metavar="NAME", help="Only messages of this device.")
@click.option("--to", metavar="ADDRESS", help="Only messages to this address.")
@click.option("--sender", metavar="ADDRESS", help="Only messages with this envelope sender.")
@click.option("--message-id", metavar="ID", help="Only messages with this Message-ID.")
@click.option("--since", type=TimeType(), help="Skip older messages: 2026-11-28T10:00, or 2h, or 30d.")
@click.option("--until", type=TimeType(), help="Skip messages from this time on.")
@click.option("--failed", is_flag=True, help="Only messages that were not delivered.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="At most N messages; by default all.")
@json_flag
def messages(limit: int | None, *, failed: bool, **filters: str | None) -> None:
    """Print the messages that devices submitted, newest first, with their results."""
    chosen = {**filters, "failed": "true" if failed else None}
    with service() as client:
        print_items(limited(client.pages("/messages", **chosen), limit), COLUMNS)
