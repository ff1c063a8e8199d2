"""How a caller of a far service shows who it is: a token, or the name and secret of a client."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import click

from mailsettings.cli.command import TOKEN_VARIABLE, VARIABLES, chosen, is_from_variable

_MAX_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Credentials:
    """A token, or the form that gets one at `/v1/token`."""

    token: str | None = field(default=None, repr=False)
    form: Mapping[str, str] = field(default_factory=dict, repr=False)


def chosen_credentials() -> Credentials:
    """Return the credentials of the shared options and their variables. Raises `click.UsageError`."""
    client_id, secret_file = chosen("client_id"), chosen("client_secret_file")
    token_file = chosen("token_file")
    if token_file and is_from_variable("token_file") and client_id and not is_from_variable("client_id"):
        token_file = None  # an option has precedence over a variable
    if token_file and client_id and is_from_variable("token_file") is is_from_variable("client_id"):
        raise click.UsageError("Give either --token-file, or --client-id and --client-secret-file.")
    if token_file:
        return Credentials(_token(secret_line(token_file, "--token-file"), "--token-file"))
    if bool(client_id) is not bool(secret_file):
        raise click.UsageError("--client-id and --client-secret-file go together.")
    if client_id and secret_file:
        secret = secret_line(secret_file, "--client-secret-file")
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
        return Credentials(form=form)
    # A variable, as pipelines keep their secrets; never an option, which every user of the machine can read.
    if token := os.environ.get(TOKEN_VARIABLE):
        return Credentials(_token(_plain(token, TOKEN_VARIABLE), TOKEN_VARIABLE))
    raise click.UsageError(
        f"--url needs --token-file, or --client-id and --client-secret-file; or set {VARIABLES['token_file']} "
        f"or {TOKEN_VARIABLE}."
    )


def secret_line(file: str, option: str) -> str:
    """Return the only line of *file*. Raises `click.UsageError`, which names *option* and not the content."""
    try:
        with Path(file).open("rb") as opened:
            content = opened.read(_MAX_BYTES)
    except OSError as error:
        raise click.UsageError(f"{option}: cannot read {file}: {error.strerror}.") from None
    try:
        text = content.decode().rstrip("\r\n")
    except ValueError:
        text = ""
    return _plain(text, f"{option}: {file}")


def _plain(text: str, where: str) -> str:
    if not text or not text.isprintable():
        raise click.UsageError(f"{where} must hold one line of text.")
    return text


def _token(text: str, where: str) -> str:
    """Return *text* as a token, which is ASCII (RFC 6750 2.1)."""
    if not text.isascii():
        raise click.UsageError(f"{where} must hold an access token.")
    return text
