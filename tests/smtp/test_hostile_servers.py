"""Hostile servers and attackers on the way: injected commands, floods, false claims of encryption."""

import asyncio
import ssl
import tracemalloc
from typing import Any

import pytest

from mailsettings.domain.certificates import CustomTrust
from mailsettings.domain.connection_test import FailureCode, ProbeStage
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, PasswordAuthentication
from mailsettings.domain.values import Secret

from support.misbehaving_server import Kind, Step, misbehaving_server
from support.smtp_server import AUTHORITY, HOST, SENDER, TRUST, USERNAME, scripted_server

CANARY = "canary-password-8d11"
LOGIN = PasswordAuthentication(USERNAME, Secret(CANARY))
STARTTLS = ConnectionSecurity.STARTTLS
MOST_BYTES = 5_000_000


async def test_commands_injected_before_tls_are_ignored_after_it(make_prober: Any) -> None:
    """Case 23. What follows the reply to STARTTLS in clear may come from an attacker (RFC 3207 4.2)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(HOST).configure_cert(context)
    heard: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org\r\n")
        await reader.readline()
        writer.write(b"250-mail.example.org\r\n250 STARTTLS\r\n")
        await reader.readline()
        writer.write(b"220 Go ahead\r\n250-evil.example\r\n250 AUTH LOGIN\r\n250 evil\r\n")
        await writer.drain()
        await writer.start_tls(context)
        for reply in (b"250-mail.example.org\r\n250 AUTH PLAIN\r\n", b"235 Yes\r\n", b"250 OK\r\n"):
            heard.append(await reader.readline())
            writer.write(reply)

    async with scripted_server(script) as server:
        settings = MailServer(HOST, server.port, STARTTLS, SENDER, LOGIN, TRUST)
        report = await make_prober().probe(settings, None)

    assert "evil" not in repr(report)
    if report.succeeded:
        greetings = [stage.observed.greeting for stage in report.stages if stage.observed.greeting]
        assert greetings[-1].mechanisms == ("PLAIN",)
        assert heard[1].startswith(b"AUTH PLAIN ")
    else:
        assert report.failure.stage is ProbeStage.SECURE
        assert not any(b"AUTH" in line for line in heard)


async def test_a_greeting_before_tls_does_not_count(make_prober: Any) -> None:
    """Case 23, where TLS begins at once."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(HOST).configure_cert(context)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 evil.example ESMTP\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)
        await writer.start_tls(context)
        await reader.read()

    async with scripted_server(script) as server:
        settings = MailServer(HOST, server.port, ConnectionSecurity.IMPLICIT_TLS, SENDER, LOGIN, TRUST)
        report = await make_prober(deadline_seconds=2).probe(settings, None)

    assert not report.succeeded
    assert "evil.example" not in repr([stage.observed for stage in report.stages])


async def test_a_login_travels_only_over_the_configured_encryption(make_prober: Any) -> None:
    """Case 21. A server that takes STARTTLS out of its offer gets no login (RFC 3207 6)."""
    heard: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org\r\n")
        while line := await reader.readline():
            heard.append(line)
            writer.write(b"250-mail.example.org\r\n250 AUTH PLAIN LOGIN CRAM-MD5\r\n")

    async with scripted_server(script) as server:
        settings = MailServer(HOST, server.port, STARTTLS, SENDER, LOGIN, TRUST)
        report = await make_prober().probe(settings, "to@example.com")

    assert report.failure is not None
    assert report.failure.code is FailureCode.STARTTLS_NOT_OFFERED
    assert not any(b"AUTH" in line or b"MAIL" in line for line in heard)


@pytest.mark.parametrize("kind", [Kind.FLOOD, Kind.LONG_LINE, Kind.GARBAGE])
@pytest.mark.parametrize("step", [Step.GREETING, Step.EHLO, Step.AUTH, Step.RCPT])
async def test_a_flood_of_replies_does_not_fill_memory(make_prober: Any, step: Step, kind: Kind) -> None:
    """Case 24."""
    prober = make_prober()
    async with misbehaving_server(ConnectionSecurity.NONE, step, kind, pipelining=True) as server:
        tracemalloc.start()
        try:
            report = await prober.probe(server.settings(LOGIN), "to@example.com")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert report.failure is not None
    assert peak < MOST_BYTES
    assert len(repr(report)) < 20_000


