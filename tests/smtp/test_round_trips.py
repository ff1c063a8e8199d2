"""No round trip more than the protocol needs: with PIPELINING the envelope takes one."""

import asyncio
from typing import Any

import pytest

from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, PasswordAuthentication
from mailsettings.domain.values import Secret

from support.smtp_server import HOST, SENDER, USERNAME, scripted_server

REPLIES = {b"EHLO": b"250-x\r\n%b250 AUTH PLAIN\r\n", b"AUTH": b"235 Yes\r\n", b"DATA": b"354 Go\r\n"}
PIPELINED = [[b"EHLO"], [b"AUTH"], [b"MAIL", b"RCPT", b"DATA"], [b"From"], [b"QUIT"]]
ONE_BY_ONE = [[b"EHLO"], [b"AUTH"], [b"MAIL"], [b"RCPT"], [b"DATA"], [b"From"], [b"QUIT"]]


@pytest.mark.parametrize(("offer", "expected"), [(b"250-PIPELINING\r\n", PIPELINED), (b"", ONE_BY_ONE)])
async def test_pipelined_commands_share_one_packet(
    make_prober: Any, offer: bytes, expected: list[list[bytes]]
) -> None:
    flights: list[list[bytes]] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        while data := await reader.read(65536):
            lines = data.splitlines()
            flights.append([lines[0][:4]] if data.endswith(b"\r\n.\r\n") else [line[:4] for line in lines])
            for word in flights[-1]:
                reply = REPLIES.get(word, b"250 OK\r\n")
                writer.write(reply % offer if b"%b" in reply else reply)

    login = PasswordAuthentication(USERNAME, Secret("canary-password"))
    async with scripted_server(script) as server:
        settings = MailServer(HOST, server.port, ConnectionSecurity.NONE, SENDER, login)
        report = await make_prober().probe(settings, "to@example.com")
        await asyncio.sleep(0.05)  # for the farewell, which the answer does not wait for

    assert report.succeeded
    assert flights == expected
