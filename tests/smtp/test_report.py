"""The details of a report: observations of each stage, and warnings."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailsettings.domain.connection_test import (
    FailureCode,
    Outcome,
    ProbeReport,
    ProbeStage,
    StageObservation,
    WarningCode,
)
from mailsettings.domain.findings import FAILURES, WARNINGS
from mailsettings.domain.mail_server import ConnectionSecurity, PasswordAuthentication
from mailsettings.domain.values import Secret

from support.smtp_server import AUTHORITY, HOST, SENDER, USERNAME, Behaviour, real_server, says, scripted_server

CANARY = "canary-password-5d3e"
STARTTLS, IMPLICIT = ConnectionSecurity.STARTTLS, ConnectionSecurity.IMPLICIT_TLS
ORDER = {
    ConnectionSecurity.NONE: [ProbeStage.GREET, ProbeStage.SECURE],
    STARTTLS: [ProbeStage.GREET, ProbeStage.SECURE],
    IMPLICIT: [ProbeStage.SECURE, ProbeStage.GREET],
}


def login(username: str = USERNAME) -> PasswordAuthentication:
    return PasswordAuthentication(username, Secret(CANARY))


def seen(report: ProbeReport, stage: ProbeStage) -> StageObservation:
    return next(one.observed for one in report.stages if one.stage is stage)


@pytest.mark.parametrize("security", ConnectionSecurity)
async def test_stages_are_reported_in_the_order_of_the_connection(
    prober: Any, security: ConnectionSecurity
) -> None:
    async with real_server(Behaviour(security, CANARY)) as server:
        report = await prober.probe(server.settings(security, login()), "to@example.com")

    assert [stage.stage for stage in report.stages] == [
        ProbeStage.RESOLVE,
        ProbeStage.CONNECT,
        *ORDER[security],
        ProbeStage.AUTHENTICATE,
        ProbeStage.SENDER,
        ProbeStage.RECIPIENT,
        ProbeStage.CONTENT,
    ]
    skipped = [stage.stage for stage in report.stages if stage.outcome is Outcome.SKIPPED]
    assert skipped == ([ProbeStage.SECURE] if security is ConnectionSecurity.NONE else [])
    assert report.milliseconds >= sum(stage.milliseconds for stage in report.stages) - len(report.stages)


async def test_each_stage_reports_what_it_observed(prober: Any) -> None:
    async with real_server(Behaviour(STARTTLS, CANARY, mechanisms=["PLAIN", "LOGIN"])) as server:
        report = await prober.probe(server.settings(STARTTLS, login()), "to@example.com")

    assert seen(report, ProbeStage.RESOLVE).note == HOST
    assert [(one.address, one.connected) for one in seen(report, ProbeStage.CONNECT).attempts] == [(HOST, True)]
    greeting = seen(report, ProbeStage.GREET).greeting
    assert greeting is not None
    assert (greeting.name, greeting.size_limit) == ("mail.example.org", 33554432)
    assert greeting.offers("STARTTLS")
    secured = seen(report, ProbeStage.SECURE)
    assert secured.tls is not None
    assert secured.tls.cipher
    assert secured.greeting is not None
    assert set(secured.greeting.mechanisms) == {"PLAIN", "LOGIN"}
    assert seen(report, ProbeStage.AUTHENTICATE).mechanism == "PLAIN"
    reply = seen(report, ProbeStage.CONTENT).reply
    assert reply is not None
    assert (reply.code, reply.enhanced_code, reply.text) == (250, "2.0.0", "Queued")


async def test_extensions_are_accepted_only_as_keywords_and_numbers(prober: Any) -> None:
    offers = b"250-mail.example.org \x1b[31mhi\r\n250-\x1b[31mBAD\r\n250-SIZE 99999999999999999999\r\n250 8BITMIME"
    async with scripted_server(says(b"220 hello", offers, b"250 OK")) as server:
        settings = replace((await fresh(server.port)), security=ConnectionSecurity.NONE)
        report = await prober.probe(settings, None)

    greeting = seen(report, ProbeStage.GREET).greeting
    assert greeting is not None
    assert (greeting.name, greeting.extensions, greeting.size_limit) == (
        "mail.example.org",
        ("SIZE", "8BITMIME"),
        None,
    )
    assert "\x1b" not in repr(report)


async def fresh(port: int) -> Any:
    async with real_server(Behaviour()) as server:
        return replace(server.settings(), port=port)


async def warnings(prober: Any, behaviour: Behaviour, **changes: Any) -> list[WarningCode]:
    async with real_server(behaviour) as server:
        report = await prober.probe(replace(server.settings(behaviour.security), **changes), None)
    assert report.succeeded
    return [warning.code for warning in report.warnings]


async def test_a_sound_server_gets_no_warning(prober: Any) -> None:
    assert await warnings(prober, Behaviour(IMPLICIT, CANARY), authentication=login()) == []


@pytest.mark.shows(WarningCode.CREDENTIALS_IN_CLEAR)
async def test_an_unencrypted_login_causes_a_warning(prober: Any) -> None:
    """Case 22, where a setting allows it."""
    found = await warnings(prober, Behaviour(password=CANARY), authentication=login())

    assert found == [WarningCode.CREDENTIALS_IN_CLEAR]


@pytest.mark.shows(WarningCode.SENDER_DOMAIN_DIFFERS)
@pytest.mark.parametrize(
    ("username", "expected"),
    [("a@example.com", [WarningCode.SENDER_DOMAIN_DIFFERS]), ("a@Example.ORG", []), ("alice", [])],
)
async def test_a_sender_of_another_domain_causes_a_warning(
    prober: Any, username: str, expected: list[WarningCode]
) -> None:
    behaviour = Behaviour(IMPLICIT, CANARY, username=username)

    assert await warnings(prober, behaviour, authentication=login(username), sender=SENDER) == expected


@pytest.mark.shows(WarningCode.TLS_BELOW_1_3)
async def test_tls_1_2_causes_a_warning(prober: Any) -> None:
    assert await warnings(prober, Behaviour(STARTTLS, tls_1_2=True)) == [WarningCode.TLS_BELOW_1_3]


@pytest.mark.shows(WarningCode.CERTIFICATE_EXPIRES_SOON)
@pytest.mark.parametrize(("days", "warned"), [(29, True), (31, False)])
async def test_a_certificate_that_expires_soon_causes_a_warning(prober: Any, days: int, warned: bool) -> None:
    certificate = AUTHORITY.issue_cert(HOST, not_after=datetime.now(UTC) + timedelta(days, hours=1))
    found = await warnings(prober, Behaviour(IMPLICIT, certificate=certificate))

    assert found == ([WarningCode.CERTIFICATE_EXPIRES_SOON] if warned else [])


def test_every_code_has_a_meaning_and_a_step() -> None:
    assert set(FAILURES) == set(FailureCode)
    assert set(WARNINGS) == set(WarningCode)
    assert all(meaning.steps and meaning.stages and meaning.title for meaning in FAILURES.values())
