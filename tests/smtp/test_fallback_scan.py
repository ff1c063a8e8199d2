"""The fallback scan finds the right security of a port, and the right port of a host."""

import asyncio
import contextlib
import select
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from mailsettings.domain.connection_test import (
    FailureCode,
    ProbeBegun,
    ProbeProgress,
    ProbeReport,
    ProbeStage,
    ScanBegun,
    StageReport,
    SuggestedChange,
)
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, PasswordAuthentication
from mailsettings.domain.setting import Setting
from mailsettings.domain.values import Secret
from mailsettings.network.policy import EgressPolicy
from mailsettings.smtp.prober import MAX_CONCURRENT_SCANS

from support.probers import short_timeouts
from support.smtp_server import (
    HOST,
    SENDER,
    TRUST,
    USERNAME,
    Behaviour,
    Script,
    real_server,
    says,
    scripted_server,
    server_context,
    stays_silent,
)
from support.timeouts import GUARD_SECONDS, scaled

NONE, STARTTLS, IMPLICIT = ConnectionSecurity.NONE, ConnectionSecurity.STARTTLS, ConnectionSecurity.IMPLICIT_TLS
CANARY = "canary-password-77a0"
LOGIN = PasswordAuthentication(USERNAME, Secret(CANARY))
HELLO = b"220 mail.example.org ESMTP"
WRONG = FailureCode.WRONG_CONNECTION_SECURITY
NOT_OFFERED = FailureCode.STARTTLS_NOT_OFFERED


def suggestion(report: ProbeReport, setting: Setting) -> SuggestedChange:
    assert report.failure is not None
    return next(change for change in report.failure.changes if change.setting is setting)


MODES = [
    (IMPLICIT, NONE, WRONG, ProbeStage.GREET, IMPLICIT),
    (IMPLICIT, STARTTLS, WRONG, ProbeStage.GREET, IMPLICIT),
    (STARTTLS, IMPLICIT, WRONG, ProbeStage.SECURE, STARTTLS),
    (NONE, IMPLICIT, WRONG, ProbeStage.SECURE, None),
    (NONE, STARTTLS, NOT_OFFERED, ProbeStage.SECURE, None),
]


@pytest.mark.shows(WRONG)
@pytest.mark.shows(NOT_OFFERED)
@pytest.mark.parametrize(("spoken", "configured", "code", "stage", "suggested"), MODES)
async def test_the_ports_security_is_suggested_without_a_login(
    make_prober: Any,
    spoken: ConnectionSecurity,
    configured: ConnectionSecurity,
    code: FailureCode,
    stage: ProbeStage,
    suggested: ConnectionSecurity | None,
) -> None:
    prober = make_prober()
    async with real_server(Behaviour(spoken, CANARY)) as server:
        report = await prober.probe(replace(server.settings(spoken, LOGIN), security=configured), None)

    assert report.failure is not None
    assert (report.failure.code, report.failure.stage) == (code, stage)
    change = suggestion(report, Setting.SECURITY)
    assert (change.current, change.suggested) == (configured, suggested)
    assert server.attempts == []


@pytest.mark.parametrize("configured", [IMPLICIT, STARTTLS])
async def test_no_encryption_is_suggested_only_without_a_login(
    make_prober: Any, configured: ConnectionSecurity
) -> None:
    async with real_server(Behaviour(NONE)) as server:
        report = await make_prober().probe(replace(server.settings(), security=configured), None)

    assert suggestion(report, Setting.SECURITY).suggested is NONE


