"""A mail server that is never quite too slow is given up at the deadline of the whole test all the same."""

import asyncio
from typing import Any

from mailsettings.domain.connection_test import FailureCode
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, PasswordAuthentication
from mailsettings.domain.values import Secret

from support.canary import Canary
from support.smtp_server import HOST, SENDER, USERNAME, scripted_server
from support.timeouts import GUARD_SECONDS

DEADLINE, PAUSE = 0.9, 0.3  # all replies together take longer than the deadline, each of them less
REPLIES = [b"220 hello", b"250-x\r\n250 AUTH PLAIN", b"235 Yes", *[b"250 OK"] * 2, b"354 Go", b"250 Queued"]


async def test_replies_in_time_share_one_deadline(make_prober: Any, canary: Canary) -> None:
    """Case 25."""
    closed = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number, reply in enumerate(REPLIES):
            if number:
                await reader.readline()
            await asyncio.sleep(PAUSE)
            if reader.at_eof() or writer.is_closing():
                closed.set()
                return
            writer.write(reply + b"\r\n")

    async with scripted_server(script) as server:
        login = PasswordAuthentication(USERNAME, Secret(canary.secret))
        settings = MailServer(HOST, server.port, ConnectionSecurity.NONE, SENDER, login)
        report = await make_prober(deadline_seconds=DEADLINE).probe(settings, "to@example.org")
        await asyncio.wait_for(closed.wait(), GUARD_SECONDS)

    assert report.failure is not None
    assert report.failure.code is FailureCode.DEADLINE_EXCEEDED
    canary.assert_nowhere(repr(report))
