"""A device submits a message by STARTTLS and login, and the mail server gets it."""

import asyncio
import smtplib
from email import message_from_bytes
from email.message import EmailMessage

import pytest

from mailsettings.domain.listening import ListenerKind
from mailsettings.domain.message_log import MessageRecipient, MessageResult

from support.relay import CLIENT_CONTEXT, DEVICE, SECRET, RunningRelay, running_relay
from support.smtp_server import HOST

MESSAGE = b"From: scan@example.com\r\nTo: post@example.org\r\nSubject: Scan\r\n\r\nPage 1\r\n"


def mail() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "scan@example.com", "post@example.org", "Scan"
    message.set_content("Page 1\n.\nPage 2\n")
    return message


def send_by_smtplib(relay: RunningRelay) -> None:
    with smtplib.SMTP(HOST, relay.port) as client:
        client.starttls(context=CLIENT_CONTEXT)
        client.login(DEVICE.name, SECRET)
        client.send_message(mail())


async def test_a_device_delivers_by_starttls_and_login() -> None:
    async with running_relay(ListenerKind.STARTTLS) as relay:
        await asyncio.to_thread(send_by_smtplib, relay)
        (content,) = relay.mail_server.messages
        (record,) = relay.records
    received = message_from_bytes(content)

    assert received.get_payload() == "Page 1\r\n.\r\nPage 2\r\n"
    assert "with ESMTPSA" in received["Received"]
    assert "(device scanner-3)" in received["Received"]
    assert relay.mail_server.envelopes == [("scan@example.com", ["post@example.org"])]
    assert (record.result, record.code) == (MessageResult.DELIVERED, 250)
    assert record.recipients == (MessageRecipient("post@example.org", accepted=True),)
    assert record.message_id is None or record.message_id == received["Message-ID"]


ORDER = {
    "greeting without name": [("EHLO", "501 5.5.2"), ("HELO ", "501 5.5.2")],
    "MAIL before a greeting": [("MAIL FROM:<scan@example.com>", "503 5.5.1")],
    "RCPT before MAIL": [("EHLO a", "250"), ("RCPT TO:<a@example.org>", "503 5.5.1")],
    "DATA before MAIL": [("EHLO a", "250"), ("DATA", "503 5.5.1")],
    "an unknown command": [("XYZZY", "500 5.5.1"), ("", "500 5.5.1"), ("250 OK", "500 5.5.1")],
    "a proxy's header": [("PROXY TCP4 10.0.0.5 127.0.0.1 1 25", "500 5.5.1")],
    "commands that are not offered": [
        *(("ETRN a", "502 5.5.1"), ("BDAT 7 LAST", "502 5.5.1"), ("EXPN a", "502 5.5.1"), ("TURN", "502 5.5.1")),
        *(("XCLIENT ADDR=10.0.0.5", "502 5.5.1"), ("XFORWARD ADDR=10.0.0.5", "502 5.5.1")),
    ],
    "commands that do nothing": [("NOOP x", "250"), ("RSET", "250"), ("VRFY a", "252 2.5.2"), ("HELP", "214")],
}


@pytest.mark.parametrize("steps", ORDER.values(), ids=list(ORDER))
async def test_a_command_has_its_place(steps: list[tuple[str, str]]) -> None:
    async with running_relay() as relay, relay.client() as client:
        answers = [(await client.command(line), begin) for line, begin in steps]
        last = await client.command("QUIT")

        assert await client.is_closed()
    assert all(answer.startswith(begin) for answer, begin in answers), answers
    assert last.startswith("221 2.0.0")


async def test_a_message_in_progress_has_its_order() -> None:
    async with running_relay() as relay, relay.logged_in() as client:
        await client.envelope("post@example.org")
        answers = [await client.command(line) for line in ("MAIL FROM:<scan@example.com>", "DATA now")]
        client.send("RCPT TO:<b@example.org>\r\nRCPT TO:<c@example.org>\nRCPTX TO:<d@example.org>\r\n")
        answers += [await client.reply() for _ in range(3)]

    assert [answer[:9] for answer in answers] == [
        *("503 5.5.1", "501 5.5.4", "250 2.1.5", "500 5.5.2", "500 5.5.1")
    ]
