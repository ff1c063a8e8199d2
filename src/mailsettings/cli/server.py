"""The commands about what settings were before."""

import json
from itertools import zip_longest

import click

from mailsettings.cli.running import operator, printable, reporting_errors, run
from mailsettings.domain.history import MailServerVersion, described, secret_change

ID_TYPE = click.IntRange(1, 2**31 - 1)
"""An id or a version: what the databases' integer columns hold."""

id_option = click.option(
    "--id",
    "server_id",
    type=ID_TYPE,
    help="The settings of this id; by default the one server.",
)


@click.group(invoke_without_command=True)
@id_option
@click.option("--json", "as_json", is_flag=True, help="Print each version as a line of JSON.")
@click.pass_context
@reporting_errors
def history(context: click.Context, server_id: int | None, *, as_json: bool) -> None:
    """Print every version that is kept of the settings, newest first.

    Secrets are never shown: each version says whether its secret was set, replaced, removed or kept.
    """
    if context.invoked_subcommand is None:
        versions = run(lambda backend: backend.use_cases.history.versions(operator(), server_id))
        for version, before in zip_longest(versions, versions[1:]):
            secret = secret_change(version, before)
            click.echo(json.dumps(_members(version, secret)) if as_json else _line(version, secret))


@history.command()
@id_option
@reporting_errors
def forget(server_id: int | None) -> None:
    """Keep nothing of what the settings were before; they stay as they are."""
    run(lambda backend: backend.use_cases.history.forget(operator(), server_id))


def restore_version(version: int, server_id: int | None) -> None:
    """Make the settings what they were in *version*."""
    stored = run(lambda backend: backend.use_cases.history.restore(operator(), server_id, version))
    click.echo(f"The settings {stored.id} are what they were in version {version}, as version {stored.version}.")


def _line(version: MailServerVersion, secret: str | None) -> str:
    settings = _settings(version)
    said = ", ".join(f"{name}: {value}" for name, value in settings.items()) if settings else "removed"
    said = said if secret is None else f"{said}, secret {secret}"
    return "\t".join(map(printable, (str(version.server_id), f"{version.version}{version.revision}", said)))


def _members(version: MailServerVersion, secret: str | None) -> dict[str, object]:
    at = version.revision.at
    return {
        "id": version.server_id,
        "version": version.version,
        "changed_at": at.isoformat() if at else None,
        "changed_by": version.revision.by,
        "settings": _settings(version) or None,
        "secret": secret,
    }


def _settings(version: MailServerVersion) -> dict[str, object]:
    shown = described(version.server)
    return {str(setting): value for setting, value in shown.items() if value is not None}
