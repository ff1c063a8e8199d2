"""Messages share a few connections: in the order of arrival, without provoking the mail server."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mailsettings.domain.connection_test import ProbeFailure
from mailsettings.domain.mail_server import PasswordAuthentication, StoredMailServer
from mailsettings.domain.values import Secret
from mailsettings.relay.outgoing.pools import MailCommand
from mailsettings.relay.replies import Refused, Reply

from support.canary import Canary
from support.provider import CLOSE, Provider, Visit, password_login, running
from support.relaying import CONTENT, MAIL, TO, deliver, hand_on, outgoing, refused
from support.timeouts import GUARD_SECONDS, scaled

LOGIN = password_login()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(GUARD_SECONDS):
        while not condition():  # noqa: ASYNC110  # the other side is a mail server
            await asyncio.sleep(0.005)


def changed(stored: StoredMailServer, secret: str) -> StoredMailServer:
    server = stored.server.with_secret(Secret.sealed(lambda: secret, f"label of {secret}"))
    return replace(stored, version=stored.version + 1, server=server)


async def test_sixty_four_messages_share_three_connections() -> None:
    async with running(Provider(most=3, pace=0.002)) as provider, outgoing() as out:
        server = provider.stored(LOGIN)
        await asyncio.gather(*(hand_on(out, server) for _ in range(64)))

    assert len(provider.messages) == 64
    assert (provider.connections, provider.most_logged_in) == (3, 3)
    assert provider.said["432"] == 0


async def test_a_server_that_admits_fewer_is_asked_once() -> None:
    async with running(Provider(most=1, pace=0.002)) as provider, outgoing() as out:
        server = provider.stored(LOGIN)
        await asyncio.gather(*(hand_on(out, server) for _ in range(32)))

    assert len(provider.messages) == 32
    assert 1 <= provider.said["432"] <= 2


async def test_messages_are_served_in_the_order_of_arrival() -> None:
    async with running(Provider(pace=0.002)) as provider, outgoing(places=1) as out:
        server = provider.stored(LOGIN)
        recipients = [[f"{number}@example.com"] for number in range(20)]
        await asyncio.gather(*(hand_on(out, server, to) for to in recipients))

    assert [to for _, to, _ in provider.messages] == recipients


async def test_a_message_waits_for_a_place_within_the_hold_time() -> None:
    async with running(Provider()) as provider, outgoing(places=1, hold=scaled(0.1)) as out:
        server = provider.stored(LOGIN)
        transfer = await out.begin(server, MAIL, TO, data=False)
        refusal = await refused(out, server)
        await deliver(transfer)
        await hand_on(out, server)

    assert refusal.reply == Reply(451, "4.3.2", "mail server busy: connections_in_use")
    assert len(provider.messages) == 2


async def test_a_client_that_leaves_the_line_holds_nobody_up() -> None:
    async with running(Provider()) as provider, outgoing(places=1) as out:
        server = provider.stored(LOGIN)
        transfer = await out.begin(server, MAIL, TO, data=False)
        leaving = [asyncio.create_task(hand_on(out, server)) for _ in range(3)]
        staying = asyncio.create_task(hand_on(out, server))
        await asyncio.sleep(0)
        for task in leaving:
            task.cancel()
        transfer.abandon()
        await staying

    assert len(provider.messages) == 1
    assert provider.connections == 1


@pytest.mark.parametrize("reply", ["451 4.3.2 Slow down", "421 4.3.2 Later", "450 4.1.8 Unknown domain"])
async def test_a_refusal_for_now_at_mail_is_waited_out(reply: str) -> None:
    seen = []

    def react(_visit: Visit, line: str) -> str | None:
        seen.append(line)
        return reply if line.startswith("MAIL") and sum(each.startswith("MAIL") for each in seen) == 1 else None

    async with running(Provider(react)) as provider, outgoing(pause=0.02) as out:
        await hand_on(out, provider.stored(LOGIN))

    assert len(provider.messages) == 1
    assert sum(each.startswith("MAIL") for each in seen) == 2


async def test_a_busy_server_gets_one_message_after_a_pause() -> None:
    """While the server has too much to do, the messages in line do not each ask."""
    busy = True

    def react(_visit: Visit, line: str) -> str | None:
        return "432 4.3.2 Too many" if busy and line.startswith("MAIL") else None

    async with running(Provider(react)) as provider, outgoing(pause=0.1) as out:
        server = provider.stored(LOGIN)
        waiting = [asyncio.create_task(hand_on(out, server)) for _ in range(20)]
        await until(lambda: any(line.startswith("MAIL") for line in provider.heard))
        busy = False
        await asyncio.gather(*waiting)

    assert len(provider.messages) == 20
    assert sum(line.startswith("MAIL") for line in provider.heard) <= 20 + 3


async def test_a_refused_sender_does_not_stop_other_messages() -> None:
    """A refusal for now of this sender says nothing about the others."""

    def react(_visit: Visit, line: str) -> str | None:
        return "450 4.1.8 Unknown domain" if line.startswith("MAIL FROM:<bad@") else None

    async with running(Provider(react)) as provider, outgoing(places=1) as out:
        server = provider.stored(LOGIN)
        bad = asyncio.create_task(out.begin(server, MailCommand("bad@example.org"), TO, data=False))
        await until(lambda: any("bad@" in line for line in provider.heard))
        await hand_on(out, server)
        bad.cancel()

    assert len(provider.messages) == 1
    assert provider.connections == 1


async def test_a_dead_idle_connection_is_replaced() -> None:
    async with running(Provider()) as provider, outgoing() as out:
        server = provider.stored(LOGIN)
        await hand_on(out, server)
        provider.visits[0].drop()
        await hand_on(out, server)

    assert (len(provider.messages), provider.connections) == (2, 2)


@pytest.mark.parametrize("ending", ["421 4.4.2 Idle for too long", CLOSE])
async def test_a_connection_that_ends_at_reuse_is_replaced(ending: str) -> None:
    def react(visit: Visit, line: str) -> str | None:
        return ending if line.startswith("MAIL") and visit.transactions == 2 else None

    async with running(Provider(react)) as provider, outgoing() as out:
        server = provider.stored(LOGIN)
        await hand_on(out, server)
        await hand_on(out, server)

    assert (len(provider.messages), provider.connections) == (2, 2)


async def test_an_unasked_421_ends_an_idle_connection() -> None:
    async with running(Provider()) as provider, outgoing() as out:
        server = provider.stored(LOGIN)
        await hand_on(out, server)
        await provider.visits[0].say("421 4.4.2 Bye")
        await hand_on(out, server)

    assert (len(provider.messages), provider.connections) == (2, 2)


async def test_idle_connections_are_closed_with_quit() -> None:
    async with running(Provider()) as provider, outgoing(idle=0.01) as out:
        await hand_on(out, provider.stored(LOGIN))
        await until(lambda: "QUIT" in provider.heard)

    assert provider.connections == 1


async def test_a_changed_setting_counts_for_the_next_message() -> None:
    async with running(Provider()) as old, running(Provider()) as new, outgoing(places=1) as out:
        stored = old.stored(LOGIN)
        await hand_on(out, stored)
        in_progress = await out.begin(stored, MAIL, TO, data=True)
        moved = replace(stored, version=2, server=replace(stored.server, port=new.port))
        next_message = asyncio.create_task(hand_on(out, moved))
        await asyncio.sleep(0)
        await deliver(in_progress)
        await next_message
        await until(lambda: "QUIT" in old.heard)

    assert (len(old.messages), len(new.messages)) == (2, 1)


async def test_another_secret_means_another_login() -> None:
    async with running(Provider(most=1)) as provider, outgoing(places=1) as out:
        stored = provider.stored(LOGIN)
        await hand_on(out, stored)
        await hand_on(out, changed(stored, "canary-password-new"))

    assert (len(provider.messages), provider.connections) == (2, 2)
    assert provider.said["432"] == 0


async def test_two_mail_servers_of_one_mailbox_share_its_places() -> None:
    async with running(Provider(most=1)) as provider, outgoing(places=1) as out:
        for number in range(4):
            login = PasswordAuthentication(
                "mailer@example.org", Secret.sealed(lambda: "x" * 9, f"label {number % 2}")
            )
            await hand_on(out, provider.stored(login))

    assert len(provider.messages) == 4
    assert (provider.most_logged_in, provider.said["432"]) == (1, 0)


async def test_after_a_refused_login_no_other_is_tried() -> None:
    heard: list[ProbeFailure] = []
    listeners = {"on_login_refused": lambda _server, found: heard.append(found)}
    provider = Provider(lambda _visit, line: "535 5.7.8 No" if line.startswith("AUTH") else None)
    async with running(provider), outgoing(listeners=listeners) as out:
        stored = provider.stored(LOGIN)
        refusals = await asyncio.gather(*(refused(out, stored) for _ in range(20)))
        with pytest.raises(Refused) as caught:
            out.require_usable(stored)
        provider.react = lambda _visit, _line: None
        out.require_usable(changed(stored, "canary-password-right"))
        await hand_on(out, changed(stored, "canary-password-right"))

    assert {refusal.reply for refusal in refusals} == {caught.value.reply}
    assert caught.value.reply == Reply(454, "4.7.0", "provider login failed: smtp_auth_failed")
    assert caught.value.failure == "smtp_auth_failed"
    assert [found.code.value for found in heard] == ["smtp_auth_failed"]
    assert len(provider.messages) == 1
    assert sum(line.startswith("AUTH") for line in provider.heard) == 2


async def test_an_accepted_login_is_announced() -> None:
    heard: list[StoredMailServer] = []
    async with running(Provider()) as provider, outgoing(listeners={"on_login_accepted": heard.append}) as out:
        server = provider.stored(LOGIN)
        await hand_on(out, server)
        await hand_on(out, server)

    assert heard == [server]


async def test_the_offer_of_the_server_is_known_after_a_login() -> None:
    async with running(Provider()) as provider, outgoing() as out:
        server = provider.stored(LOGIN)
        before = out.features(server)
        await hand_on(out, server)
        after = out.features(server)

    assert before is None
    assert after is not None
    assert (after.size_limit, after.offers("8BITMIME")) == (1_000_000, True)


async def test_an_end_lets_the_message_in_progress_finish() -> None:
    async with running(Provider()) as provider, outgoing(places=1) as out:
        server = provider.stored(LOGIN)
        transfer = await out.begin(server, MAIL, TO, data=True)
        waiting = asyncio.create_task(refused(out, server))
        await asyncio.sleep(0)
        ending = asyncio.create_task(out.close(GUARD_SECONDS))
        in_line = await waiting
        await deliver(transfer)
        await ending
        late = await refused(out, server)

    assert len(provider.messages) == 1
    assert {in_line.reply.code, late.reply.code} == {421}
    assert {in_line.reply.enhanced, late.reply.enhanced} == {"4.3.2"}
    assert provider.heard[-1] == "QUIT"


async def test_an_end_without_grace_sends_no_half_message() -> None:
    async with running(Provider()) as provider, outgoing() as out:
        transfer = await out.begin(provider.stored(LOGIN), MAIL, TO, data=True)
        await transfer.start_content()
        await transfer.write(CONTENT)
        await out.close(0)
        with pytest.raises(Refused) as caught:
            await transfer.finish()

    assert caught.value.reply.code == 451
    assert provider.messages == []


async def test_no_secret_is_in_a_reply_that_repeats_it(canary: Canary, caplog: Any) -> None:
    def react(_visit: Visit, line: str) -> str | None:
        return f"550 5.7.1 {canary.secret} of mailer@example.org at 127.0.0.1 no" if line == "." else None

    async with running(Provider(react)) as provider, outgoing() as out:
        server = provider.stored(password_login(canary.secret))
        reply = (await refused(out, server)).reply

    assert (reply.code, reply.enhanced) == (550, "5.7.1")
    assert reply.text == "********** of ********** at ********** no"
    canary.assert_nowhere(reply.text, caplog.text)
