"""Test any mail server from this machine, without a database or a running service."""

import json
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from mailsettings import settings
from mailsettings.bootstrap.outgoing import create_prober
from mailsettings.cli.command import USAGE, Failure
from mailsettings.cli.output import as_json as as_indented_json
from mailsettings.cli.running import reporting_errors, run_on_loop
from mailsettings.cli.testing.report import ReportPrinter
from mailsettings.domain.certificates import CustomTrust, SystemTrust, Trust
from mailsettings.domain.connection_test import ProbeProgress, ProbeReport, StageReport
from mailsettings.domain.errors import MailSettingsError
from mailsettings.domain.mail_server import (
    Authentication,
    ConnectionSecurity,
    MailServer,
    NoAuthentication,
    PasswordAuthentication,
    Sender,
)
from mailsettings.domain.setting import SERVICE_SETTINGS, Setting
from mailsettings.domain.values import Secret
from mailsettings.network.policy import UNRESTRICTED
from mailsettings.web.report import Vocabulary, own_report_json

PORTS = {
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
STORED_VOCABULARY = Vocabulary({setting: str(setting) for setting in Setting if setting not in SERVICE_SETTINGS})
"""The names of the settings in --json."""


def run_probe(  # noqa: PLR0913, PLR0917  # one for each option
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
) -> NoReturn:
    """Test *host*, print what happened, and exit."""
    terminal = None if as_json else ReportPrinter(show_pem=show_pem)
    with reporting_errors():
        chosen = _security(security, port)
        try:
            server = MailServer(
                host,
                port or PORTS[chosen],
                chosen,
                Sender(sender or _sender(host, username)),
                _authentication(username),
                _trust(certificate),
            )
        except MailSettingsError as error:  # a wrong value
            raise Failure(str(error), USAGE) from None
        report = run_on_loop(_probe(server, recipient, terminal))
    if terminal is None:
        click.echo(as_indented_json(members(report, STORED_VOCABULARY)))
    else:
        terminal.print_rest(members(report, PROBE_VOCABULARY))
    sys.exit(0 if report.succeeded else 1)


async def _probe(server: MailServer, recipient: str | None, terminal: ReportPrinter | None) -> ProbeReport:
    def print_stage(event: ProbeProgress) -> None:
        if terminal is not None and isinstance(event, StageReport):
            (shown,) = members(ProbeReport((event,)), PROBE_VOCABULARY)["stages"]
            terminal.print_stage(shown)

    return await create_prober(settings.read(), UNRESTRICTED).probe(server, recipient, print_stage)


def members(report: ProbeReport, words: Vocabulary) -> dict[str, Any]:
    """Return *report* as the members of its JSON, in *words*."""
    found: dict[str, Any] = json.loads(own_report_json(report, words))
    return found


def _security(security: str | None, port: int | None) -> ConnectionSecurity:
    if security is not None:
        return ConnectionSecurity(security)
    implicit = port == PORTS[ConnectionSecurity.IMPLICIT_TLS]
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