async def test_a_timely_greeting_counts_despite_a_scan(make_prober: Any) -> None:
    looked = asyncio.Event()

    async def greets_once_looked_at(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if server.connections > 1:
            looked.set()
            await stays_silent(reader, writer)
        await looked.wait()
        await says(HELLO, b"250 mail.example.org", b"250 OK")(reader, writer)

    async with scripted_server(greets_once_looked_at) as server:
        settings = MailServer(HOST, server.port, NONE, SENDER)
        report = await make_prober(timeouts=replace(short_timeouts(), grace=30)).probe(settings, None)

    assert report.succeeded


async def test_the_right_mode_is_found_before_the_deadline(make_prober: Any) -> None:
    loop = asyncio.get_running_loop()
    async with real_server(Behaviour(IMPLICIT)) as server:
        begun = loop.time()
        settings = replace(server.settings(), security=NONE)
        report = await make_prober(deadline_seconds=600).probe(settings, None)
        took = loop.time() - begun

    assert report.failure is not None
    assert report.failure.code is WRONG
    assert took < GUARD_SECONDS  # three seconds on a machine that is not busy, far from the deadline on any


Respond = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def web_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readline()
    writer.write(b"HTTP/1.1 400 Bad Request\r\nServer: canary\r\n\r\n")


FOREIGN: dict[str, tuple[Script, str]] = {
    "HTTP": (web_server, "HTTP"),
    "HTTP at once": (says(b"HTTP/1.1 400 canary\r\n\r\n<html>"), "HTTP"),
    "SSH": (says(b"SSH-2.0-canary"), "SSH"),
    "FTP": (says(b"220 canary FTP server ready", b"500 canary"), "FTP"),
    "POP3": (says(b"+OK canary ready", then=stays_silent), "POP3"),
    "IMAP": (says(b"* OK [CAPABILITY IMAP4rev1] canary ready", then=stays_silent), "IMAP"),
    "NNTP": (says(b"200 canary news server ready (NNTP)", then=stays_silent), "NNTP"),
    "LMTP": (says(b"220 canary LMTP", b"500 canary"), "LMTP"),
}


@pytest.mark.shows(FailureCode.NOT_SMTP)
@pytest.mark.parametrize("security", [NONE, IMPLICIT])
@pytest.mark.parametrize("name", FOREIGN)
async def test_another_protocol_is_named_without_echoing_it(
    make_prober: Any, name: str, security: ConnectionSecurity
) -> None:
    script, protocol = FOREIGN[name]
    async with scripted_server(script) as server:
        settings = MailServer(HOST, server.port, security, SENDER, LOGIN, TRUST)
        report = await make_prober().probe(settings, None)

    assert report.failure is not None
    assert report.failure.code is FailureCode.NOT_SMTP
    assert f"speaks {protocol}," in report.failure.explanation
    assert "canary" not in report.failure.explanation
    assert b"".join(server.heard).count(b"AUTH") == 0


async def test_a_closed_port_suggests_the_best_open_port(make_prober: Any) -> None:
    async with real_server(Behaviour(NONE)) as plain, real_server(Behaviour(STARTTLS)) as secured:
        usual = {plain.port: STARTTLS, secured.port: STARTTLS}
        settings = replace(plain.settings(NONE, LOGIN), port=1)
        events: list[ProbeProgress] = []
        report = await make_prober(usual_ports=usual).probe(settings, None, events.append)

    assert report.failure is not None
    assert report.failure.code is FailureCode.CONNECTION_REFUSED
    assert [type(event) for event in events] == [ProbeBegun, StageReport, ScanBegun, StageReport]
    assert suggestion(report, Setting.PORT).suggested == secured.port
    assert suggestion(report, Setting.SECURITY).suggested is STARTTLS
    assert f"port {secured.port} of this host answers" in report.failure.explanation
    assert secured.attempts == plain.attempts == []


async def test_missing_starttls_suggests_a_port_with_implicit_tls(make_prober: Any) -> None:
    async with real_server(Behaviour(NONE)) as plain, real_server(Behaviour(IMPLICIT)) as secured:
        settings = replace(plain.settings(NONE, LOGIN), security=STARTTLS)
        report = await make_prober(usual_ports={secured.port: IMPLICIT}).probe(settings, None)

    assert report.failure is not None
    assert report.failure.code is NOT_OFFERED
    assert suggestion(report, Setting.PORT).suggested == secured.port
    assert suggestion(report, Setting.SECURITY).suggested is IMPLICIT


async def test_a_silent_port_suggests_another_at_the_deadline(make_prober: Any) -> None:
    async with scripted_server(stays_silent) as silent, real_server(Behaviour(STARTTLS)) as secured:
        prober = make_prober(usual_ports={secured.port: STARTTLS}, deadline_seconds=scaled(3))
        report = await prober.probe(MailServer(HOST, silent.port, STARTTLS, SENDER), None)

    assert report.failure is not None
    assert report.failure.code is FailureCode.DEADLINE_EXCEEDED
    assert suggestion(report, Setting.PORT).suggested == secured.port


async def test_a_forbidden_port_is_not_scanned(make_prober: Any) -> None:
    async with real_server(Behaviour(STARTTLS)) as secured:
        egress = EgressPolicy(make_prober.loopback, frozenset({1}))
        prober = make_prober(usual_ports={secured.port: STARTTLS}, egress=egress)
        report = await prober.probe(replace(secured.settings(), port=1), None)

    assert report.failure is not None
    assert suggestion(report, Setting.PORT).suggested is None
    assert secured.connections == 0


@pytest.mark.shows(FailureCode.TLS_VERSION_TOO_OLD)
async def test_an_old_tls_version_is_reported(make_prober: Any) -> None:
    for security in (STARTTLS, IMPLICIT):
        async with real_server(Behaviour(security, CANARY, oldest_tls=True)) as server:
            report = await make_prober().probe(server.settings(security, LOGIN), None)

        assert report.failure is not None
        assert (report.failure.code, report.failure.stage) == (
            FailureCode.TLS_VERSION_TOO_OLD,
            ProbeStage.SECURE,
        )
        assert server.attempts == []


async def test_a_slow_handshake_on_the_right_port_may_finish(make_prober: Any) -> None:
    context, loop = server_context(Behaviour(IMPLICIT)), asyncio.get_running_loop()
    listening = socket.create_server((HOST, 0))
    listening.setblocking(False)

    async def shake_hands_late(sock: socket.socket) -> None:
        await asyncio.sleep(1)
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, sock, ssl=context)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        await says(HELLO, b"250 mail.example.org", b"250 OK")(reader, writer)
        writer.close()

    async def serve() -> None:
        with contextlib.ExitStack() as others:
            first, _ = await loop.sock_accept(listening)
            async with asyncio.TaskGroup() as group:
                group.create_task(shake_hands_late(first))
                while True:
                    others.enter_context((await loop.sock_accept(listening))[0])

    serving = asyncio.create_task(serve())
    settings = MailServer(HOST, listening.getsockname()[1], IMPLICIT, SENDER, trust=TRUST)
    report = await make_prober().probe(settings, None)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    listening.close()

    assert report.succeeded


