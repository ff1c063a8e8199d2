"""The commands about accounts: of people, with passwords, and of clients, with secrets that this program makes."""

import secrets
import sys
from collections.abc import Callable

import click

from mailsettings.cli.command import REFUSED, Failure, Group, LocalCommand
from mailsettings.cli.local import operator, run
from mailsettings.domain.access import (
    MAX_TOKEN_LIFETIME_SECONDS,
    MIN_PASSWORD_LENGTH,
    Account,
    AccountKind,
    new_name_problem,
)
from mailsettings.domain.errors import LastAccountManager

SECRET_BYTES = 32

password_option = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")


def _unreserved_name(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    """Return *name*. Raises `Failure` if it is reserved for external callers, operators or monitoring."""
    if problem := new_name_problem(name):
        raise Failure(f"The name {problem}", REFUSED)
    return name


new_name_argument = click.argument("name", callback=_unreserved_name)
subject_option = click.option(
    "--subject", default="operator", show_default=True, metavar="NAME", callback=_unreserved_name
)


class _Permission(click.ParamType[str]):
    """The name of a permission."""

    name = "permission"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name, if it exists."""
        from mailsettings.bootstrap import GRANTS

        if value not in GRANTS:
            self.fail(f"{value!r} is not one of {', '.join(sorted(GRANTS))}.", param, ctx)
        return value


permission_option = click.option(
    "--permission", "permissions", multiple=True, required=True, type=_Permission(), metavar="NAME"
)


@click.group(cls=Group)
def account() -> None:
    """Manage accounts of people, who log in with a password."""


@click.group(cls=Group)
def client() -> None:
    """Manage accounts of machines, which log in with a secret (OAuth2 client credentials)."""


@account.command("add")
@new_name_argument
@permission_option
@password_option
def add_account(name: str, permissions: tuple[str, ...], *, password_stdin: bool) -> None:
    """Add an account; a prompt asks for its password."""
    added = Account(name, frozenset(permissions))
    password = _password(from_stdin=password_stdin)
    run(lambda backend: backend.accounts.add(operator(), added, password))


@client.command("add")
@new_name_argument
@permission_option
def add_client(name: str, permissions: tuple[str, ...]) -> None:
    """Add an account and print its secret, which is not shown again."""
    added = Account(name, frozenset(permissions), AccountKind.CLIENT)
    secret = secrets.token_urlsafe(SECRET_BYTES)
    run(lambda backend: backend.accounts.add(operator(), added, secret))
    click.echo(secret)


@account.command()
@click.argument("name")
@password_option
def set_password(name: str, *, password_stdin: bool) -> None:
    """Replace the password of an account, with a prompt; its tokens become invalid."""
    password = _password(from_stdin=password_stdin)
    run(lambda backend: backend.accounts.set_password(operator(), AccountKind.USER, name, password))


@client.command()
@click.argument("name")
def new_secret(name: str) -> None:
    """Replace the secret of an account and print it; its tokens become invalid."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    run(lambda backend: backend.accounts.set_password(operator(), AccountKind.CLIENT, name, secret))
    click.echo(secret)


def _add_common_commands(group: click.Group, kind: AccountKind) -> None:
    """Add the commands that both kinds of accounts have."""

    @group.command("list")
    def list_() -> None:
        """Print each account with its permissions."""
        for each in run(lambda backend: backend.accounts.list()):
            if each.kind is kind:
                click.echo(f"{each.name}\t{' '.join(sorted(each.grants))}")

    @group.command()
    @click.argument("name")
    @permission_option
    def set_permissions(name: str, permissions: tuple[str, ...]) -> None:
        """Replace the permissions of an account, from its next request on."""
        _asking(
            name,
            lambda even_last: run(
                lambda backend: backend.accounts.set_grants(
                    operator(), kind, name, permissions, even_last=even_last
                )
            ),
        )

    @group.command()
    @click.argument("name")
    def unlock(name: str) -> None:
        """End the delay of an account after failed logins."""
        run(lambda backend: backend.accounts.unlock(operator(), kind, name))

    @group.command()
    @click.argument("name")
    def remove(name: str) -> None:
        """Remove an account; its tokens become invalid."""
        _asking(
            name,
            lambda even_last: run(
                lambda backend: backend.accounts.remove(operator(), kind, name, even_last=even_last)
            ),
        )


def _asking(name: str, change: Callable[[bool], None]) -> None:
    """Make *change*; ask before it takes the management of accounts from the last account that has it."""
    try:
        change(False)  # noqa: FBT003  # not even the last
    except LastAccountManager:
        click.confirm(f"{name} is the last account that may manage accounts. Continue?", abort=True, err=True)
        change(True)  # noqa: FBT003  # even the last


_add_common_commands(account, AccountKind.USER)
_add_common_commands(client, AccountKind.CLIENT)


def _password(*, from_stdin: bool) -> str:

    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    if len(password) < MIN_PASSWORD_LENGTH:
        raise Failure(f"A password needs at least {MIN_PASSWORD_LENGTH} characters.", REFUSED)
    return str(password)


@click.command(cls=LocalCommand)
@subject_option
@permission_option
@click.option(
    "--expires-in",
    default=3600,
    show_default=True,
    type=click.IntRange(1, MAX_TOKEN_LIFETIME_SECONDS),
    metavar="SECONDS",
    help=f"The lifetime of the token, at most {MAX_TOKEN_LIFETIME_SECONDS} (366 days).",
)
def token(subject: str, permissions: tuple[str, ...], expires_in: int) -> None:
    """Print an access token for all APIs."""
    click.echo(run(lambda backend: backend.issue_token(operator(), subject, permissions, expires_in)).text)
