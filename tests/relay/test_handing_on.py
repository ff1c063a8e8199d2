"""Messages reach the mail server over connections that the relay keeps, and its answer is the device's answer."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NoReturn

import pytest

from mailsettings.domain.mail_server import StoredMailServer
from mailsettings.relay.outgoing import answers
from mailsettings.relay.outgoing.places import Places
from mailsettings.relay.outgoing.pool import Limits
from mailsettings.relay.outgoing.pools import MailCommand, Outgoing, Transfer
from mailsettings.relay.replies import Delivered, Refused

from support.canary import Canary
from support.probers import make_connector
from support.provider import Provider, password_login, running

MAIL = MailCommand("scan@example.org", size=100)
TO = ["anna@example.com"]
CONTENT = b"Subject: scan\r\n\r\nHello\r\n"


@asynccontextmanager
async def outgoing(places: int = 3, **limits: float) -> AsyncIterator[Outgoing]:
    out = Outgoing(make_connector(), Places(places), Limits(**limits))
    yield out
    await out.close(0)


async def hand_on(out: Outgoing, server: StoredMailServer, recipients: Sequence[str] = TO) -> Delivered:
    transfer = await out.begin(server, MAIL, recipients, data=True)
    return await deliver(transfer)


async def deliver(transfer: Transfer) -> Delivered:
    await transfer.start_content()
    await transfer.write(CONTENT)
    return await transfer.finish()


async def test_a_message_arrives_with_its_envelope() -> None:
    async with running(Provider()) as provider, outgoing() as out:
        delivered = await hand_on(out, provider.stored(password_login()), ["anna@example.com", "bo@example.com"])

    assert provider.messages == [("scan@example.org", ["anna@example.com", "bo@example.com"], CONTENT)]
    assert (delivered.reply.code, delivered.reply.enhanced) == (250, "2.0.0")
    assert delivered.reply.text == "Ok: queued as 0001"


async def test_a_defect_does_not_unsay_an_acceptance(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, canary: Canary
) -> None:
    def fail(*_: object) -> NoReturn:
        raise RuntimeError(canary.secret)

    monkeypatch.setattr(answers, "passed", fail)
    async with running(Provider()) as provider, outgoing() as out:
        delivered = await hand_on(out, provider.stored(password_login()))

    assert len(provider.messages) == 1
    assert delivered.reply.code == 250
    assert "then a RuntimeError occurred" in caplog.text


async def test_a_second_message_needs_two_round_trips() -> None:
    async with running(Provider()) as provider, outgoing() as out:
        server = provider.stored(password_login())
        await hand_on(out, server)
        provider.packets.clear()
        await hand_on(out, server)

    assert (provider.connections, len(provider.messages)) == (1, 2)
    assert [line.split(":")[0] for line in provider.packets[0]] == ["MAIL FROM", "RCPT TO", "DATA"]
    assert provider.packets[1][0] == "Subject: scan"


async def test_without_pipelining_commands_wait_for_replies() -> None:
    async with running(Provider(extensions=("8BITMIME", "AUTH PLAIN"))) as provider, outgoing() as out:
        await hand_on(out, provider.stored(password_login()))

    assert len(provider.messages) == 1
    commands = provider.packets[: provider.packets.index(["DATA"])]
    assert all(len(packet) == 1 for packet in commands)


async def test_a_refused_recipient_does_not_stop_the_others() -> None:
    dead = "550 5.1.1 No such user here"
    provider = Provider(lambda _visit, line: dead if "dead@" in line else None)
    async with running(provider), outgoing() as out:
        transfer = await out.begin(provider.stored(), MAIL, ["dead@example.com"], data=False)
        replies = [*transfer.recipient_replies, *await transfer.add(TO, data=False)]
        await deliver(transfer)

    assert [(reply.code, reply.enhanced) for reply in replies] == [(550, "5.1.1"), (250, "2.1.5")]
    assert replies[0].text == "No such user here"
    assert [recipients for _, recipients, _ in provider.messages] == [TO]


async def test_a_refused_sender_keeps_the_connection_usable() -> None:
    refused = "550 5.7.60 You may not send as this sender"
    provider = Provider(
        lambda visit, line: refused if line.startswith("MAIL") and visit.transactions == 1 else None
    )
    async with running(provider), outgoing() as out:
        server = provider.stored(password_login())
        with pytest.raises(Refused) as caught:
            await out.begin(server, MAIL, TO, data=True)
        await hand_on(out, server)

    assert (caught.value.reply.code, caught.value.reply.enhanced) == (550, "5.7.60")
    assert caught.value.reply.text == "You may not send as this sender"
    assert (provider.connections, len(provider.messages)) == (1, 1)


async def test_an_abandoned_message_is_not_sent() -> None:
    async with running(Provider()) as provider, outgoing() as out:
        server = provider.stored()
        transfer = await out.begin(server, MAIL, TO, data=True)
        await transfer.start_content()
        await transfer.write(CONTENT)
        transfer.abandon()
        await hand_on(out, server)

    assert provider.heard.count(".") == 1
    assert len(provider.messages) == 1
