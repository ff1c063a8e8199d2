"""Print the test of a device: from the device to the relay, and from the relay to the mail server."""

import click

from mailsettings.cli.messages import COLUMNS as MESSAGE
from mailsettings.cli.output import Column, Item, is_for_people, print_item
from mailsettings.cli.testing.report import ReportPrinter

REPORT = [Column("device"), Column("delivered"), Column("relay"), Column("submission"), Column("message")]
LOGGED = [column for column in MESSAGE if column.name not in {"at", "device", "peer"}]


def print_test(report: Item) -> None:
    """Print *report*, for people in two parts."""
    if not is_for_people():
        print_item(report, REPORT)
        return
    click.secho(f"{report['device']} -> relay at {report['relay']}", bold=True)
    ReportPrinter(show_pem=False).print_rest(report["submission"])
    click.secho("\nrelay -> mail server", bold=True)
    if report["message"] is None:
        click.echo("The relay logged no message of this test.")
    else:
        print_item(report["message"], LOGGED)
