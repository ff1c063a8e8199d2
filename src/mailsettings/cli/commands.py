"""The command `mailsettings`, with the commands that have no noun."""

import asyncio
import sys
from pathlib import Path

import click

from mailsettings import __version__, logs, settings
from mailsettings.bootstrap import prepare, require_tracing
from mailsettings.cli.accounts import account, client, permission_option, subject_option
from mailsettings.cli.audit import audit
from mailsettings.cli.backup import backup, passphrase_file_option, restore_backup
from mailsettings.cli.keys import key
from mailsettings.cli.monitoring import monitoring
from mailsettings.cli.probe import probe
from mailsettings.cli.running import mark_dev_mode, operator, reporting_errors, run
from mailsettings.cli.server import server
from mailsettings.cli.serving import create_first_admin, print_greeting, serve_until_stopped, shared_metrics
from mailsettings.domain.access import MAX_TOKEN_LIFETIME_SECONDS
from mailsettings.domain.mail_server import MAX_PORT
from mailsettings.server.certificate import reloading_tls_context
from mailsettings.store import migrations


@click.group(name="mailsettings")
@click.version_option(__version__, message="mailsettings %(version)s")
def main() -> None:
    """Store the mail servers that an organisation sends through, and prove that they work."""


for command in (account, audit, backup, client, key, monitoring, probe, server):
    main.add_command(command)


@main.command()
@click.option("--host", show_default="MAILSETTINGS_HOST or 127.0.0.1")
@click.option("--port", type=click.IntRange(1, MAX_PORT), show_default="MAILSETTINGS_PORT or 8080")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64))
@click.option("--tls-certificate", type=click.Path(), help="PEM file with the certificate; serves HTTPS.")
@click.option("--tls-key", type=click.Path(), help="PEM file of its private key.")
@click.option("--dev", is_flag=True, help="Readable logs; connection tests may reach loopback and any port.")
@reporting_errors
def serve(workers: int, *, dev: bool, **chosen_settings: object) -> None:
    """Serve the APIs and the documentation page."""
    settings.override(dev=dev or None, **chosen_settings)
    chosen = settings.read()
    logs.configure("text" if chosen.dev else chosen.log_format, chosen.log_level)
    if chosen.tls_certificate and chosen.tls_key:
        # Report a bad pair before anything else is done.
        reloading_tls_context(chosen.tls_certificate, chosen.tls_key)
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
@click.argument("file", type=click.Path(path_type=Path))
@passphrase_file_option
@reporting_errors
def restore(file: Path, passphrase_file: Path | None) -> None:
    """Fill a new database from the backup FILE. To restore a version of a mail server, see `server restore`."""
    restore_backup(file, passphrase_file)
