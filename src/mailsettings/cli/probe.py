"""`mailsettings probe`: test any mail server from this machine, without a database or a running service."""

import sys
from pathlib import Path

import click

from mailsettings import settings
from mailsettings.bootstrap import create_prober
from mailsettings.cli.report import ReportPrinter, json_option, pem_option, recipient_option
from mailsettings.cli.running import reporting_errors, run_on_loop
from mailsettings.domain.certificates import CustomTrust, SystemTrust, Trust
from mailsettings.domain.connection_test import ProbeReport
from mailsettings.domain.mail_server import (
    MAX_PORT,
    Authentication,
    ConnectionSecurity,
    MailServer,
    NoAuthentication,
    PasswordAuthentication,
    Sender,
)
from mailsettings.domain.setting import Setting
from mailsettings.domain.values import Secret
from mailsettings.network.policy import UNRESTRICTED
from mailsettings.web.report import Vocabulary

_PORTS = {
    ConnectionSecurity.NONE: 25,
    ConnectionSecurity.STARTTLS: 587,
    ConnectionSecurity.IMPLICIT_TLS: 465,
}
_NO_OAUTH2 = "OAuth2 would help too; `probe` does not support it: store the settings and use `server test`."
PROBE_VOCABULARY = Vocabulary(
    {
        Setting.AUTHENTICATION: "--username",
        Setting.CERTIFICATE: "--certificate",
        Setting.HOST: "HOST",
        Setting.PASSWORD: "the password",
        Setting.PORT: "--port",
        Setting.RECIPIENT: "--to",
        Setting.SECURITY: "--security",
        Setting.SENDER_ADDRESS: "--from",
        Setting.USERNAME: "--username",
    },
    hints={Setting.CLIENT_ID: _NO_OAUTH2},
)
"""The names of the settings: options of this command."""


@click.command()
@click.argument("host")
@click.option(
    "--port", type=click.IntRange(1, MAX_PORT), help="By default 25, 587 or 465, depending on --security."
)
@click.option(
    "--security",
    type=click.Choice([security.value for security in ConnectionSecurity]),
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
@reporting_errors
def probe(  # noqa: PLR0913, PLR0917  # one for each option
    host: str,
    port: int | None,
    security: str | None,
    username: str | None,
    sender: str | None,
    certificate: Path | None,
    recipient: str | None,
    *,
    as_json: bool,
    show_pem: bool,
) -> None:
    """Test the mail server HOST from this machine and print what happened, stage by stage."""
    chosen = _security(security, port)
    server = MailServer(
        host,
        port or _PORTS[chosen],
        chosen,
        Sender(sender or _sender(host, username)),
        _authentication(username),
        _trust(certificate),
    )
    terminal = ReportPrinter(PROBE_VOCABULARY, as_json=as_json, show_pem=show_pem)
    report = run_on_loop(_probe(server, recipient, terminal))
    terminal.print_rest(report)
    sys.exit(0 if report.succeeded else 1)


async def _probe(server: MailServer, recipient: str | None, terminal: ReportPrinter) -> ProbeReport:
    return await create_prober(settings.read(), UNRESTRICTED, terminal.on_stage).probe(server, recipient)


def _security(security: str | None, port: int | None) -> ConnectionSecurity:
    if security is not None:
        return ConnectionSecurity(security)
    implicit = port == _PORTS[ConnectionSecurity.IMPLICIT_TLS]
    return ConnectionSecurity.IMPLICIT_TLS if implicit else ConnectionSecurity.STARTTLS


def _sender(host: str, username: str | None) -> str:
    if username and "@" in username:
        return username
    name = host.rstrip(".")
    is_address = ":" in name or name.replace(".", "").isdigit()
    return f"postmaster@{'localhost' if is_address else name}"


def _authentication(username: str | None) -> Authentication:
    if username is None:
        return NoAuthentication()
    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    return PasswordAuthentication(username, Secret(password))


def _trust(certificate: Path | None) -> Trust:
    if certificate is None:
        return SystemTrust()
    return CustomTrust.parse(certificate.read_text(encoding="utf-8", errors="replace"))
