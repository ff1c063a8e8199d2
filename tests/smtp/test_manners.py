"""A connection test leaves nothing in the logs of a server that works, and little in those of others.

What counts as bad manners is taken from the filters that fail2ban ships for Postfix, sendmail and Exim, and from
what postscreen and greet_pause punish: data before the greeting, and connections that end without QUIT.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from mailsettings.domain.connection_test import FailureCode
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, PasswordAuthentication
from mailsettings.domain.values import Secret
from mailsettings.smtp.diagnosis.inspection import GREETING_PORTS, IMPLICIT_TLS_PORTS, MAX_CONNECTIONS, KnownPorts

from support.probers import short_timeouts
from support.smtp_server import HOST, SENDER, TRUST, USERNAME, Behaviour, listening, real_server, server_context

NONE, STARTTLS, IMPLICIT = ConnectionSecurity.NONE, ConnectionSecurity.STARTTLS, ConnectionSecurity.IMPLICIT_TLS
LOGIN = PasswordAuthentication(USERNAME, Secret("canary-password-51aa"))


@dataclass
class Recorded:
    """What a server logs of its clients, in the words of Postfix."""

    port: int = 0
    connections: int = 0
    lines: list[str] = field(default_factory=list)


@asynccontextmanager
async def recording_server(  # noqa: C901  # a server's loop reads best in one piece
    greets_after: float | None = 0, *, starttls: bool = False, closes: bool = False
) -> AsyncIterator[Recorded]:
    """Greet after so many seconds, or never, and record what fail2ban's filters look for."""
    seen = Recorded()
    context = server_context(Behaviour(STARTTLS))

    async def speaks_early(reader: asyncio.StreamReader) -> bool:
        if greets_after == 0:
            return False
        try:
            data = await asyncio.wait_for(reader.read(1), greets_after)
        except TimeoutError:
            return False
        seen.lines.append("PREGREET" if data else "lost connection after CONNECT")
        return True

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        if closes or await speaks_early(reader):
            return
        writer.write(b"220 mail.example.org ESMTP\r\n")
        last = "CONNECT"
        while line := await reader.readline():
            last = line.split()[0].upper().decode("ascii", "replace") if line.split() else ""
            if last == "STARTTLS":
                writer.write(b"220 Go ahead\r\n")
                await writer.start_tls(context)
            elif last == "EHLO":
                writer.write(
                    b"250-mail.example.org\r\n"
                    + (b"250-STARTTLS\r\n" if starttls else b"")
                    + b"250 AUTH PLAIN\r\n"
                )
            elif last == "QUIT":
                writer.write(b"221 Bye\r\n")
                return
            elif last in {"AUTH", "MAIL"}:
                writer.write(b"235 OK\r\n" if last == "AUTH" else b"250 OK\r\n")
            else:
                seen.lines.append("non-SMTP command")
                return
        seen.lines.append(f"lost connection after {last}")

    async with listening(serve) as seen.port:
        yield seen


def known(greeting: int | None = None, implicit_tls: int | None = None, **usual: Any) -> KnownPorts:
    return KnownPorts(
        implicit_tls=frozenset({implicit_tls} - {None}),  # type: ignore[arg-type]
        greeting=frozenset({greeting} - {None}),  # type: ignore[arg-type]
        usual=usual.get("usual", {}),
    )


def settings(port: int, security: ConnectionSecurity = NONE) -> MailServer:
    return MailServer(HOST, port, security, SENDER, LOGIN, TRUST)


async def settled(seen: Recorded) -> None:
    """Wait until the server has seen the end of all its connections."""
    for _ in range(20):
        await asyncio.sleep(0.02)


def test_registered_ports_have_a_known_first_speaker() -> None:
    assert {465, 2465} == IMPLICIT_TLS_PORTS
    assert {25, 587, 2525, 2587} == GREETING_PORTS


