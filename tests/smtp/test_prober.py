"""Connection tests against a real server: mail arrives, and failures name stage and reason."""

import email
import email.policy
from dataclasses import replace
from typing import Any

import pytest
import trustme

from mailsettings.domain.certificates import CustomTrust, SystemTrust
from mailsettings.domain.connection_test import FailureCode, Outcome, ProbeStage
from mailsettings.domain.errors import SecretUnreadable
from mailsettings.domain.mail_server import (
    AmbientCredentials,
    ConnectionSecurity,
    PasswordAuthentication,
    Sender,
)
from mailsettings.domain.setting import Setting
from mailsettings.domain.values import Secret
from mailsettings.smtp.prober import SMTPProber
from mailsettings.smtp.tls import TLSContexts

from support.smtp_server import AUTHORITY_PEM, HOST, SENDER, USERNAME, Behaviour, real_server

CANARY = "canary-password"
TO = "receiver@example.com"
LOGIN = PasswordAuthentication(USERNAME, Secret(CANARY))
SECURITIES = list(ConnectionSecurity)
ENCRYPTED = [ConnectionSecurity.STARTTLS, ConnectionSecurity.IMPLICIT_TLS]


def outcomes(report: Any) -> dict[ProbeStage, Outcome]:
    return {stage.stage: stage.outcome for stage in report.stages}


@pytest.mark.parametrize("security", SECURITIES)
async def test_a_mail_is_received(prober: SMTPProber, security: ConnectionSecurity) -> None:
    async with real_server(Behaviour(security)) as server:
        report = await prober.probe(server.settings(security), TO)

    assert report.failure is None
    assert outcomes(report)[ProbeStage.CONTENT] is Outcome.PASSED
    mail = email.message_from_bytes(server.messages[0], policy=email.policy.default)
    assert (mail["To"], mail["From"]) == (TO, f"{SENDER.display_name} <{SENDER.address}>")
    assert len(server.messages) == server.connections == 1


@pytest.mark.parametrize("security", SECURITIES)
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
async def test_every_mechanism_logs_in_with_one_attempt(
    prober: SMTPProber, security: ConnectionSecurity, mechanism: str
) -> None:
    async with real_server(Behaviour(security, CANARY, [mechanism])) as server:
        report = await prober.probe(server.settings(security, LOGIN), TO)

    assert report.failure is None
    assert server.attempts == [mechanism]
    assert len(server.messages) == 1


@pytest.mark.parametrize(
    ("security", "mechanism"), [(ConnectionSecurity.NONE, "CRAM-MD5"), *((one, "PLAIN") for one in ENCRYPTED)]
)
async def test_a_wrong_password_is_tried_once(
    prober: SMTPProber, security: ConnectionSecurity, mechanism: str
) -> None:
    """Case 27."""
    async with real_server(Behaviour(security, "another one")) as server:
        report = await prober.probe(server.settings(security, LOGIN), TO)

    failure = report.failure
    assert failure is not None
    assert (failure.code, failure.stage) == (FailureCode.AUTHENTICATION_FAILED, ProbeStage.AUTHENTICATE)
    assert failure.reply is not None
    assert (failure.reply.code, failure.reply.enhanced_code) == (535, "5.7.8")
    assert server.attempts == [mechanism]
    assert server.messages == []


@pytest.mark.parametrize("login", [None, AmbientCredentials(USERNAME)], ids=["none", "ambient"])
async def test_settings_without_a_login_try_none(prober: SMTPProber, login: Any) -> None:
    async with real_server(Behaviour(password=CANARY)) as server:
        report = await prober.probe(server.settings(login=login), TO)

    assert outcomes(report)[ProbeStage.AUTHENTICATE] is Outcome.SKIPPED
    assert server.attempts == []


async def test_without_a_recipient_no_mail_is_sent(prober: SMTPProber) -> None:
    async with real_server(Behaviour(password=CANARY)) as server:
        report = await prober.probe(server.settings(login=LOGIN), None)

    assert report.succeeded
    assert server.messages == []
    assert outcomes(report)[ProbeStage.SENDER] is Outcome.PASSED
    assert outcomes(report)[ProbeStage.CONTENT] is Outcome.SKIPPED
    assert "no mail was sent" in report.stages[-1].observed.note


