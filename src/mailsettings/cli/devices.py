"""The commands about devices: the printers, scanners and programs that may send through the relay."""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from mailsettings.cli.client import service
from mailsettings.cli.client.client import segment
from mailsettings.cli.command import FAILED, Group, json_flag
from mailsettings.cli.output import Column, Item, is_for_people, print_item, print_items
from mailsettings.cli.testing.device_report import print_test
from mailsettings.cli.testing.progress import working

_UNITS = {"": 1, "k": 1024, "m": 1024 * 1024}
_SIZE = re.compile(r"([0-9]{1,10})([km]?)", re.IGNORECASE)
_DEFAULTS = {
    "description": "description",
    "from": "senders",
    "from-domain": "from_domains",
    "network": "networks",
    "server": "mail_server",
    "per-minute": "messages_per_minute",
    "max-recipients": "max_recipients",
    "max-size": "max_message_bytes",
}
"""The member of the API for each option that `--unset` takes."""
_ENCRYPTION = {"starttls": "STARTTLS", "implicit_tls": "TLS (implicit, also called SSL)", "none": "none"}

COLUMNS = [
    Column("name"),
    Column("enabled", usual="yes"),
    Column("senders"),
    Column("from_domains", usual=""),
    Column("networks"),
    Column("trusts_network", usual="no"),
    Column("mail_server", lambda item: item["mail_server"] or "default", usual="default"),
    Column("mail_server_problem", usual=""),
    Column("sends_as_stored_sender", usual="no"),
    Column("messages_per_minute", usual=""),
    Column("last_used_at"),
    Column("last_peer"),
]
LINES = [
    *(Column("id"), Column("name"), Column("description"), Column("enabled"), Column("senders")),
    *(Column("from_domains"), Column("networks"), Column("trusts_network")),
    Column("mail_server", lambda item: item["mail_server"] or "default"),
    Column("mail_server_problem"),
    *(Column("sends_as_stored_sender"), Column("sends_null_sender"), Column("messages_per_minute")),
    *(Column("max_recipients"), Column("max_message_bytes"), Column("secret_stored_at")),
    *(Column("created_at"), Column("created_by"), Column("changed_at"), Column("changed_by")),
    *(Column("last_used_at"), Column("last_peer")),
]


class _SizeType(click.ParamType[int]):
    """A number of bytes, or of kibibytes or mebibytes: 20M."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number of bytes."""
        found = _SIZE.fullmatch(str(value))
        if found is None:
            self.fail("give a number of bytes, or a size like 500k or 20M.", param, ctx)
        return int(found[1]) * _UNITS[found[2].lower()]


_OPTIONS: Sequence[Callable[[Callable[..., Any]], Callable[..., Any]]] = [
    click.option(
        "--from",
        "senders",
        multiple=True,
        metavar="ADDRESS",
        help="An address that it may send from, *@example.com for a domain, or * for any; repeatable.",
    ),
    click.option(
        "--from-domain",
        "from_domains",
        multiple=True,
        metavar="DOMAIN",
        help="A domain that its From field may have, next to the senders; repeatable.",
    ),
    click.option(
        "--network",
        "networks",
        multiple=True,
        metavar="NETWORK",
        help="A network that it may log in from, like 10.1.0.0/16; repeatable.",
    ),
    click.option(
        "--trust-network",
        "trusted",
        multiple=True,
        metavar="NETWORK",
        help="A network of devices without a login, in place of --network; repeatable.",
    ),
    click.option("--server", "mail_server", metavar="NAME", help="Its mail server; by default the default."),
    click.option("--per-minute", "messages_per_minute", type=click.IntRange(1), help="Messages in a minute."),
    click.option("--max-recipients", type=click.IntRange(1), help="Recipients of a message; by default 100."),
    click.option("--max-size", "max_message_bytes", type=_SizeType(), help="Size of a message, like 20M."),
    click.option(
        "--stored-sender/--own-sender",
        "sends_as_stored_sender",
        default=None,
        help="Replace its sender by that of the mail server, or do not.",
    ),
    click.option(
        "--null-sender/--no-null-sender",
        "sends_null_sender",
        default=None,
        help="Allow mail without a sender, as for notifications, or do not.",
    ),
    click.option("--description", metavar="TEXT", help="Any text."),
]


def _with_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    for decorate in reversed(_OPTIONS):
        command = decorate(command)
    return command


@click.group(cls=Group)
def device() -> None:
    """Manage the printers, scanners and programs that may send through the relay."""


@device.command(
    epilog="Example: mailsettings device add scanner-3 --from scan@example.com --network 10.1.0.0/16 "
    "--per-minute 30"
)
@click.argument("name")
@click.option("--disabled", is_flag=True, help="Create it disabled.")
@_with_settings
@json_flag
def add(name: str, *, disabled: bool, **given: Any) -> None:
    """Create a device and print what to enter into it; its secret is not shown again."""
    body = {"name": name, **_body(given), **({"enabled": False} if disabled else {})}
    with service() as api:
        _print_login(api.send("POST", "/devices", body))
    if not (body.get("senders") or body.get("sends_as_stored_sender")):
        click.echo("It may send from no address yet; see --from and --stored-sender of `device set`.", err=True)