async def test_a_port_with_both_modes_has_time_to_greet(make_prober: Any) -> None:
    """Some ports wait for TLS first, and greet in clear when none comes."""
    context = server_context(Behaviour(IMPLICIT))

    async def waits_for_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transport: Any = writer.transport
        transport.pause_reading()
        sock = writer.get_extra_info("socket")
        await asyncio.sleep(0.5)
        if sock.recv(1, socket.MSG_PEEK) if readable(sock) else b"":
            transport.resume_reading()
            await writer.start_tls(context)
        else:
            transport.resume_reading()
        await says(HELLO, b"250 mail.example.org", b"250 OK")(reader, writer)

    async with scripted_server(waits_for_tls) as server:
        settings = MailServer(HOST, server.port, NONE, SENDER)
        report = await make_prober().probe(settings, None)

    assert report.succeeded


def readable(sock: Any) -> bool:
    return bool(select.select([sock.fileno()], [], [], 0)[0])


async def test_an_unencrypted_port_is_not_suggested_with_a_login(make_prober: Any) -> None:
    async with real_server(Behaviour(NONE)) as plain:
        prober = make_prober(usual_ports={plain.port: STARTTLS})
        with_login = await prober.probe(replace(plain.settings(STARTTLS, LOGIN), port=1), None)
        without = await prober.probe(replace(plain.settings(STARTTLS), port=1), None)

    assert suggestion(with_login, Setting.PORT).suggested is None
    assert suggestion(without, Setting.PORT).suggested == plain.port
    assert suggestion(without, Setting.SECURITY).suggested is NONE


async def test_silence_after_the_greeting_starts_no_scan(make_prober: Any) -> None:
    async def greets_late_and_stops(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(1)
        await says(HELLO, b"250-mail.example.org\r\n250 AUTH PLAIN", then=stays_silent)(reader, writer)

    async with scripted_server(greets_late_and_stops) as slow, real_server(Behaviour(STARTTLS)) as secured:
        prober = make_prober(usual_ports={secured.port: STARTTLS}, deadline_seconds=scaled(3))
        report = await prober.probe(MailServer(HOST, slow.port, NONE, SENDER, LOGIN), None)

    assert report.failure is not None
    assert (report.failure.code, report.failure.stage) == (
        FailureCode.DEADLINE_EXCEEDED,
        ProbeStage.AUTHENTICATE,
    )
    assert [change.setting for change in report.failure.changes] == [Setting.DEADLINE]


async def test_a_scan_result_is_reported_at_the_deadline(make_prober: Any) -> None:
    async with real_server(Behaviour(IMPLICIT)) as server:
        settings = replace(server.settings(), security=NONE)
        report = await make_prober(deadline_seconds=1).probe(settings, None)

    assert report.failure is not None
    assert report.failure.code is WRONG
    assert suggestion(report, Setting.SECURITY).suggested is IMPLICIT


async def test_a_port_is_inspected_once(make_prober: Any) -> None:
    async with real_server(Behaviour(IMPLICIT)) as server:
        settings = replace(server.settings(), security=NONE)
        await make_prober().probe(settings, None)

    assert server.connections <= 3  # ours, and one look in either mode


async def test_a_failure_without_a_scan_is_reported_at_once(make_prober: Any) -> None:
    """However many others are looking around at their silent servers."""
    prober = make_prober(deadline_seconds=10 * GUARD_SECONDS)
    async with scripted_server(stays_silent) as silent, real_server(Behaviour(NONE, CANARY)) as server:
        waiting = MailServer(HOST, silent.port, NONE, SENDER)
        others = [asyncio.create_task(prober.probe(waiting, None)) for _ in range(MAX_CONCURRENT_SCANS + 1)]
        await asyncio.sleep(0.3)
        wrong = PasswordAuthentication(USERNAME, Secret("another-password"))
        async with asyncio.timeout(GUARD_SECONDS):
            report = await prober.probe(server.settings(NONE, wrong), None)
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    assert report.failure is not None
    assert report.failure.code is FailureCode.AUTHENTICATION_FAILED
