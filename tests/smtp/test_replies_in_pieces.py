"""Packet boundaries do not change how a reply is read."""

import asyncio
from typing import Any

import pytest

from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, PasswordAuthentication
from mailsettings.domain.values import Secret

from support.smtp_server import HOST, SENDER, USERNAME, listening

GREETING = b"220-mail.example.org\r\n220 ESMTP\r\n"
EHLO = b"250-mail.example.org\r\n250-SIZE 1000\r\n250-AUTH PLAIN\r\n250 HELP\r\n"
LOGIN = PasswordAuthentication(USERNAME, Secret("canary-password-8c1f"))


async def in_two(writer: asyncio.StreamWriter, reply: bytes, cut: int) -> None:
    writer.write(reply[:cut])
    await writer.drain()
    await asyncio.sleep(0.005)
    writer.write(reply[cut:])


def cutting(cut: int, ending: bytes) -> Any:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await in_two(writer, GREETING.replace(b"\r\n", ending), cut % len(GREETING))
        await reader.readline()
        await in_two(writer, EHLO.replace(b"\r\n", ending), cut)
        for reply in (b"235-2.7.0 You are\r\n235 2.7.0 in\r\n", b"250-2.1.0 Sender\r\n250 2.1.0 OK\r\n"):
            await reader.readline()
            await in_two(writer, reply.replace(b"\r\n", ending), cut % len(reply))
        await reader.readline()

    return serve


@pytest.mark.parametrize("ending", [b"\r\n", b"\n"], ids=["CRLF", "LF"])
async def test_every_cut_of_a_reply_gives_the_same_report(make_prober: Any, ending: bytes) -> None:
    prober = make_prober()
    seen = []
    for cut in range(1, len(EHLO.replace(b"\r\n", ending))):
        async with listening(cutting(cut, ending)) as port:
            report = await prober.probe(MailServer(HOST, port, ConnectionSecurity.NONE, SENDER, LOGIN), None)
        assert report.succeeded, (cut, report.failure)
        [greet] = [stage.observed.greeting for stage in report.stages if stage.observed.greeting]
        seen.append((greet.extensions, greet.mechanisms, greet.size_limit))

    assert set(seen) == {(("SIZE", "AUTH", "HELP"), ("PLAIN",), 1000)}