@device.command("list")
@json_flag
def list_() -> None:
    """Print each device with its last use, and trouble with its mail server."""
    with service() as api:
        print_items(api.pages("/devices"), COLUMNS)


@device.command()
@click.argument("name")
@json_flag
def show(name: str) -> None:
    """Print the device NAME, a name or an id."""
    with service() as api:
        print_item(api.get(_path(name)), LINES)


@device.command("set")
@click.argument("name")
@click.option("--rename", metavar="NAME", help="A new name, which is its user name at the relay.")
@click.option(
    "--unset", "unset", multiple=True, type=click.Choice(list(_DEFAULTS)), help="Give a setting its default."
)
@_with_settings
@json_flag
def set_(name: str, rename: str | None, unset: tuple[str, ...], **given: Any) -> None:
    """Change the given settings of the device NAME, and print it; all others stay, and its secret too.

    A repeatable option replaces the whole list. --network ends the trust in networks: the device then needs a
    secret, which `device new-secret` makes.
    """
    body = _body(given) | dict.fromkeys((_DEFAULTS[option] for option in unset), None)
    if "network" in unset:
        body["trusts_network"] = None
    if rename:
        body["name"] = rename
    if not body:
        raise click.UsageError("Give at least one setting to change.")
    with service() as api:
        changed = api.send("PATCH", _path(name), body)
        print_item(changed, LINES)
    if not changed["trusts_network"] and changed["secret_stored_at"] is None:
        click.echo(f"It cannot log in yet. Run: mailsettings device new-secret {changed['name']}", err=True)


@device.command()
@click.argument("name")
def enable(name: str) -> None:
    """Enable the device NAME."""
    with service() as api:
        _print_changed(api.send("POST", f"{_path(name)}/enable"))


@device.command()
@click.argument("name")
def disable(name: str) -> None:
    """Disable the device NAME: its next message is refused."""
    with service() as api:
        _print_changed(api.send("POST", f"{_path(name)}/disable"))


@device.command()
@click.argument("name")
@json_flag
def new_secret(name: str) -> None:
    """Replace the secret of the device NAME and print what to enter into it; the old secret stops working."""
    with service() as api:
        _print_login(api.send("POST", f"{_path(name)}/new-secret"))


@device.command()
@click.argument("name")
@click.option("--to", "recipient", metavar="ADDRESS", required=True, help="Send the test mail to this address.")
@json_flag
def test(name: str, recipient: str) -> None:
    """Send a test mail as the device NAME through the running relay, and print both halves of its way.

    Exits with 1 if the mail server did not accept the mail.
    """
    with service() as api, working("Sending through the relay"):
        report = api.send("POST", f"{_path(name)}/test", {"recipient": recipient})
    print_test(report)
    sys.exit(0 if report["delivered"] else FAILED)


@device.command()
@click.argument("name")
def remove(name: str) -> None:
    """Delete the device NAME; its messages stay in the message log."""
    with service() as api:
        api.send("DELETE", _path(name))


device.add_alias("create", add)
device.add_alias("delete", remove)


def _path(name: str) -> str:
    return f"/devices/{segment(name)}"


def _body(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members that the options give."""
    if given["networks"] and given["trusted"]:
        raise click.UsageError("Give either --network or --trust-network: a trusted network needs no login.")
    members = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
    trusted = members.pop("trusted")
    if trusted or members["networks"]:
        members |= {"networks": trusted or members["networks"], "trusts_network": bool(trusted)}
    return {name: value for name, value in members.items() if value not in (None, [])}


def _print_changed(changed: Item) -> None:
    if not is_for_people():
        print_item(changed, LINES)


def _print_login(login: Item) -> None:
    """Print what an administrator types into the device: one way, and the others in a line each."""
    if not is_for_people():
        print_item(login, [Column("id"), Column("name"), Column("secret"), Column("submission")])
        return
    first, *others = login["submission"] or [{}]
    print_item(
        {
            "host": first.get("host"),
            "port": first.get("port"),
            "encryption": _ENCRYPTION.get(first.get("security"), first.get("security")),
            "user_name": login["name"] if login["secret"] else None,
            "secret": login["secret"],
        },
        [Column("host"), Column("port"), Column("encryption"), Column("user_name"), Column("secret")],
    )
    for other in others:
        security = _ENCRYPTION.get(other["security"], other["security"])
        click.echo(f"Or: host {other['host']}, port {other['port']}, encryption {security}.", err=True)
    if login["secret"]:
        click.echo("The secret is not shown again; `device new-secret` makes another secret.", err=True)
    else:
        click.echo("The network is trusted: the device needs no login.", err=True)
