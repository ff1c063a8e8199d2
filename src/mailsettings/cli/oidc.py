"""`mailsettings oidc check`: why the service accepts or refuses a token of an issuer, claim by claim."""

import sys
from typing import IO

import click

from mailsettings.cli.command import FAILED, LocalCommand
from mailsettings.cli.findings import print_findings


@click.group()
def oidc() -> None:
    """Explain the tokens of an OpenID Connect issuer."""


@oidc.command(cls=LocalCommand)
@click.argument("token", required=False)
@click.option("--file", "file", type=click.File("rb"), metavar="FILE", help="Read the token from this file.")
def check(token: str | None, file: IO[bytes] | None) -> None:
    """Explain claim by claim whether the service accepts TOKEN; `-` reads it from standard input.

    Other users of this machine see arguments, so a file or standard input is better. The output never has the
    token. Exits with 1 if the token is refused.
    """
    text = _given(token, file)
    from mailsettings.cli.token_findings import findings_of

    sys.exit(0 if print_findings(findings_of(text)) else FAILED)


def _given(token: str | None, file: IO[bytes] | None) -> str:
    if (token is None) == (file is None):
        raise click.UsageError("Give the token as an argument, with --file, or as - on standard input.")
    if file is not None:
        token = file.read().decode("latin-1")
    elif token == "-":  # noqa: S105  # a mark, no password
        token = sys.stdin.read()
    text = str(token).strip().removeprefix("Bearer ").strip()
    if not text.isascii():
        raise click.UsageError("A token has ASCII characters only.")
    return text
