"""Messages: what a device may send, each answer to it, and the record of it."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

import pytest

from mailsettings.domain.device import Device
from mailsettings.domain.errors import StoreUnavailable
from mailsettings.domain.message_log import MessageRecipient, MessageRecord, MessageResult
from mailsettings.domain.observation import ServerGreeting
from mailsettings.relay.incoming.limits import RelayLimits
from mailsettings.relay.outgoing.pools import MailCommand
from mailsettings.relay.replies import Refused, Reply

from support.canary import Canary
from support.provider import RESET, Provider, Reaction, running
from support.relay import DEVICE, RunningRelay, running_relay
from support.smtp_server import Behaviour

HEADER = b"From: scan@example.com\r\nMessage-ID: <1@example.com>\r\n\r\n"
MESSAGE = HEADER + b"Page 1\r\n"
Change = Callable[[Device], Device]
AS_STORED: Change = lambda device: replace(device, sends_as_stored_sender=True)  # noqa: E731
NULL_SENDER: Change = lambda device: replace(device, sends_null_sender=True)  # noqa: E731
SAME: Change = lambda device: device  # noqa: E731


async def test_the_mail_server_answers_each_recipient() -> None:
    behaviour = Behaviour(recipient_reply="550 5.1.1 No such user")
    async with running_relay(behaviour=behaviour) as relay, relay.logged_in() as client:
        answers = await client.envelope("gone@example.org", "post@@example.org")
        data = await client.command("DATA")
        await client.command("RSET")
        (record,) = await relay.has_records(1)

    assert answers[1:] == [
        "550 5.1.1 No such user",
        "553 5.1.3 The recipient is not an address with a full domain",
    ]
    assert data.startswith("554 5.5.1")
    assert relay.mail_server.messages == []
    assert {recipient.address for recipient in record.recipients} == {"gone@example.org", "post@@example.org"}
    assert not any(recipient.accepted for recipient in record.recipients)


@pytest.mark.parametrize(
    ("behaviour", "step", "begin", "result"),
    [
        (Behaviour(sender_reply="550 5.7.60 SendAsDenied"), 1, "550 5.7.60 SendAsDenied", MessageResult.REFUSED),
        (Behaviour(content_reply="554 5.6.0 Spam"), 3, "554 5.6.0 Spam", MessageResult.REFUSED),
        (Behaviour(content_reply="452 4.3.1 Full"), 3, "452 4.3.1 Full", MessageResult.FAILED),
        (Behaviour(content_reply="250 2.6.0 Queued as 7"), 3, "250 2.6.0 Queued as 7", MessageResult.DELIVERED),
    ],
)
async def test_the_words_of_the_mail_server_arrive(
    behaviour: Behaviour, step: int, begin: str, result: MessageResult
) -> None:
    async with running_relay(behaviour=behaviour) as relay, relay.logged_in() as client:
        answers = await client.envelope("post@example.org")
        answers.append(await client.command("DATA"))
        if answers[-1].startswith("354"):
            client.send(MESSAGE + b".\r\n")
            answers.append(await client.reply())
        (record,) = await relay.has_records(1)
        alive = await client.command("RSET")

    assert answers[step] == begin
    assert (record.result, record.code, alive[:3]) == (result, int(begin[:3]), "250")
    assert begin.endswith(record.words)


@pytest.mark.parametrize(
    ("sender", "change", "begin"),
    [
        ("<scan@example.com>", SAME, "250"),
        (" <scan@example.com>", SAME, "250"),
        ("scan@example.com", SAME, "250"),
        ("<SCAN@Example.com>", SAME, "250"),
        ('<"scan"@example.com>', SAME, "250"),
        ("<scan@example.com> SIZE=1000 BODY=8BITMIME", SAME, "250"),
        ("<scan@example.com> AUTH=<>", SAME, "250"),
        ("<@a.example,@b.example:scan@example.com>", SAME, "250"),
        ("<other@example.com>", SAME, "550 5.7.1"),
        ("<scan@example.com.example.org>", SAME, "550 5.7.1"),
        ("<>", SAME, "550 5.7.1"),
        ("<>", NULL_SENDER, "250"),
        ("<scan@printer>", SAME, "553 5.1.7"),
        ("<scan@printer>", AS_STORED, "250"),
        ("<any@example.net>", AS_STORED, "250"),
        ("<>", AS_STORED, "550 5.7.1"),
        ("<ü@example.com>", SAME, "553 5.6.7"),
        ("<scan@example.com> SIZE=99999999", SAME, "552 5.3.4"),
        ("<scan@example.com> SIZE=", SAME, "501 5.5.2"),
        ("<scan@example.com> BODY=BINARYMIME", SAME, "555 5.5.4"),
        ("<scan@example.com> RET=FULL", SAME, "555 5.5.4"),
        ("<scan@example.com> ENVID=7", SAME, "555 5.5.4"),
        ("<scan@example.com> XVERP", SAME, "555 5.5.4"),
    ],
)
async def test_mail_is_answered_by_the_rules_of_the_device(sender: str, change: Change, begin: str) -> None:
    async with running_relay(change=change) as relay, relay.logged_in() as client:
        answer = await client.command(f"MAIL FROM:{sender}")
        records = len(relay.records)

    assert answer.startswith(begin)
    assert records == (begin != "250")
    assert relay.outgoing.begun == []


@pytest.mark.parametrize(
    ("recipient", "begin"),
    [
        ("<post@example.org>", "250"),
        (" post@example.org", "250"),
        ("<a%b@example.org>", "250"),
        ("<Postmaster>", "250"),
        ("<@x.example:post@example.org>", "250"),
        ("<post@example.org> NOTIFY=NEVER", "555 5.5.4"),
        ("<post@example.org> ORCPT=rfc822;a", "555 5.5.4"),
        ("<>", "553 5.1.3"),
        ("<root>", "553 5.1.3"),
        ("<root@localhost>", "553 5.1.3"),
        ('<"a> NOTIFY=NEVER"@example.org>', "553 5.1.3"),
        ("post@example.org>", "501 5.5.2"),
        ("", "501 5.5.2"),
    ],
)
async def test_a_recipient_is_a_full_address(recipient: str, begin: str) -> None:
    async with running_relay() as relay, relay.logged_in() as client:
        await client.command("MAIL FROM:<scan@example.com>")

        assert (await client.command(f"RCPT TO:{recipient}")).startswith(begin)


@pytest.mark.parametrize(
    ("error", "begin"),
    [
        (StoreUnavailable(), "451 4.3.0"),
        (RuntimeError("a fault"), "451 4.3.0"),
    ],
)
async def test_own_trouble_is_temporary(error: Exception, begin: str) -> None:
    async with running_relay() as relay, relay.logged_in() as client:
        relay.devices.error = error
        answer = await client.command("MAIL FROM:<scan@example.com>")
        relay.devices.error = None
        again = await client.command("MAIL FROM:<scan@example.com>")

    assert answer.startswith(begin)
    assert again.startswith("250")


async def test_greetings_work_while_the_database_is_away() -> None:
    async with running_relay() as relay, relay.client() as client:
        relay.devices.error = StoreUnavailable()
        answers = [await client.command(line) for line in ("EHLO a", "HELO a", "MAIL FROM:<scan@example.com>")]

    assert [answer[:9] for answer in answers] == ["250-relay", "250 relay", "451 4.3.0"]


async def test_a_device_without_usable_mail_server_waits() -> None:
    async with running_relay() as relay, relay.logged_in() as client:
        relay.outgoing.refusal = Refused(
            Reply(454, "4.7.0", "provider login failed: wrong_credentials"), "wrong_credentials"
        )
        backed_off = await client.command("MAIL FROM:<scan@example.com>")
        relay.devices.server = None
        gone = await client.command("MAIL FROM:<scan@example.com>")
        records = await relay.has_records(2)

    assert backed_off == "454 4.7.0 provider login failed: wrong_credentials"
    assert gone.startswith("451 4.3.5")
    assert [record.failure for record in records] == ["wrong_credentials", None]
    assert {record.result for record in records} == {MessageResult.FAILED}


async def test_a_device_above_its_rate_waits() -> None:
    async with running_relay() as relay, relay.logged_in() as client:
        relay.devices.allows = False

        assert (await client.command("MAIL FROM:<scan@example.com>")).startswith("451 4.7.1")


async def test_too_many_recipients_are_told_to_come_later() -> None:
    async with (
        running_relay(change=lambda device: replace(device, max_recipients=2)) as relay,
        relay.logged_in() as client,
    ):
        answers = await client.envelope("a@example.org", "b@example.org", "c@example.org")
        await client.command("DATA")
        client.send(MESSAGE + b".\r\n")
        last = await client.reply()

    assert [answer[:9] for answer in answers[1:]] == ["250 2.1.5", "250 2.1.5", "452 4.5.3"]
    assert last.startswith("250")
    assert relay.mail_server.envelopes == [("scan@example.com", ["a@example.org", "b@example.org"])]


@pytest.mark.parametrize("source", ["relay", "device", "mail server"])
async def test_the_smallest_size_limit_applies(source: str) -> None:
    limits = RelayLimits(max_message_bytes=2000 if source == "relay" else 10_000)
    change: Change = lambda device: replace(device, max_message_bytes=2000) if source == "device" else device  # noqa: E731
    async with running_relay(limits=limits, change=change) as relay, relay.logged_in() as client:
        relay.outgoing.offered = ServerGreeting("a", size_limit=2000 if source == "mail server" else None)
        hello = await client.command("EHLO device.example.com")
        announced = await client.command("MAIL FROM:<scan@example.com> SIZE=2001")
        too_large = await client.message(HEADER + b"a" * 2000 + b"\r\n")
        fitting = await client.message(MESSAGE)

    assert "SIZE 2000" in hello
    assert announced.startswith("552 5.3.4")
    assert too_large.startswith("552 5.3.4")
    assert fitting.startswith("250")
    assert len(relay.mail_server.messages) == 1
    assert [record.code for record in relay.records] == [552, 552, 250]


async def test_smtputf8_is_offered_as_the_mail_server_does() -> None:
    async with running_relay() as relay, relay.logged_in() as client:
        relay.outgoing.offered = ServerGreeting("a", extensions=("SMTPUTF8",))
        offered = await client.command("EHLO device.example.com")
        relay.outgoing.offered = ServerGreeting("a")
        not_offered = await client.command("EHLO device.example.com")
        answer = await client.command("MAIL FROM:<scan@example.com> SMTPUTF8")

    assert "SMTPUTF8" in offered
    assert "SMTPUTF8" not in not_offered
    assert answer.startswith("550 5.6.7")


async def test_the_stored_sender_is_in_the_envelope() -> None:
    async with running_relay(change=AS_STORED) as relay, relay.logged_in() as client:
        answer = await client.message(b"From: Room 3 <r3@printer>\r\n\r\nPage\r\n", sender="r3@printer")
        (record,) = await relay.has_records(1)
    (content,) = relay.mail_server.messages

    assert answer.startswith("250")
    assert relay.mail_server.envelopes[0][0] == "scans@example.org"
    assert b"From: Room 3 <scans@example.org>\r\n" in content
    assert b"Reply-To: r3@printer\r\n" in content
    assert record.sender == "r3@printer"


@pytest.mark.parametrize(
    ("content", "begin"),
    [
        (b"From: ceo@example.org\r\n\r\nPay\r\n", "550 5.7.1"),
        (b"From: scan@example.com\r\nFrom: ceo@example.org\r\n\r\nPay\r\n", "550 5.6.0"),
        (b"X: " + b"a" * 70_000 + b"\r\n\r\n", "552 5.3.4"),
        (b"Received: a\r\n" * 51 + HEADER, "554 5.4.6"),
    ],
)
async def test_content_against_a_rule_is_not_sent(content: bytes, begin: str) -> None:
    async with running_relay() as relay, relay.logged_in() as client:
        answer = await client.message(content)
        (record,) = await relay.has_records(1)
        next_answer = await client.message(MESSAGE)

    assert answer.startswith(begin)
    assert record.result is MessageResult.REFUSED
    assert next_answer.startswith("250")
    assert len(relay.mail_server.messages) == 1


async def test_a_client_that_leaves_within_content_sends_nothing() -> None:
    async with running_relay() as relay, relay.logged_in() as client:
        await client.envelope("post@example.org")
        await client.command("DATA")
        client.send(MESSAGE)
        client.writer.close()
        (record,) = await relay.has_records(1)

    assert (record.result, relay.mail_server.messages) == (MessageResult.ABORTED, [])


@pytest.mark.parametrize("command", ["RSET", "QUIT", "EHLO again"])
async def test_a_message_without_content_is_aborted(command: str) -> None:
    async with running_relay() as relay, relay.logged_in() as client:
        await client.envelope("post@example.org")
        await client.command(command)
        (record,) = await relay.has_records(1)

    assert (record.result, relay.mail_server.messages) == (MessageResult.ABORTED, [])
    assert record.recipients == (MessageRecipient("post@example.org", accepted=True),)


async def test_a_message_to_no_valid_address_is_noted() -> None:
    async with running_relay() as relay, relay.logged_in() as client:
        await client.envelope("root")
        await client.command("RCPT")
        await client.command("QUIT")
        (record,) = await relay.has_records(1)

    assert (record.result, record.code) == (MessageResult.REFUSED, 501)
    assert record.recipients == (MessageRecipient("root", accepted=False),)


async def test_mail_without_recipients_is_no_message() -> None:
    async with running_relay() as relay, relay.logged_in() as client:
        await client.command("MAIL FROM:<scan@example.com>")
        await client.command("RSET")
        again = await client.command("MAIL FROM:<scan@example.com>")

    assert again.startswith("250")
    assert relay.records == []


def breaks_at(line: str) -> Reaction:
    return lambda _visit, heard: RESET if heard == line else None


async def test_a_lost_mail_server_is_temporary_trouble() -> None:
    async with (
        running(Provider(react=breaks_at("RCPT TO:<other@example.org>"))) as provider,
        running_relay(server=provider.stored()) as relay,
        relay.logged_in() as client,
    ):
        await client.envelope("post@example.org")
        answers = [await client.command("RCPT TO:<other@example.org>"), await client.command("DATA")]
        await client.command("RSET")
        (record,) = await relay.has_records(1)

    assert {answer[:9] for answer in answers} == {"451 4.4.2"}
    assert (record.failure, provider.messages) == ("connection_lost", [])


async def test_an_outcome_without_an_answer_is_unknown() -> None:
    async with (
        running(Provider(react=breaks_at("."))) as provider,
        running_relay(server=provider.stored()) as relay,
        relay.logged_in() as client,
    ):
        answer = await client.message(MESSAGE)
        (record,) = await relay.has_records(1)

    assert answer.startswith("451 4.4.2")
    assert record.result is MessageResult.UNKNOWN


async def send(relay: RunningRelay, number: int) -> str:
    async with relay.logged_in() as client:
        return await client.message(HEADER + b"%d\r\n" % number)


async def test_devices_send_at_the_same_time() -> None:
    async with running_relay() as relay:
        answers = await asyncio.gather(*(send(relay, number) for number in range(20)))

    assert {answer[:3] for answer in answers} == {"250"}
    assert sorted(int(content.split()[-1]) for content in relay.mail_server.messages) == list(range(20))


async def test_the_size_and_body_parameters_are_passed_on() -> None:
    async with running_relay() as relay, relay.logged_in() as client:
        await client.command("MAIL FROM:<scan@example.com> BODY=8BITMIME SIZE=1000")
        await client.command("RCPT TO:<post@example.org>")

    assert relay.outgoing.begun == [MailCommand("scan@example.com", 1000, eight_bit=True)]


async def test_content_is_in_no_log(canary: Canary, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "mail.log")  # of the mail server, which logs what it reads
    async with running_relay() as relay, relay.logged_in() as client:
        await client.message(HEADER + f"Subject: {canary}\r\n\r\n{canary}\r\n".encode())
        await client.message(b"From: ceo@example.org\r\nSubject: x\r\n\r\n" + canary.secret.encode() + b"\r\n")
        records = await relay.has_records(2)

    assert canary.secret.encode() in relay.mail_server.messages[0]
    canary.assert_nowhere(repr(records))


class Broken(list[MessageRecord]):
    def append(self, _record: MessageRecord) -> None:
        raise RuntimeError("out of order")


async def test_a_broken_log_does_not_unsay_an_acceptance() -> None:
    async with running_relay() as relay, relay.logged_in() as client:
        relay.devices.records = Broken()
        first = await client.message(MESSAGE)
        second = await client.message(MESSAGE)

    assert [first[:4], second[:4]] == ["250 ", "250 "]
    assert len(relay.mail_server.messages) == 2


async def test_a_log_line_names_device_server_and_result(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with running_relay() as relay, relay.logged_in() as client:
        await client.message(MESSAGE)
        await relay.has_records(1)

    assert f"Message of device {DEVICE.name} through mail server outgoing: delivered with 250" in caplog.text
