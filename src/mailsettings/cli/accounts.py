"""The commands about accounts."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from mailsettings import settings
from mailsettings.bootstrap import GRANTS, create_backend, prepare
from mailsettings.cli.failures import one_sentence
from mailsettings.domain.access import Account
from mailsettings.use_cases.accounts import KeepAccounts

Result = TypeVar("Result")

password_option = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")


@click.group()
def user() -> None:
    """Accounts that can log in."""


@user.command()
@click.argument("name")
@click.option("--permission", "permissions", multiple=True, required=True, type=click.Choice(sorted(GRANTS)))
@password_option
@one_sentence
def add(name: str, permissions: tuple[str, ...], *, password_stdin: bool) -> None:
    """Make an account; the password comes from a prompt."""
    account = Account(name, frozenset(permissions))
    password = _password(from_stdin=password_stdin)
    _run(lambda accounts: accounts.add(account, password))


@user.command("list")
@one_sentence
def list_() -> None:
    """Print each account with its permissions."""
    for account in _run(lambda accounts: accounts.list()):
        click.echo(f"{account.name}\t{' '.join(sorted(account.grants))}")


@user.command()
@click.argument("name")
@one_sentence
def remove(name: str) -> None:
    """Remove an account; tokens it was given stay good until they expire."""
    _run(lambda accounts: accounts.remove(name))


@user.command()
@click.argument("name")
@password_option
@one_sentence
def set_password(name: str, *, password_stdin: bool) -> None:
    """Give an account another password, from a prompt."""
    password = _password(from_stdin=password_stdin)
    _run(lambda accounts: accounts.set_password(name, password))


def _run(use: Callable[[KeepAccounts], Awaitable[Result]]) -> Result:
    async def run() -> Result:
        chosen = settings.read()
        prepare(chosen)
        backend = create_backend(chosen)
        try:
            return await use(backend.use_cases.accounts)
        finally:
            await backend.close()

    return asyncio.run(run())


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    if len(password) < settings.SHORTEST_PASSWORD:
        raise click.ClickException(f"A password needs at least {settings.SHORTEST_PASSWORD} characters.")
    return str(password)