REFUSALS = {
    "sender": (
        Behaviour(sender_reply="550 5.7.60 SendAsDenied"),
        FailureCode.SENDER_NOT_ALLOWED,
        ProbeStage.SENDER,
        "5.7.60",
    ),
    "recipient": (
        Behaviour(recipient_reply="550 5.1.1 Unknown"),
        FailureCode.RECIPIENT_REFUSED,
        ProbeStage.RECIPIENT,
        "5.1.1",
    ),
    "content": (Behaviour(content_reply="554 Spam"), FailureCode.MESSAGE_REFUSED, ProbeStage.CONTENT, None),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refusal_is_reported_with_its_stage_and_reply(prober: SMTPProber, name: str) -> None:
    behaviour, code, stage, enhanced_code = REFUSALS[name]
    async with real_server(behaviour) as server:
        report = await prober.probe(server.settings(), TO)

    failure = report.failure
    assert failure is not None
    assert failure.reply is not None
    assert (failure.code, failure.stage, failure.reply.enhanced_code) == (code, stage, enhanced_code)
    assert outcomes(report)[stage] is Outcome.FAILED
    assert server.messages == []


async def test_a_private_authority_is_trusted_only_when_configured(make_prober: Any, tmp_path: Any) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text(AUTHORITY_PEM)
    security = ConnectionSecurity.IMPLICIT_TLS
    async with real_server(Behaviour(security)) as server:
        settings = replace(server.settings(security), trust=SystemTrust())
        without = await make_prober().probe(settings, None)
        with_it = await make_prober(trust=TLSContexts(ca_file)).probe(settings, None)

    assert without.failure is not None
    assert without.failure.code is FailureCode.TLS_ISSUER_UNKNOWN
    assert with_it.succeeded


async def test_the_servers_own_certificate_alone_can_be_trusted(prober: SMTPProber) -> None:
    """Case 30."""
    leaf = trustme.CA().issue_cert(HOST)
    security = ConnectionSecurity.STARTTLS
    async with real_server(Behaviour(security, certificate=leaf)) as server:
        trust = CustomTrust(leaf.cert_chain_pems[0].bytes().decode())
        report = await prober.probe(replace(server.settings(security), trust=trust), None)

    assert report.succeeded


@pytest.mark.shows(FailureCode.CLEARTEXT_CREDENTIALS)
async def test_only_a_setting_allows_an_unencrypted_password(make_prober: Any) -> None:
    """Case 22."""
    async with real_server(Behaviour(password=CANARY)) as server:
        report = await make_prober(allow_cleartext_credentials=False).probe(server.settings(login=LOGIN), TO)

    assert report.failure is not None
    assert report.failure.code is FailureCode.CLEARTEXT_CREDENTIALS
    assert "MAILSETTINGS_SMTP_ALLOW_CLEARTEXT_LOGIN" in " ".join(report.failure.steps)
    assert server.connections == 0


@pytest.mark.shows(FailureCode.AUTHENTICATION_NOT_OFFERED)
async def test_a_server_without_a_known_mechanism_gets_no_login(prober: SMTPProber) -> None:
    async with real_server(Behaviour(password=CANARY, mechanisms=["XOAUTH2"])) as server:
        report = await prober.probe(server.settings(login=LOGIN), TO)

    assert report.failure is not None
    assert report.failure.code is FailureCode.AUTHENTICATION_NOT_OFFERED
    assert server.attempts == []


def _damaged() -> str:
    raise SecretUnreadable


Changes = dict[str, Any]
INVALID: dict[str, tuple[Changes, str, ProbeStage, FailureCode, Setting]] = {
    "recipient": (
        {},
        "a@b>\r\nRCPT TO:<evil@x",
        ProbeStage.RECIPIENT,
        FailureCode.SETTING_INVALID,
        Setting.RECIPIENT,
    ),
    "sender": (
        {"sender": Sender("no address")},
        TO,
        ProbeStage.SENDER,
        FailureCode.SETTING_INVALID,
        Setting.SENDER_ADDRESS,
    ),
    "no password": (
        {"authentication": PasswordAuthentication("u", None)},
        TO,
        ProbeStage.AUTHENTICATE,
        FailureCode.SETTING_INVALID,
        Setting.PASSWORD,
    ),
    "damaged": (
        {"authentication": PasswordAuthentication("u", Secret.sealed(_damaged, "label"))},
        TO,
        ProbeStage.AUTHENTICATE,
        FailureCode.SECRET_UNREADABLE,
        Setting.PASSWORD,
    ),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.shows(row[3])) for name, row in INVALID.items()]
)
async def test_unusable_settings_are_reported_before_connecting(prober: SMTPProber, name: str) -> None:
    changes, recipient, stage, code, setting = INVALID[name]
    async with real_server(Behaviour()) as server:
        report = await prober.probe(replace(server.settings(), **changes), recipient)

    assert report.failure is not None
    assert (report.failure.stage, report.failure.code, report.failure.changes[0].setting) == (stage, code, setting)
    assert server.connections == 0


async def test_ehlo_sends_the_configured_name_or_the_address(make_prober: Any) -> None:
    async with real_server(Behaviour()) as server:
        await make_prober().probe(server.settings(), TO)
        await make_prober(ehlo_name="mail-settings.example.org").probe(server.settings(), TO)
        by_address, by_name = server.greetings

    assert (by_address, by_name) == ("[127.0.0.1]", "mail-settings.example.org")
