"""A server that knows our secret and puts it into its own names: no report repeats it."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailsettings.cli.testing.probing import STORED_VOCABULARY, members
from mailsettings.cli.testing.report import ReportPrinter
from mailsettings.domain.certificates import CustomTrust
from mailsettings.domain.connection_test import FailureCode, ProbeReport
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, PasswordAuthentication
from mailsettings.domain.setting import Setting
from mailsettings.domain.values import Secret
from mailsettings.web.report import Vocabulary, failure_sentence, own_report_json, report_json

from support.canary import Canary
from support.certificates import SelfSigned
from support.smtp_server import AUTHORITY, HOST, SENDER, TRUST, USERNAME, Behaviour, real_server, scripted_server

NONE, STARTTLS, IMPLICIT = ConnectionSecurity.NONE, ConnectionSecurity.STARTTLS, ConnectionSecurity.IMPLICIT_TLS
WORDS = Vocabulary({setting: setting.value for setting in Setting})
NAMES: dict[str, Callable[[str], tuple[str, str]]] = {
    "greeting": lambda secret: (secret, "?"),
    "EHLO": lambda secret: ("mail.example.org", f"{secret} at your service"),
    "extension": lambda secret: ("mail.example.org", f"mail.example.org\r\n250-{secret[:39]}"),
    "mechanism": lambda secret: ("mail.example.org", f"mail.example.org\r\n250-AUTH PLAIN {secret[:39]}"),
    "backwards": lambda secret: (secret[::-1], secret[::-1]),
}


@pytest.fixture
def plain() -> Canary:
    """A secret that can stand in a host name, in either case."""
    return Canary(plain=True)


def texts_of(report: ProbeReport, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """All that is made of a report: for both APIs, for a terminal, and for a traceback."""
    ReportPrinter(show_pem=True).print_rest(members(report, STORED_VOCABULARY))
    sentence = failure_sentence(report.failure, WORDS) if report.failure else ""
    return [
        report_json(report, WORDS),
        own_report_json(report, WORDS),
        sentence,
        repr(report),
        capsys.readouterr().out,
    ]


def assert_nowhere(secret: Canary, texts: list[str]) -> None:
    lower = Canary(made=secret.secret.lower())
    secret.assert_nowhere(*texts)
    lower.assert_nowhere(*(text.lower() for text in texts))


@pytest.mark.parametrize("name", NAMES)
async def test_a_server_named_like_the_password_is_not_named(
    make_prober: Any, plain: Canary, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Case 29."""
    greeting, offer = NAMES[name](plain.secret)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"220 {greeting} ESMTP\r\n".encode())
        while line := await reader.readline():
            writer.write(
                f"250-{offer}\r\n250 AUTH PLAIN\r\n".encode() if line.startswith(b"EHLO") else b"250 OK\r\n"
            )

    async with scripted_server(script) as server:
        settings = settings_of(server.port, NONE, plain)
        report = await make_prober().probe(settings, None)

    assert [stage for stage in report.stages if stage.observed.greeting]
    assert_nowhere(plain, texts_of(report, capsys))


async def test_a_size_that_is_the_password_is_left_out(make_prober: Any) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org\r\n")
        while await reader.readline():
            writer.write(b"250-mail.example.org\r\n250-SIZE 73915526\r\n250 AUTH PLAIN\r\n")

    async with scripted_server(script) as server:
        report = await make_prober().probe(settings_of(server.port, NONE, Canary(made="73915526")), None)

    assert "73915526" not in repr(report)


CERTIFICATES: dict[str, Callable[[str], Any]] = {
    "signed by itself": SelfSigned.for_name,
    "for another name": lambda secret: AUTHORITY.issue_cert(f"{secret}.example.org"),
    "for another name, backwards": lambda secret: AUTHORITY.issue_cert(f"{secret[::-1]}.example.org"),
    "of an authority that is named so": lambda secret: SelfSigned.for_name(secret, authority=True).issue(HOST),
    "with a subject that is named so": lambda secret: AUTHORITY.issue_cert("mail.example.org", common_name=secret),
    "expired": lambda secret: AUTHORITY.issue_cert(
        HOST, common_name=secret, not_before=days(-9), not_after=days(-1)
    ),
}


@pytest.mark.parametrize("security", [STARTTLS, IMPLICIT])
@pytest.mark.parametrize("name", CERTIFICATES)
async def test_a_certificate_with_the_password_is_not_shown(
    make_prober: Any,
    plain: Canary,
    capsys: pytest.CaptureFixture[str],
    name: str,
    security: ConnectionSecurity,
) -> None:
    """Case 29. Neither its names nor its PEM form, in which the secret is base64."""
    behaviour = Behaviour(security, plain.secret, certificate=CERTIFICATES[name](plain.secret))
    async with real_server(behaviour) as server:
        report = await make_prober().probe(settings_of(server.port, security, plain), None)

    assert report.failure is not None
    assert report.failure.code.startswith("tls_")
    assert [
        certificate for stage in report.stages if stage.observed.tls for certificate in stage.observed.tls.chain
    ]
    assert_nowhere(plain, texts_of(report, capsys))


async def test_a_warning_does_not_name_it_either(
    make_prober: Any, plain: Canary, capsys: pytest.CaptureFixture[str]
) -> None:
    certificate = AUTHORITY.issue_cert(HOST, common_name=plain.secret, not_after=days(9))
    async with real_server(Behaviour(IMPLICIT, plain.secret, certificate=certificate)) as server:
        report = await make_prober().probe(settings_of(server.port, IMPLICIT, plain), None)

    assert report.succeeded
    assert report.warnings
    assert_nowhere(plain, texts_of(report, capsys))


async def test_what_is_not_secret_is_shown_as_it_is(make_prober: Any, plain: Canary) -> None:
    certificate: Any = SelfSigned.for_name("mail.example.org")
    async with real_server(Behaviour(STARTTLS, plain.secret, certificate=certificate)) as server:
        refused = await make_prober().probe(settings_of(server.port, STARTTLS, plain), None)
        settings = settings_of(server.port, STARTTLS, Canary(made="certificate"))
        other = await make_prober().probe(settings, None)

    for report in (refused, other):
        assert report.failure is not None
        assert report.failure.code is FailureCode.TLS_CERTIFICATE_SELF_SIGNED
        assert "mail.example.org" in report.failure.explanation
        assert "certificate" in report.failure.explanation
        suggested = report.failure.changes[0].suggested
        assert isinstance(suggested, str)
        assert CustomTrust.parse(suggested).pem == suggested


def days(number: int) -> datetime:
    return datetime.now(UTC) + timedelta(days=number)


def settings_of(port: int, security: ConnectionSecurity, secret: Canary) -> MailServer:
    return MailServer(HOST, port, security, SENDER, PasswordAuthentication(USERNAME, Secret(secret.secret)), TRUST)