@pytest.mark.parametrize("starttls", [False, True])
@pytest.mark.parametrize("greets_after", [0, 0.3, 1.2])
async def test_three_tests_leave_no_line_in_a_servers_log(
    make_prober: Any, greets_after: float, starttls: bool
) -> None:
    """fail2ban bans at five lines; a greeting delayed by several of our timeouts changes nothing."""
    async with recording_server(greets_after, starttls=starttls) as server:
        prober = make_prober(ports=known(greeting=server.port), timeouts=short_timeouts())
        security = STARTTLS if starttls else NONE
        reports = [await prober.probe(settings(server.port, security), None) for _ in range(3)]
        await settled(server)

    assert all(report.succeeded for report in reports)
    assert (server.lines, server.connections) == ([], 3)


async def test_an_unknown_port_may_greet_late(make_prober: Any) -> None:
    async with recording_server(0.4) as server:
        report = await make_prober(timeouts=short_timeouts()).probe(settings(server.port), None)
        await settled(server)

    assert report.succeeded
    assert (server.lines, server.connections) == ([], 1)


@pytest.mark.parametrize("security", [NONE, STARTTLS])
async def test_a_silent_greeting_port_receives_nothing(make_prober: Any, security: ConnectionSecurity) -> None:
    async with recording_server(None) as server:
        prober = make_prober(ports=known(greeting=server.port), timeouts=short_timeouts(0.02), deadline_seconds=3)
        report = await prober.probe(settings(server.port, security), None)
        await settled(server)

    assert report.failure is not None
    assert report.failure.code is FailureCode.DEADLINE_EXCEEDED
    assert server.lines == ["lost connection after CONNECT"]


async def test_a_server_that_closes_silently_gets_no_second_connection(make_prober: Any) -> None:
    async with recording_server(closes=True) as server:
        report = await make_prober().probe(settings(server.port), None)

    assert report.failure is not None
    assert report.failure.code is FailureCode.CONNECTION_LOST
    assert server.connections == 1


async def test_a_port_for_implicit_tls_gets_its_clienthello_early(make_prober: Any) -> None:
    """465 speaks TLS first by its nature, so that the wrong mode is known after a second."""
    async with real_server(Behaviour(IMPLICIT)) as server:
        own_timeouts = short_timeouts()
        prober = make_prober(
            ports=known(implicit_tls=server.port),
            timeouts=type(own_timeouts)(0.1, 60, 0.1, 60),
            deadline_seconds=30,
        )
        report = await prober.probe(settings(server.port, STARTTLS), None)

    assert report.failure is not None
    assert report.failure.code is FailureCode.WRONG_CONNECTION_SECURITY
    [change] = report.failure.changes
    assert change.suggested is IMPLICIT


async def test_other_ports_are_scanned_one_at_a_time(make_prober: Any) -> None:
    """However many usual ports there are and however silent: four connections, one at a time."""
    most, now = 0, 0

    async def counts(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await reader.read()
        now -= 1
        ended.append(1)

    ended: list[int] = []
    async with contextlib.AsyncExitStack() as servers:
        ports = [await servers.enter_async_context(listening(counts)) for _ in range(5)]
        prober = make_prober(ports=KnownPorts(usual=dict.fromkeys(ports, STARTTLS)), deadline_seconds=30)
        report = await prober.probe(settings(1), None)
        await asyncio.sleep(0.1)

    assert report.failure is not None
    assert report.failure.code is FailureCode.CONNECTION_REFUSED
    assert len(ended) == MAX_CONNECTIONS
    assert most == 1
    assert "none offers a better way" in report.failure.explanation


async def test_no_other_port_is_scanned_before_the_greeting(make_prober: Any) -> None:
    async with recording_server(0.4) as asked, recording_server() as other:
        prober = make_prober(ports=KnownPorts(usual={other.port: STARTTLS}), timeouts=short_timeouts())
        report = await prober.probe(settings(asked.port), None)

    assert report.succeeded
    assert other.connections == 0


async def test_scheduled_checks_scan_no_other_port(make_prober: Any) -> None:
    async with recording_server() as other:
        prober = make_prober(ports=KnownPorts(usual={other.port: STARTTLS}))
        report = await prober.without_other_ports().probe(settings(1), None)

    assert report.failure is not None
    assert report.failure.changes[0].suggested is None
    assert other.connections == 0
