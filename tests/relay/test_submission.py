"""A device submits a message by STARTTLS and login, and the mail server gets it."""

import asyncio
import smtplib
from email import message_from_bytes
from email.message import EmailMessage

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
