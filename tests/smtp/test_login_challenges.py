"""Login challenges: with and without an initial response, in any order and wording."""

import asyncio
import base64
import socket
from collections.abc import Sequence
from typing import Any

import pytest

from mailsettings.domain.connection_test import FailureCode
from mailsettings.domain.mail_server import (
    ConnectionSecurity,
    MailServer,
    PasswordAuthentication,
)
from mailsettings.domain.values import Secret
from mailsettings.smtp.login import log_in_by_token
from mailsettings.smtp.session import Session

from support.smtp_server import HOST, SENDER, USERNAME, ScriptedServer, scripted_server

CANARY = "canary-password-0d7e"
NAME_64 = base64.b64encode(USERNAME.encode())
SECRET_64 = base64.b64encode(CANARY.encode())
PLAIN_64 = base64.b64encode(f"\0{USERNAME}\0{CANARY}".encode())
ASKS_NAME = b"334 " + base64.b64encode(b"Username:")
ASKS_PASSWORD = b"334 " + base64.b64encode(b"Password:")
LOGIN = PasswordAuthentication(USERNAME, Secret(CANARY))


def offering(mechanism: bytes, *replies: bytes) -> Any:
    """A server that offers *mechanism* and answers the lines of the login with *replies*, then takes mail."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org ESMTP\r\n")
        await reader.readline()
        writer.write(b"250-mail.example.org\r\n250 AUTH " + mechanism + b"\r\n")
        for reply in replies:
            await reader.readline()
            writer.write(reply + b"\r\n")
        while (line := await reader.readline()) and not line.startswith(b"QUIT"):
            writer.write(b"250 OK\r\n")

    return script


async def attempt(make_prober: Any, mechanism: bytes, *replies: bytes) -> tuple[Any, ScriptedServer]:
    async with scripted_server(offering(mechanism, *replies)) as server:
        settings = MailServer(HOST, server.port, ConnectionSecurity.NONE, SENDER, LOGIN)
        report = await make_prober().probe(settings, None)
    return report, server


YES = b"235 OK"
WORKING: dict[str, tuple[bytes, Sequence[bytes]]] = {
    "as usual": (b"LOGIN", [ASKS_NAME, ASKS_PASSWORD, YES]),
    "asks for the name twice": (b"LOGIN", [ASKS_NAME, ASKS_NAME, ASKS_PASSWORD, YES]),
    "without base64": (b"LOGIN", [b"334 Username:", b"334 Password:", YES]),
    "in other words": (
        b"LOGIN",
        [b"334 " + base64.b64encode(b"User Name\0"), b"334 " + base64.b64encode(b"Password\0"), YES],
    ),
    "without words": (b"LOGIN", [b"334 ", b"334 ", YES]),
    "PLAIN at once": (b"PLAIN", [YES]),
    "PLAIN without an argument": (b"PLAIN", [b"501 5.5.4 Syntax error", b"334 ", YES]),
    "PLAIN with no such parameter": (b"PLAIN", [b"504 5.5.4 Not implemented", b"334 ", YES]),
    "PLAIN asks all the same": (b"PLAIN", [b"334 ", YES]),
    "PLAIN asks in words": (b"PLAIN", [b"334 ok. go on", YES]),
}


@pytest.mark.parametrize("name", WORKING)
async def test_a_login_works_with_every_challenge_style(make_prober: Any, name: str) -> None:
    mechanism, replies = WORKING[name]
    report, server = await attempt(make_prober, mechanism, *replies)

    assert report.succeeded, report.failure
    lines = [line.strip() for line in server.heard]
    answers = dict(zip(lines[1:], replies, strict=False))
    assert SECRET_64 not in answers or answers[SECRET_64] == YES


@pytest.mark.parametrize("asks", [ASKS_NAME, b"334 Username:", b"334 " + base64.b64encode(b"Login:")])
async def test_the_password_is_never_sent_as_a_user_name(make_prober: Any, asks: bytes) -> None:
    """A server that only ever asks for the name gets the name, and no password."""
    report, server = await attempt(make_prober, b"LOGIN", asks, asks, asks, asks, asks)

    assert report.failure is not None
    assert report.failure.code is not FailureCode.INTERNAL
    heard = b"".join(server.heard)
    assert NAME_64 in heard
    assert SECRET_64 not in heard


@pytest.mark.parametrize("code", [b"501 5.5.4 No", b"504 5.5.4 Unrecognized authentication type"])
async def test_a_mechanism_refused_twice_is_reported(make_prober: Any, code: bytes) -> None:
    report, server = await attempt(make_prober, b"PLAIN", code, code)

    assert report.failure is not None
    assert report.failure.reply is not None
    assert PLAIN_64 in b"".join(server.heard)
    assert b"".join(server.heard).count(PLAIN_64) == 1


@pytest.mark.parametrize(("length", "lines"), [(100, 1), (2000, 2)])
async def test_a_long_token_waits_for_the_challenge(length: int, lines: int) -> None:
    """RFC 4954 4: an AUTH command of more than 512 octets is too long; Microsoft's tokens are."""
    token = "t" * length
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.org\r\n")
        heard.append(await reader.readline())
        if lines == 2:
            writer.write(b"334 \r\n")
            heard.append(await reader.readline())
        writer.write(b"235 OK\r\n")
        await reader.read()

    async with scripted_server(serve) as server:
        reader_socket = await connected(server.port)
        session = await Session.open(reader_socket, host=HOST, context=None, ehlo_name="client.example.org")
        await session.greeting()
        answer = await log_in_by_token(session, USERNAME, token)
        session.close()

    assert answer.code == 235
    assert len(heard) == lines
    assert len(heard[0]) <= 512


async def connected(port: int) -> Any:
    sock = socket.socket()
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (HOST, port))
    return sock