GREETING, EHLO, OK = b"220 hello\r\n", b"250-x\r\n250 AUTH PLAIN\r\n", b"250 OK\r\n"
IN_ADVANCE = {
    "all of the envelope": [GREETING, EHLO, b"235 Yes\r\n", b"250 OK\r\n250 OK\r\n354 Go\r\n250 Queued\r\n"],
    "the end of the message": [GREETING, EHLO, b"235 Yes\r\n", OK, OK, b"354 Go\r\n250 Queued\r\n"],
    "the login": [GREETING, EHLO + b"235 Yes\r\n", b"535 No\r\n", OK, OK, b"354 Go\r\n", OK],
    "everything": [GREETING + EHLO + b"235 Yes\r\n" + OK + OK + b"354 Go\r\n" + OK],
    "two codes, the login": [GREETING, EHLO, b"535-No\r\n235 Yes\r\n", OK, OK, b"354 Go\r\n", OK],
    "two codes, the sender": [GREETING, EHLO, b"235 Yes\r\n", b"550-No\r\n250 OK\r\n", OK, b"354 Go\r\n", OK],
    "another success for the login": [GREETING, EHLO, OK, OK, OK, b"354 Go\r\n", OK],
}


@pytest.mark.parametrize("name", IN_ADVANCE)
async def test_early_or_contradictory_replies_are_no_success(make_prober: Any, name: str) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number, words in enumerate(IN_ADVANCE[name]):
            if number:
                await reader.readline()
            writer.write(words)
        await reader.read()

    async with scripted_server(script) as server:
        settings = MailServer(HOST, server.port, ConnectionSecurity.NONE, SENDER, LOGIN)
        report = await make_prober(deadline_seconds=3).probe(settings, "to@example.com")

    assert report.failure is not None
    assert report.failure.code is not FailureCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize("line", [b"250-\r\n", b"250-x\r\n", b"\r\n", b"2\n"])
async def test_an_endless_reply_of_empty_lines_is_cut_off(make_prober: Any, line: bytes) -> None:
    """Case 24."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for words in (GREETING, EHLO, b"235 Yes\r\n"):
            writer.write(words)
            await reader.readline()
        while True:
            writer.write(line * 1000)
            await writer.drain()

    async with scripted_server(script) as server:
        settings = MailServer(HOST, server.port, ConnectionSecurity.NONE, SENDER, LOGIN)
        report = await make_prober().probe(settings, "to@example.com")

    assert report.failure is not None
    assert (report.failure.code, report.failure.stage) == (FailureCode.UNEXPECTED_REPLY, ProbeStage.SENDER)


async def test_a_broken_record_after_the_message_leaves_delivery_unknown(make_prober: Any) -> None:
    """Case 26. The message was sent; that TLS ends badly does not take it back."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(HOST).configure_cert(context)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        await reader.readline()
        writer.write(b"250-x\r\n250 STARTTLS\r\n")
        await reader.readline()
        writer.write(b"220 Go ahead\r\n")
        raw = writer.transport
        await writer.start_tls(context)
        for reply in (b"250 x\r\n", OK, OK, b"354 Go\r\n"):
            await reader.readline()
            writer.write(reply)
        while await reader.readline() != b".\r\n":
            pass
        raw.write(b"250 Queued, in clear\r\n")
        await asyncio.sleep(0.2)

    async with scripted_server(script) as server:
        settings = MailServer(HOST, server.port, STARTTLS, SENDER, trust=TRUST)
        report = await make_prober().probe(settings, "to@example.com")

    assert report.failure is not None
    assert (report.failure.code, report.failure.stage) == (FailureCode.DELIVERY_UNKNOWN, ProbeStage.CONTENT)


async def test_an_unloadable_trusted_certificate_is_reported_as_a_setting(make_prober: Any) -> None:
    async with scripted_server(lambda _reader, _writer: asyncio.sleep(0)) as server:
        settings = MailServer(HOST, server.port, STARTTLS, SENDER, trust=CustomTrust("no certificate"))
        report = await make_prober().probe(settings, None)

    assert report.failure is not None
    assert (report.failure.code, report.failure.stage) == (FailureCode.SETTING_INVALID, ProbeStage.SECURE)
    assert server.connections == 0
