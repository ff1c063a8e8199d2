"""The command `probe`; `probing.py` does its work."""

from pathlib import Path
from typing import Any

import click

from mailsettings.cli.command import LocalCommandOfService
from mailsettings.cli.testing.report import json_option, pem_option, recipient_option

MAX_PORT = 65535


@click.command(cls=LocalCommandOfService)
@click.argument("host")
@click.option(
    "--port", type=click.IntRange(1, MAX_PORT), help="By default 25, 587 or 465, depending on --security."
)
@click.option(
    "--security",
    type=click.Choice(["none", "starttls", "implicit-tls"]),
    help="By default implicit-tls on port 465, else starttls.",
)
@click.option("--username", metavar="NAME", help="Log in; the password comes from a prompt or standard input.")
@click.option("--from", "sender", metavar="ADDRESS", help="By default the user name, or postmaster of the host.")
@click.option(
    "--certificate",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Trust only the certificates in this PEM file.",
)
@recipient_option
@json_option
@pem_option
def probe(**options: Any) -> None:
    """Test the mail server HOST from this machine and print what happened, stage by stage."""
    from mailsettings.cli.testing.probing import run_probe

    run_probe(**options)
