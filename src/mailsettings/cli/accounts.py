"""The commands about accounts: of people, with passwords, and of clients, with secrets that the service makes."""

from collections.abc import Mapping
from typing import Any

import click

from mailsettings.cli.client import Client, service
from mailsettings.cli.client.client import segment
from mailsettings.cli.command import Failure, Group
from mailsettings.cli.output import Column, is_for_people, print_item, print_items
from mailsettings.cli.secret_input import ask_secret, read_secret, with_secret

COLUMNS = [
    Column("name"),
    Column("created_at"),
    Column("last_login_at"),
    Column("failed_logins", usual="0"),
    Column("locked_until", usual=""),
    Column("permissions"),
]
permission_option = click.option(
    "--permission",
    "permissions",
    multiple=True,
    required=True,
    metavar="NAME",
    help="A permission; repeatable. `mailsettings permission list` prints all.",
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group(cls=Group)
def account() -> None:
    """Manage accounts of people, who log in with a password."""


@click.group(cls=Group)
def client() -> None:
    """Manage accounts of machines, which log in with a secret (OAuth2 client credentials)."""


@click.group(cls=Group)
def permission() -> None:
    """Show the permissions that accounts can have."""


@permission.command("list")
def list_permissions() -> None:
    """Print each permission and what it allows."""
    allows = Column("allows", lambda item: " ".join(item["allows"]))
    with service() as api:
        print_items([api.get("/permissions")["items"]], [Column("name"), allows])


@account.command("create")
@click.argument("name")
@permission_option
@with_secret("the password")
def create_account(
    name: str, permissions: tuple[str, ...], secret_file: str | None, *, secret_stdin: bool
) -> None:
    """Create an account; a prompt asks for its password."""
    with service() as api:
        password = _password(secret_file, secret_stdin=secret_stdin)
        created = api.send(
            "POST", "/accounts", {"name": name, "permissions": list(permissions), "password": password}
        )
        if not is_for_people():
            print_item(created, COLUMNS)


@client.command("create")
@click.argument("name")
@permission_option
def create_client(name: str, permissions: tuple[str, ...]) -> None:
    """Create a client and print its secret, which is not shown again."""
    with service() as api:
        _print_secret(api.send("POST", "/clients", {"name": name, "permissions": list(permissions)}))


@account.command()
@click.argument("name")
@with_secret("the password")
def set_password(name: str, secret_file: str | None, *, secret_stdin: bool) -> None:
    """Replace the password of an account, with a prompt; its tokens become invalid."""
    with service() as api:
        password = _password(secret_file, secret_stdin=secret_stdin)
        api.send("PUT", f"/accounts/{segment(name)}/password", {"password": password})


@client.command()
@click.argument("name")
def new_secret(name: str) -> None:
    """Replace the secret of a client and print it; its tokens become invalid."""
    with service() as api:
        _print_secret(api.send("POST", f"/clients/{segment(name)}/new-secret"))


def _add_common_commands(group: click.Group, path: str, kind: str) -> None:
    """Add the commands that both kinds of accounts have."""

    @group.command("list", help=f"Print each {kind} with its permissions.")
    def list_() -> None:
        with service() as api:
            print_items(api.pages(path), COLUMNS)

    @group.command(help=f"Print the {kind} NAME.")
    @click.argument("name")
    def show(name: str) -> None:
        with service() as api:
            print_item(api.get(f"{path}/{segment(name)}"), COLUMNS)

    @group.command(help=f"Replace the permissions of the {kind} NAME, from its next request on.")
    @click.argument("name")
    @permission_option
    @yes_option
    def set_permissions(name: str, permissions: tuple[str, ...], *, yes: bool) -> None:
        body = {"permissions": list(permissions)}
        with service() as api:
            _change(api, "PUT", f"{path}/{segment(name)}/permissions", body, name=name, yes=yes)

    @group.command(help=f"End the delay of logins of the {kind} NAME after failed logins.")
    @click.argument("name")
    def unlock(name: str) -> None:
        with service() as api:
            api.send("POST", f"{path}/{segment(name)}/unlock")

    @group.command(
        help=f"Delete the {kind} NAME; its tokens become invalid. Asks before it deletes the last account that "
        "may manage accounts."
    )
    @click.argument("name")
    @yes_option
    def delete(name: str, *, yes: bool) -> None:
        with service() as api:
            _change(api, "DELETE", f"{path}/{segment(name)}", None, name=name, yes=yes)


_add_common_commands(account, "/accounts", "account")
_add_common_commands(client, "/clients", "client")
for group, create in ((account, create_account), (client, create_client)):
    group.add_alias("add", create)
    group.add_alias("remove", group.commands["delete"])


def _change(  # noqa: PLR0913  # a request, and what to ask
    api: Client, method: str, path: str, body: object, *, name: str, yes: bool
) -> None:
    """Make a change; ask before it takes the management of accounts from the last account that has it."""
    try:
        api.send(method, path, body)
    except Failure as refusal:
        if refusal.problem != "last_account_manager":
            raise
        if not yes:
            question = f"{name} is the last account that may manage accounts. Continue?"
            click.confirm(question, abort=True, err=True)
        api.send(method, path, body, query={"even_last": "true"})


def _print_secret(created: Mapping[str, Any]) -> None:
    if is_for_people():
        click.echo(created["secret"])
    else:
        print_item(created, [Column("name"), Column("secret")])


def _password(secret_file: str | None, *, secret_stdin: bool) -> str:
    given = read_secret(secret_file, secret_stdin=secret_stdin)
    return ask_secret("the password", confirmed=True) if given is None else given
