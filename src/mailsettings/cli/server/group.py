"""The group of the commands about mail servers, and how a command names one."""

from collections.abc import Callable
from typing import Any

import click

from mailsettings.cli.client import Client
from mailsettings.cli.client.client import segment
from mailsettings.cli.command import REFUSED, Failure, Group

ID_TYPE = click.IntRange(1, 2**31 - 1)
"""An id or a version: what the databases' integer columns hold."""
DEFAULT = "default"
LOGINS = {"none": "none", "password": "password", "oauth2": "oauth2_client_credentials", "machine": "machine"}
"""The kind of login in the API for each word of --login."""


@click.group(cls=Group)
def server() -> None:
    """Manage and test the stored mail servers."""


def with_reference(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument NAME, which may be an id, and --id; without both it is the default mail server."""
    command = click.option("--id", "server_id", type=ID_TYPE, hidden=True, help="The same as an id as NAME.")(
        command
    )
    return click.argument("name", required=False)(command)


def path_of(client: Client, name: str | None, server_id: int | None) -> str:
    """Return the path of the mail server that the command names. Raises `Failure` without a default."""
    if name and server_id:
        raise click.UsageError("Give either a name or --id.")
    if server_id is None and (name is None or name == DEFAULT):
        server_id = _default_id(client)
    return f"/mail-servers/{server_id or segment(name or '')}"


def _default_id(client: Client) -> int:
    try:
        found: int = client.get(f"/mail-servers/{DEFAULT}")["id"]
    except Failure as refusal:
        if refusal.problem != "mail_server_not_found":
            raise
        advice = "Give a name, or choose a default: mailsettings server default NAME"
        raise Failure(f"There is no such mail server: no default is chosen. {advice}", REFUSED) from None
    return found
