"""List, show, export, enable, disable and delete mail servers, and choose the default."""

import click

from mailsettings.cli.client import service
from mailsettings.cli.client.client import segment
from mailsettings.cli.command import Command, chosen
from mailsettings.cli.output import Column, Item, output_format, print_document, print_item, print_items
from mailsettings.cli.server.group import DEFAULT, LOGINS, path_of, server, with_reference

_SET_BY_THE_SERVICE = frozenset(
    {"id", "default", "version", "created_by", "created_through", "changed_at", "changed_by", "health"}
)
_SECRETS = frozenset({"password", "client_secret"})
HEALTH = ("unchecked", "working", "unconfirmed", "failing", "disabled")
LOGIN_WORDS = {kind: word for word, kind in LOGINS.items()}


def _secret(item: Item) -> str | None:
    login = item["authentication"]
    secret = login.get("password") or login.get("client_secret")
    if secret is None:
        return None
    expiry = f", expires on {secret['expires_on']}" if secret.get("expires_on") else ""
    return f"stored, label {secret['label']}{expiry}" if secret["stored"] else "not stored"


def _health(item: Item) -> str:
    health = item["health"]
    parts = [
        health["state"],
        f"since {health['since']}" if health.get("since") else "",
        health.get("failure") or "",
    ]
    return ", ".join(filter(None, parts))


def _changed(item: Item) -> str:
    return f"{item['changed_at'] or 'at an unknown time'} by {item['changed_by'] or 'an unknown caller'}"


def _labels(item: Item) -> dict[str, str]:
    labels: dict[str, str] = item.get("labels") or {}
    return labels


# A table has the words of the options, so that what it shows can be typed.
COLUMNS = [
    Column("id"),
    Column("name"),
    Column("server", lambda item: f"{item['host']}:{item['port']}"),
    Column("security", lambda item: item["security"].replace("_", "-")),
    Column("login", lambda item: LOGIN_WORDS.get(item["authentication"]["kind"])),
    Column("health", lambda item: item["health"]["state"]),
    Column("enabled", usual="yes"),
    Column("default", usual="no"),
    Column(
        "certificate_expires", lambda item: (item["health"].get("certificate_expires_at") or "")[:10], usual=""
    ),
    Column("secret_expires", lambda item: item["health"].get("secret_expires_on"), usual=""),
    Column("labels", _labels, usual=""),
]
LINES = [
    *COLUMNS[:3],
    Column("description"),
    *COLUMNS[3:5],
    Column("username", lambda item: item["authentication"].get("username")),
    Column("secret", _secret),
    Column("trust", lambda item: item["trust"]["kind"]),
    Column("sender", lambda item: item["sender"]["address"]),
    Column("sender_name", lambda item: item["sender"]["name"]),
    Column("health", _health),
    *COLUMNS[6:],
    Column("version"),
    Column("changed", _changed),
]


@server.command("list")
@click.option("--name", help="Only mail servers with this text in their name.")
@click.option("--label", "labels", multiple=True, metavar="KEY[=VALUE]", help="Only with this label; repeatable.")
@click.option("--health", type=click.Choice(HEALTH), help="Only with this health.")
@click.option("--enabled/--disabled", default=None, help="Only enabled, or only disabled mail servers.")
def list_(name: str | None, labels: tuple[str, ...], health: str | None, *, enabled: bool | None) -> None:
    """Print the mail servers with their health."""
    only = None if enabled is None else str(enabled).lower()
    with service() as client:
        print_items(client.pages("/mail-servers", name=name, label=labels, health=health, enabled=only), COLUMNS)


@server.command()
@with_reference
def show(name: str | None, server_id: int | None) -> None:
    """Print the mail server NAME, a name or an id; without it, the default mail server."""
    with service() as client:
        print_item(client.get(path_of(client, name, server_id)), LINES)


@server.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
def export(names: tuple[str, ...]) -> None:
    """Print all mail servers, or each NAME, as YAML or JSON; `server create --file` reads a file with one NAME.

    It has all settings but the secrets, which the service never shows.
    """
    with service() as client:
        found = (
            [client.get(path_of(client, name, None)) for name in names]
            if names
            else [item for page in client.pages("/mail-servers") for item in page]
        )
    exported = [settable(item) for item in found]
    print_document(exported[0] if len(names) == 1 else exported, "json" if output_format() == "json" else "yaml")


def settable(item: Item) -> dict[str, object]:
    """Return the members of a mail server that a request can set, without secrets."""
    login = {name: value for name, value in item["authentication"].items() if name not in _SECRETS}
    kept = {name: value for name, value in item.items() if name not in _SET_BY_THE_SERVICE and value is not None}
    return {**kept, "authentication": login}


@server.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(name: str, *, yes: bool) -> None:
    """Delete the mail server NAME."""
    if not yes:
        click.confirm(f"Delete the mail server {name} at {chosen('url') or 'this machine'}?", abort=True, err=True)
    with service() as client:
        client.send("DELETE", path_of(client, name, None))


@server.command()
@click.argument("name")
def enable(name: str) -> None:
    """Enable the mail server NAME: scheduled checks include it again."""
    with service() as client:
        client.send("POST", f"{path_of(client, name, None)}/enable")


@server.command()
@click.argument("name")
def disable(name: str) -> None:
    """Disable the mail server NAME: scheduled checks leave it out, and it sends nothing."""
    with service() as client:
        client.send("POST", f"{path_of(client, name, None)}/disable")


@server.command(cls=Command)
@click.argument("name", required=False)
@click.option("--clear", is_flag=True, help="Leave the APIs with a single mail server without one.")
def default(name: str | None, *, clear: bool) -> None:
    """Print the default mail server, or make NAME the default: APIs with a single mail server show it."""
    if name and clear:
        raise click.UsageError("Give either a name or --clear.")
    with service() as client:
        if clear:
            client.send("DELETE", f"/mail-servers/{DEFAULT}")
        elif name:
            chosen_by = {"id": int(name)} if name.isdecimal() else {"name": name}
            client.send("PUT", f"/mail-servers/{DEFAULT}", chosen_by)
        else:
            print_item(client.get(f"/mail-servers/{segment(DEFAULT)}"), LINES)
