"""Servers that lie, stall and stop: each ends within the deadline, with the code that says what it was."""

import asyncio
import base64
from typing import Any

import pytest

from mailsettings.domain.mail_server import (
    ConnectionSecurity,
    MailServer,
    NoAuthentication,
    PasswordAuthentication,
)
from mailsettings.domain.probe import FailureCode, Outcome, ProbeStage
from mailsettings.domain.secret import Secret

from smtp_server import (
    HOST,
    SENDER,
    TRUST,
    USERNAME,
    Script,
    never_stops,
    one_byte_at_a_time,
    says,
    scripted_server,
    stays_silent,
    takes_the_message,
)

CANARY = "canary-password-1b7e"
TO = "receiver@example.com"
LOGIN = PasswordAuthentication(USERNAME, Secret(CANARY))
DEADLINE = 0.5
OVERSHOOT = 2.0
EHLO = b"250-mail.example.org\r\n250 AUTH PLAIN"
OFFER = b"250-mail.example.org\r\n250-STARTTLS\r\n250 AUTH PLAIN"
HELLO = b"220 mail.example.org ESMTP"
OK = b"250 2.0.0 OK"
YES = b"235 2.7.0 Yes"
GO = b"220 2.0.0 Go"
TOO_LATE = FailureCode.DEADLINE_EXCEEDED
UNKNOWN = FailureCode.DELIVERY_UNKNOWN
NONE, STARTTLS, IMPLICIT = ConnectionSecurity.NONE, ConnectionSecurity.STARTTLS, ConnectionSecurity.IMPLICIT_TLS

CASES: dict[str, tuple[Script, ConnectionSecurity, FailureCode, ProbeStage]] = {
    "never greets": (stays_silent, NONE, TOO_LATE, ProbeStage.GREET),
    "never shakes hands": (stays_silent, IMPLICIT, TOO_LATE, ProbeStage.SECURE),
    "one byte at a time": (one_byte_at_a_time, NONE, TOO_LATE, ProbeStage.GREET),
    "silent after the greeting": (says(HELLO, then=stays_silent), NONE, TOO_LATE, ProbeStage.GREET),
    "silent at STARTTLS": (says(HELLO, OFFER, then=stays_silent), STARTTLS, TOO_LATE, ProbeStage.SECURE),
    "silent in the handshake": (says(HELLO, OFFER, GO, then=stays_silent), STARTTLS, TOO_LATE, ProbeStage.SECURE),
    "silent at AUTH": (says(HELLO, EHLO, then=stays_silent), NONE, TOO_LATE, ProbeStage.AUTHENTICATE),
    "silent at MAIL": (says(HELLO, EHLO, YES, then=stays_silent), NONE, TOO_LATE, ProbeStage.SENDER),
    "silent at RCPT": (says(HELLO, EHLO, YES, OK, then=stays_silent), NONE, TOO_LATE, ProbeStage.RECIPIENT),
    # Whether the message was still to come or on its way cannot be told from here, so the worse is assumed.
    "silent at DATA": (says(HELLO, EHLO, YES, OK, OK, then=stays_silent), NONE, UNKNOWN, ProbeStage.CONTENT),
    "silent after the dot": (
        says(HELLO, EHLO, YES, OK, OK, b"354 Go", then=stays_silent),
        NONE,
        UNKNOWN,
        ProbeStage.CONTENT,
    ),
    "closes at once": (says(), NONE, FailureCode.CONNECTION_LOST, ProbeStage.GREET),
    "closes after the greeting": (says(HELLO), NONE, FailureCode.CONNECTION_LOST, ProbeStage.GREET),
    "closes at STARTTLS": (says(HELLO, OFFER), STARTTLS, FailureCode.CONNECTION_LOST, ProbeStage.SECURE),
    "closes at AUTH": (says(HELLO, EHLO), NONE, FailureCode.CONNECTION_LOST, ProbeStage.AUTHENTICATE),
    "closes at MAIL": (says(HELLO, EHLO, YES), NONE, FailureCode.CONNECTION_LOST, ProbeStage.SENDER),
    "closes at RCPT": (says(HELLO, EHLO, YES, OK), NONE, FailureCode.CONNECTION_LOST, ProbeStage.RECIPIENT),
    "closes after the dot": (
        says(HELLO, EHLO, YES, OK, OK, then=takes_the_message),
        NONE,
        FailureCode.DELIVERY_UNKNOWN,
        ProbeStage.CONTENT,
    ),
    "does not want us": (says(b"554 5.7.1 Go away"), NONE, FailureCode.SERVER_REFUSED, ProbeStage.GREET),
    "is too busy": (says(b"421 4.3.2 Later"), NONE, FailureCode.SERVER_REFUSED, ProbeStage.GREET),
    "never ends its greeting": (never_stops, NONE, FailureCode.NOT_SMTP, ProbeStage.GREET),
    "speaks SSH": (says(b"SSH-2.0-canary"), NONE, FailureCode.NOT_SMTP, ProbeStage.GREET),
    "speaks HTTP": (says(b"HTTP/1.1 400 canary\r\n\r\n<html>"), NONE, FailureCode.NOT_SMTP, ProbeStage.GREET),
    "speaks bytes": (says(b"\xff\xfe\xfd"), NONE, FailureCode.NOT_SMTP, ProbeStage.GREET),
    "speaks no TLS": (says(HELLO, then=stays_silent), IMPLICIT, FailureCode.TLS_FAILED, ProbeStage.SECURE),
    "offers no STARTTLS": (says(HELLO, EHLO), STARTTLS, FailureCode.STARTTLS_NOT_OFFERED, ProbeStage.SECURE),
    "refuses STARTTLS": (
        says(HELLO, OFFER, b"454 4.7.0 No"),
        STARTTLS,
        FailureCode.STARTTLS_REFUSED,
        ProbeStage.SECURE,
    ),
}


