"""Test stored mail servers; each stage appears as it ends."""

import sys
from collections.abc import Iterable, Mapping, Sequence

import click

from mailsettings.cli.client import Client, Event, service
from mailsettings.cli.client.problems import sentences_of
from mailsettings.cli.command import FAILED, REFUSED, Failure, json_flag
from mailsettings.cli.output import Column, Item, is_for_people, print_item, print_items
from mailsettings.cli.server.group import DEFAULT, ID_TYPE, path_of, server
from mailsettings.cli.testing.progress import working
from mailsettings.cli.testing.report import ReportPrinter, pem_option, recipient_option

RESULT_COLUMNS = [
    Column("mail_server"),
    Column("succeeded"),
    Column("milliseconds"),
    Column("stage", lambda item: (item.get("failure") or {}).get("stage")),
    Column("failure", lambda item: (item.get("failure") or {}).get("code")),
]
_WIDEST = {"succeeded": True, "milliseconds": 99_999, "failure": {"stage": "authenticate", "code": "-"}}
"""A result as wide as any, except for its last column."""
_CUT_OFF = "The connection to the service ended before the test did."


@server.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "every", is_flag=True, help="Test all enabled mail servers.")
@click.option("--label", "labels", multiple=True, metavar="KEY[=VALUE]", help="Test all with this label.")
@click.option("--id", "server_id", type=ID_TYPE, hidden=True)
@click.option("--api", hidden=True)
@recipient_option
@json_flag
@pem_option
def test(  # noqa: PLR0913  # one for each option
    names: tuple[str, ...],
    labels: tuple[str, ...],
    server_id: int | None,
    api: str | None,
    recipient: str | None,
    *,
    every: bool,
    show_pem: bool,
) -> None:
    """Test each mail server NAME, by default the default mail server, and print the result stage by stage.

    Exits with 1 if a test failed.
    """
    if bool(names or server_id) + bool(api) + bool(every or labels) > 1:
        raise click.UsageError("Give names, --all or --label; --api and --id do not go together.")
    body = {"recipient": recipient} if recipient else {}
    with service() as client:
        if every or labels:
            reports = _test_all(client, {**body, "filter": {"label": list(labels)} if labels else {}})
        else:
            chosen = [str(server_id)] if server_id else list(names) or [DEFAULT]
            reports = _test_named(client, chosen, body, show_pem=show_pem)
    sys.exit(0 if all(report["succeeded"] for report in reports) else FAILED)


def _test_named(
    client: Client, names: Sequence[str], body: Mapping[str, object], *, show_pem: bool
) -> Sequence[Item]:
    """Test one mail server after the other, and print each report."""
    reports = []
    for name in names:
        if len(names) > 1 and is_for_people():
            click.echo(("" if name == names[0] else "\n") + click.style(name, bold=True))
        printer = ReportPrinter(show_pem=show_pem) if is_for_people() else None
        reports.append({"mail_server": name, **_report(client, name, body, printer)})
    if not is_for_people():
        if len(reports) == 1:
            print_item({n: v for n, v in reports[0].items() if n != "mail_server"}, RESULT_COLUMNS)
        else:
            print_items([reports], RESULT_COLUMNS)
    return reports


def _report(client: Client, name: str, body: Mapping[str, object], printer: ReportPrinter | None) -> Item:
    path = path_of(client, name, None)
    report: Item | None = None
    for event in client.events("POST", f"{path}/test", body):
        _raise_error(event)
        if event.name == "stage" and printer is not None:
            printer.print_stage(event.data)
        if event.name == "done":
            report = event.data
    if report is None:
        raise Failure(_CUT_OFF)
    if printer is not None:
        printer.print_rest(report)
    return report


def _test_all(client: Client, body: Mapping[str, object]) -> Sequence[Item]:
    """Test all mail servers of a filter; print a row for each as its test ends."""
    reports: list[Item] = []
    events = client.events("POST", "/mail-servers/test", body)
    with working("Testing"):
        first = next(events, None)
    if first is None:
        raise Failure(_CUT_OFF)
    _raise_error(first)
    expected = [{**_WIDEST, "mail_server": _name(each)} for each in first.data["items"]]
    print_items(_rows(events, reports), RESULT_COLUMNS, expected)
    if len(reports) < len(expected):
        raise Failure(_CUT_OFF)
    return reports


def _rows(events: Iterable[Event], reports: list[Item]) -> Iterable[Sequence[Item]]:
    for event in events:
        _raise_error(event)
        if event.name == "done":
            reports.append({**event.data, "mail_server": _name(event.data["mail_server"])})
            yield reports[-1:]


def _name(mail_server: Item) -> object:
    return mail_server.get("name") or mail_server["id"]


def _raise_error(event: Event) -> None:
    if event.name == "error":
        raise Failure("\n".join(sentences_of(event.data)), REFUSED)
