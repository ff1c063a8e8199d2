"""Commands that arrive together (RFC 2920) get the same answers, and travel together to the mail server."""

import pytest

from mailsettings.domain.message_log import MessageResult

from support.provider import Provider, running
from support.relay import running_relay
from support.smtp_server import Behaviour

MESSAGE = b"From: scan@example.com\r\n\r\nPage\r\n.\r\n"
MAIL = b"MAIL FROM:<scan@example.com>\r\n"


def recipients(*names: str) -> bytes:
    return b"".join(f"RCPT TO:<{name}@example.org>\r\n".encode() for name in names)


async def test_recipients_and_data_travel_together() -> None:
    async with running(Provider()) as provider, running_relay(server=provider.stored()) as relay:
        async with relay.logged_in() as client:
            client.send(MAIL + recipients("a", "b") + b"DATA\r\n")
            answers = [await client.reply() for _ in range(4)]
            client.send(MESSAGE)
            answers.append(await client.reply())
        packets = provider.packets

    assert [answer[:3] for answer in answers] == ["250", "250", "250", "354", "250"]
    assert relay.outgoing.batches == [(["a@example.org", "b@example.org"], True)]
    assert [line[:4] for line in packets[1]] == ["MAIL", "RCPT", "RCPT", "DATA"]


async def test_one_recipient_at_a_time_is_passed_on_as_it_comes() -> None:
    async with running_relay() as relay, relay.logged_in() as client:
        await client.envelope("a@example.org", "b@example.org")

    assert relay.outgoing.batches == [(["a@example.org"], False)]


async def test_each_answer_is_in_the_place_of_its_command() -> None:
    async with running_relay() as relay, relay.logged_in() as client:
        lines = [
            b"RCPT TO:<a@example.org>",
            b"RCPT TO:<b>",
            b"rcpt to:<c@example.org>",
            b"RCPT",
            b"NOOP",
            b"RCPT TO:<d@example.org>",
        ]
        client.send(MAIL + b"\r\n".join(lines) + b"\r\n")
        answers = [await client.reply() for _ in range(7)]

    assert [answer[:3] for answer in answers] == ["250", "250", "553", "250", "501", "250", "250"]


async def test_messages_follow_each_other_in_one_packet() -> None:
    async with running_relay() as relay, relay.logged_in() as client:
        client.send(MAIL + recipients("a") + b"DATA\r\n")
        first = [await client.reply() for _ in range(3)]
        client.send(MESSAGE + MAIL + recipients("b") + b"DATA\r\n")
        second = [await client.reply() for _ in range(4)]
        client.send(MESSAGE + b"QUIT\r\n")
        last = [await client.reply() for _ in range(2)]

    assert [answer[:3] for answer in (*first, *second, *last)] == [
        *("250", "250", "354", "250", "250", "250", "354", "250", "221")
    ]
    assert [to for _, to in relay.mail_server.envelopes] == [["a@example.org"], ["b@example.org"]]


async def test_data_after_refused_recipients_sends_nothing() -> None:
    async with (
        running_relay(behaviour=Behaviour(recipient_reply="550 5.1.1 Gone")) as relay,
        relay.logged_in() as client,
    ):
        client.send(MAIL + recipients("a", "b") + b"DATA\r\n")
        answers = [await client.reply() for _ in range(4)]
        again = await client.command("RSET")
        (record,) = await relay.has_records(1)

    assert [answer[:9] for answer in answers[1:]] == ["550 5.1.1", "550 5.1.1", "554 5.5.1"]
    assert again.startswith("250")
    assert (record.result, relay.mail_server.messages) == (MessageResult.REFUSED, [])


@pytest.mark.parametrize("start", [MAIL + recipients("a"), MAIL + recipients("a") + b"NOOP\r\n", b""])
async def test_content_before_the_answer_to_data_ends_the_connection(start: bytes) -> None:
    hidden = b"MAIL FROM:<scan@example.com>\r\nRCPT TO:<hidden@example.org>\r\nDATA\r\n"
    async with running_relay() as relay, relay.logged_in() as client:
        client.send(start + b"DATA\r\n" + hidden + MESSAGE)
        answers = []
        while answer := await client.reply():
            answers.append(answer)
        is_closed = await client.is_closed()

    assert answers[-1].startswith("503 5.5.0")
    assert is_closed
    assert relay.mail_server.messages == []
