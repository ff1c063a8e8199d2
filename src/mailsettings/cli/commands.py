"""The commands themselves, except those about accounts."""

import asyncio
import sys
from pathlib import Path

import click

from mailsettings import __version__, logs, settings
from mailsettings.bootstrap import SINGLE_SERVER_APIS, prepare, require_tracing
from mailsettings.cli.accounts import client, permission_option, subject_option, user
from mailsettings.cli.audit import audit
from mailsettings.cli.backup import backup, passphrase_file_option, restore_backup
from mailsettings.cli.server import ID_TYPE, history, id_option, restore_version
from mailsettings.cli.keys import keys
from mailsettings.cli.monitoring import secret_ends, watch
from mailsettings.cli.probe import probe
from mailsettings.cli.report import STORED_VOCABULARY, ReportPrinter, json_option, pem_option, recipient_option
from mailsettings.cli.running import mark_dev_mode, operator, reporting_errors, run
from mailsettings.cli.serving import create_first_admin, print_greeting, serve_until_stopped, shared_metrics
from mailsettings.cli.signing_keys import signing_keys
from mailsettings.domain.access import MAX_TOKEN_LIFETIME_SECONDS
from mailsettings.domain.mail_server import MAX_PORT
from mailsettings.server.certificate import reloading_tls_context
from mailsettings.store import migrations


@click.group(name="mailsettings")
@click.version_option(__version__, message="mailsettings %(version)s")
def main() -> None:
    """Keep an organisation's outgoing-mail settings, and prove that they work."""


for command in (audit, backup, client, history, keys, probe, secret_ends, signing_keys, user, watch):
    main.add_command(command)


@main.command()
@click.option("--host", show_default="MAILSETTINGS_HOST or 127.0.0.1")
@click.option("--port", type=click.IntRange(1, MAX_PORT), show_default="MAILSETTINGS_PORT or 8080")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64))
@click.option("--tls-certificate", type=click.Path(), help="PEM file of a certificate to show; serve https.")
@click.option("--tls-key", type=click.Path(), help="PEM file of its private key.")
@click.option("--dev", is_flag=True, help="Readable logs; connection tests may reach loopback and any port.")
@reporting_errors
def serve(workers: int, *, dev: bool, **chosen_settings: object) -> None:
    """Serve the APIs and the documentation page."""
    settings.override(dev=dev or None, **chosen_settings)
    chosen = settings.read()
    logs.configure("text" if chosen.dev else chosen.log_format, chosen.log_level)
    if chosen.tls_certificate and chosen.tls_key:
        reloading_tls_context(
            chosen.tls_certificate, chosen.tls_key
        )  # a bad pair is told before anything else is done
    require_tracing(chosen)
    prepare(chosen)
    mark_dev_mode(chosen)
    password = asyncio.run(create_first_admin(chosen))
    print_greeting(chosen, password)
    click.get_current_context().with_resource(shared_metrics(workers))
    sys.exit(serve_until_stopped(chosen, workers))


@main.command()
@reporting_errors
def migrate() -> None:
    """Bring the database to the newest schema."""
    migrations.migrate(settings.read().database)


@main.command()
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
@reporting_errors
def token(subject: str, permissions: tuple[str, ...], expires_in: int) -> None:
    """Print an access token for all APIs."""
    click.echo(run(lambda backend: backend.issue_token(operator(), subject, permissions, expires_in)).text)


@main.command()
@click.argument("what", metavar="VERSION|FILE")
@id_option
@passphrase_file_option
@reporting_errors
def restore(what: str, server_id: int | None, passphrase_file: Path | None) -> None:
    """Make settings what they were in VERSION, see `history`, or fill a new database with the backup FILE.

    What is made of digits only is a version; a file of such a name is written ./7.
    """
    if what.isascii() and what.isdigit():
        _require_unused("--passphrase-file", passphrase_file, "a version")
        restore_version(ID_TYPE(what), server_id)
    else:
        _require_unused("--id", server_id, "a file")
        restore_backup(Path(what), passphrase_file)


def _require_unused(option: str, value: object, what: str) -> None:
    if value is not None:
        raise click.UsageError(f"{option} does not go with {what}.")


@main.command()
@click.option(
    "--api", type=click.Choice(SINGLE_SERVER_APIS), help="Test the mail server of this API (the default)."
)
@click.option("--id", "server_id", type=ID_TYPE, help="Test the SMTP settings of this id.")
@recipient_option
@json_option
@pem_option
@reporting_errors
def test_connection(
    api: str | None, server_id: int | None, recipient: str | None, *, as_json: bool, show_pem: bool
) -> None:
    """Test stored settings and print what happened, stage by stage."""
    if api and server_id:
        raise click.UsageError("--api and --id do not go together.")
    terminal = ReportPrinter(STORED_VOCABULARY, as_json=as_json, show_pem=show_pem)
    report = run(
        lambda backend: backend.use_cases.probes.stored(operator(), server_id, recipient),
        on_stage=terminal.on_stage,
    )
    terminal.print_rest(report)
    sys.exit(0 if report.succeeded else 1)
