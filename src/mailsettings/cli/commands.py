"""The command `mailsettings`, and the commands that have no noun."""

import click

from mailsettings import __version__
from mailsettings.cli.command import LocalCommand, LocalCommandOfService, Root

PLACES = {
    "account": "mailsettings.cli.accounts:account",
    "audit": "mailsettings.cli.audit:audit",
    "backup": "mailsettings.cli.backup:backup",
    "client": "mailsettings.cli.accounts:client",
    "device": "mailsettings.cli.devices:device",
    "doctor": "mailsettings.cli.doctor:doctor",
    "key": "mailsettings.cli.keys:key",
    "messages": "mailsettings.cli.messages:messages",
    "monitoring": "mailsettings.cli.monitoring:monitoring",
    "oidc": "mailsettings.cli.oidc:oidc",
    "permission": "mailsettings.cli.accounts:permission",
    "preset": "mailsettings.cli.facts:preset",
    "probe": "mailsettings.cli.testing.probe:probe",
    "relay": "mailsettings.cli.relay:relay",
    "restore": "mailsettings.cli.backup:restore",
    "server": "mailsettings.cli.server:server",
    "settings": "mailsettings.cli.facts:settings",
    "token": "mailsettings.cli.token:token",
    "whoami": "mailsettings.cli.facts:whoami",
}
"""The module of each command; it is imported when the command is used."""
MAX_PORT = 65535


@click.group(
    name="mailsettings", cls=Root, places=PLACES, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, message="mailsettings %(version)s")
def main() -> None:
    """Store the mail servers that an organisation sends through, and prove that they work."""


@main.command(cls=LocalCommandOfService)
@click.option("--host", show_default="MAILSETTINGS_HOST or 127.0.0.1")
@click.option("--port", type=click.IntRange(1, MAX_PORT), show_default="MAILSETTINGS_PORT or 8080")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64))
@click.option("--tls-certificate", type=click.Path(), help="PEM file with the certificate; serves HTTPS.")
@click.option("--tls-key", type=click.Path(), help="PEM file of its private key.")
@click.option("--dev", is_flag=True, help="Readable logs; connection tests may reach loopback and any port.")
@click.option("--relay", is_flag=True, help="Also run the relay, as a child that is restarted when it ends.")
def serve(workers: int, *, dev: bool, relay: bool, **chosen_settings: object) -> None:
    """Serve the APIs and the documentation page."""
    from mailsettings.cli.serving.start import serve as run_service

    run_service(workers, relay=relay, dev=dev or None, **chosen_settings)


@main.command(cls=LocalCommandOfService)
def migrate() -> None:
    """Bring the database to the newest schema."""
    from mailsettings import settings
    from mailsettings.cli.running import reporting_errors
    from mailsettings.store import migrations

    with reporting_errors():
        migrations.migrate(settings.read().database)


@main.command(cls=LocalCommand)
@click.argument("shell", type=click.Choice(["bash", "fish", "zsh"]))
def completion(shell: str) -> None:
    """Print the script that completes commands and options in SHELL; see the command line's page."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None, shell  # noqa: S101  # click has these three
    click.echo(found(main, {}, "mailsettings", "_MAILSETTINGS_COMPLETE").source())
