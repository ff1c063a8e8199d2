"""The commands about accounts: users with passwords, and clients with secrets that we make."""

import secrets
import sys

import click

from mailsettings import settings
from mailsettings.bootstrap import GRANTS
from mailsettings.cli.running import operator, reporting_errors, run
from mailsettings.domain.access import ISSUER_SEPARATOR, MONITORING, OPERATOR, Account, AccountKind

SECRET_BYTES = 32

password_option = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")


def _unreserved_name(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    """Some names belong to others: to callers that an external issuer vouches for, and to operators."""
    if ISSUER_SEPARATOR in name:
        raise click.ClickException(
            f"{ISSUER_SEPARATOR} is reserved for the names of an external issuer's callers."
        )
    if name.startswith(f"{OPERATOR.name}:"):
        raise click.ClickException(f"{OPERATOR.name}: is reserved for those who use this command line.")
    if name == MONITORING.name:
        raise click.ClickException(f"{MONITORING.name} is reserved for this program's own checks.")
    return name


new_name_argument = click.argument("name", callback=_unreserved_name)
subject_option = click.option(
    "--subject", default="operator", show_default=True, metavar="NAME", callback=_unreserved_name
)
permission_option = click.option(
    "--permission", "permissions", multiple=True, required=True, type=click.Choice(sorted(GRANTS))
)


@click.group()
def user() -> None:
    """Accounts of people, who log in with a password."""


@click.group()
def client() -> None:
    """Accounts of machines, which log in with a secret (OAuth2 client credentials)."""


@user.command("add")
@new_name_argument
@permission_option
@password_option
@reporting_errors
def add_user(name: str, permissions: tuple[str, ...], *, password_stdin: bool) -> None:
    """Make an account; the password comes from a prompt."""
    account = Account(name, frozenset(permissions))
    password = _password(from_stdin=password_stdin)
    run(lambda backend: backend.accounts.add(operator(), account, password))


@client.command("add")
@new_name_argument
@permission_option
@reporting_errors
def add_client(name: str, permissions: tuple[str, ...]) -> None:
    """Make an account and print its secret, which is not shown again."""
    account = Account(name, frozenset(permissions), AccountKind.CLIENT)
    secret = secrets.token_urlsafe(SECRET_BYTES)
    run(lambda backend: backend.accounts.add(operator(), account, secret))
    click.echo(secret)


@user.command()
@click.argument("name")
@password_option
@reporting_errors
def set_password(name: str, *, password_stdin: bool) -> None:
    """Give an account another password, from a prompt; tokens it was given end."""
    password = _password(from_stdin=password_stdin)
    run(lambda backend: backend.accounts.set_password(operator(), AccountKind.USER, name, password))


@client.command()
@click.argument("name")
@reporting_errors
def new_secret(name: str) -> None:
    """Give an account another secret and print it; tokens it was given end."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    run(lambda backend: backend.accounts.set_password(operator(), AccountKind.CLIENT, name, secret))
    click.echo(secret)


def _add_common_commands(group: click.Group, kind: AccountKind) -> None:
    """What is the same for users and clients."""

    @group.command("list")
    @reporting_errors
    def list_() -> None:
        """Print each account with its permissions."""
        for account in run(lambda backend: backend.accounts.list()):
            if account.kind is kind:
                click.echo(f"{account.name}\t{' '.join(sorted(account.grants))}")

    @group.command()
    @click.argument("name")
    @permission_option
    @reporting_errors
    def set_permissions(name: str, permissions: tuple[str, ...]) -> None:
        """Let an account do this and nothing else, from its next request on."""
        run(lambda backend: backend.accounts.set_grants(operator(), kind, name, permissions))

    @group.command()
    @click.argument("name")
    @reporting_errors
    def unlock(name: str) -> None:
        """Let an account log in again at once after failed logins."""
        run(lambda backend: backend.accounts.unlock(operator(), kind, name))

    @group.command()
    @click.argument("name")
    @reporting_errors
    def remove(name: str) -> None:
        """Remove an account; tokens it was given end."""
        run(lambda backend: backend.accounts.remove(operator(), kind, name))


_add_common_commands(user, AccountKind.USER)
_add_common_commands(client, AccountKind.CLIENT)


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    if len(password) < settings.MIN_PASSWORD_LENGTH:
        raise click.ClickException(f"A password needs at least {settings.MIN_PASSWORD_LENGTH} characters.")
    return str(password)
