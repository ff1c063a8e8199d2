"""Read secrets: from a file, standard input or a prompt, never from an argument, which other users can list."""

import sys
from collections.abc import Callable
from typing import Any

import click

from mailsettings.cli.client.credentials import secret_line

Command = Callable[..., Any]


def with_secret(what: str, *, names: tuple[str, ...] = ("password",)) -> Callable[[Command], Command]:
    """Add the options --NAME-file and --NAME-stdin for each of *names*; `read_secret` gets their values."""

    def decorate(command: Command) -> Command:
        files, pipes = [f"--{name}-file" for name in names], [f"--{name}-stdin" for name in names]
        command = click.option(
            *files, "secret_file", metavar="FILE", help=f"Read {what} from this file, its only line."
        )(command)
        return click.option(*pipes, "secret_stdin", is_flag=True, help=f"Read {what} from standard input.")(
            command
        )

    return decorate


def read_secret(secret_file: str | None, *, secret_stdin: bool) -> str | None:
    """Return the secret of the options; None without one."""
    if secret_file and secret_stdin:
        raise click.UsageError("Give the secret either by a file or by standard input.")
    if secret_file:
        return secret_line(secret_file, "--password-file")
    if secret_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return None


def ask_secret(what: str, *, confirmed: bool, option: str = "password") -> str:
    """Return the secret that a person types at a terminal. Raises `click.UsageError` without a terminal."""
    if not sys.stdin.isatty():
        raise click.UsageError(f"Without a terminal, give {what} with --{option}-file or --{option}-stdin.")
    typed: str = click.prompt(what.capitalize(), hide_input=True, confirmation_prompt=confirmed, err=True)
    return typed
