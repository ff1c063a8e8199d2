"""The commands that print facts: presets of providers, the caller, and the effective settings."""

from collections.abc import Iterator

import click

from mailsettings.cli.client import service
from mailsettings.cli.client.client import segment
from mailsettings.cli.command import Command, Group
from mailsettings.cli.output import Column, Item, is_for_people, print_item, print_items, printable

PRESET_COLUMNS = [
    Column("name"),
    Column("title"),
    Column("server", lambda item: f"{item['host']}:{item['port']}"),
    Column("security"),
    Column("login"),
]
SETTING_COLUMNS = [
    Column("name"),
    Column("value", lambda item: "(secret)" if item["secret"] and item["is_set"] else item["value"]),
    Column("source"),
]


@click.group(cls=Group)
def preset() -> None:
    """Show ready settings for well-known providers; see `server create --preset`."""


@preset.command("list")
def list_presets() -> None:
    """Print the presets."""
    with service() as client:
        print_items([client.get("/presets")["items"]], PRESET_COLUMNS)


@preset.command()
@click.argument("name")
def show(name: str) -> None:
    """Print the preset NAME: what to switch on at the provider, and which blanks to fill."""
    with service() as client:
        found = client.get(f"/presets/{segment(name)}")
    if is_for_people():
        click.echo("\n".join(printable(line, keep="\n") for line in _lines(found)))
    else:
        print_item(found, PRESET_COLUMNS)


@click.command(cls=Command)
def whoami() -> None:
    """Print the name of the caller and what it may do."""
    permissions = Column("permissions", lambda item: [each["name"] for each in item["permissions"]])
    allows = Column(
        "allows",
        lambda item: "\n".join(
            dict.fromkeys(sentence for each in item["permissions"] for sentence in each["allows"])
        ),
    )
    with service() as client:
        print_item(client.get("/me"), [Column("name"), Column("kind"), permissions, allows])


@click.command(cls=Command)
@click.option("--changed", is_flag=True, help="Only settings that differ from their defaults.")
def settings(*, changed: bool) -> None:
    """Print the effective settings of the service and where each value comes from; secrets are left out."""
    with service() as client:
        found = client.get("/settings")["items"]
    print_items([[item for item in found if not changed or item["source"] != "default"]], SETTING_COLUMNS)


def _lines(item: Item) -> Iterator[str]:
    yield f"{item['title']}: {item['summary']}"
    yield f"{item['host']}:{item['port']}, {item['security']}, login {item['login']}"
    if item["steps"]:
        yield "\nAt the provider:"
        yield from (f"{number}. {step}" for number, step in enumerate(item["steps"], 1))
    yield "\nBlanks to fill:"
    for blank in item["blanks"]:
        yield f"  {blank['name']}: {blank['meaning']}{_hint(blank)}"
    yield f"\nThen run:\n  {_command(item)}"
    if item["refusals"]:
        yield "\nCommon replies:"
        for refusal in item["refusals"]:
            yield f"  {refusal['reply']}\n    {refusal['remedy']}"
    yield "\nSources:"
    yield from (f"  {source['url']} (read on {source['read_on']})" for source in item["sources"])


def _command(item: Item) -> str:
    """Return the command that creates a mail server from a preset."""
    fills = [
        f"--fill {blank['name']}=…" for blank in item["blanks"] if not blank["secret"] and not blank["default"]
    ]
    secrets = ["--secret-file FILE" for blank in item["blanks"] if blank["secret"]]
    return " ".join(["mailsettings server create NAME --preset", item["name"], *fills, *secrets])


def _hint(blank: Item) -> str:
    if blank["default"]:
        return f" (default {blank['default']})"
    return f" (like {blank['example']})" if blank["example"] else ""