@pytest.mark.parametrize("name", CASES)
async def test_a_misbehaviour_is_named_within_the_deadline(make_prober: Any, name: str) -> None:
    script, security, code, stage = CASES[name]
    loop = asyncio.get_running_loop()
    async with scripted_server(script) as server:
        settings = MailServer(HOST, server.port, security, SENDER, LOGIN, TRUST)
        begun = loop.time()
        report = await make_prober(deadline_seconds=DEADLINE).probe(settings, TO)
        took = loop.time() - begun
        await asyncio.sleep(0)

    assert report.failure is not None
    assert (report.failure.code, report.failure.stage) == (code, stage)
    assert (report.stages[-1].stage, report.stages[-1].outcome is Outcome.UNKNOWN) == (
        stage,
        code is FailureCode.DELIVERY_UNKNOWN,
    )
    assert took < DEADLINE + OVERSHOOT
    assert server.connections == 1
    assert "canary" not in repr(report)
    spoken_in_clear = b"".join(server.heard)
    assert security is NONE or b"AUTH" not in spoken_in_clear


@pytest.mark.parametrize(
    "echo",
    [
        CANARY,
        base64.b64encode(f"\0{USERNAME}\0{CANARY}".encode()).decode(),
        base64.b64encode(CANARY.encode()).decode(),
    ],
    ids=["password", "PLAIN response", "base64"],
)
async def test_credentials_that_a_server_sends_back_are_not_shown(make_prober: Any, echo: str) -> None:
    script = says(HELLO, EHLO, f"535-5.7.8 No: {echo}\r\n535 5.7.8 \x1b[31m{echo}".encode())
    async with scripted_server(script) as server:
        report = await make_prober().probe(MailServer(HOST, server.port, NONE, SENDER, LOGIN), TO)

    assert report.failure is not None
    assert report.failure.code is FailureCode.AUTHENTICATION_FAILED
    assert echo not in repr(report)
    assert CANARY not in repr(report)
    assert str(report.failure.reply).startswith("535 5.7.8 No: **********")
    assert "\x1b" not in repr(report)


async def test_the_reply_after_the_dot_is_not_asked_for_twice(make_prober: Any) -> None:
    script = says(HELLO, EHLO, OK, OK, b"354 Go", then=stays_silent)
    async with scripted_server(script) as server:
        settings = MailServer(HOST, server.port, NONE, SENDER, NoAuthentication())
        await make_prober(deadline_seconds=DEADLINE).probe(settings, TO)

    assert server.connections == 1
    assert sum(line.startswith(b"DATA") for line in server.heard) == 1
