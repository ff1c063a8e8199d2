"""Slow and idle clients cost little, and other devices are served meanwhile."""

import asyncio
import contextlib
from contextlib import AsyncExitStack

from mailsettings.domain.listening import ListenerKind
from mailsettings.relay.incoming.limits import RelayLimits

from support.relay import RunningRelay, SubmissionClient, running_relay
from support.timeouts import GUARD_SECONDS, scaled

MESSAGE = b"From: scan@example.com\r\n\r\nPage\r\n"
IDLE = 300


async def trickle(client: SubmissionClient, data: bytes) -> None:
    """Send a byte at a time, without a pause that a limit for silence would see."""
    with contextlib.suppress(ConnectionError):
        while True:
            client.send(data)
            await client.writer.drain()
            await asyncio.sleep(0.01)


async def served(relay: RunningRelay) -> bool:
    async with relay.logged_in() as client:
        return (await client.message(MESSAGE)).startswith("250")


async def last_reply(client: SubmissionClient, trickled: bytes) -> str:
    task = asyncio.create_task(trickle(client, trickled))
    answer = await client.reply()
    task.cancel()
    return answer


async def test_a_trickle_of_commands_is_no_login() -> None:
    limits = RelayLimits(login_timeout_seconds=scaled(0.3))
    async with running_relay(limits=limits) as relay, relay.client() as client:
        answer = await last_reply(client, b"E")

        assert answer.startswith("421 4.4.2")
        assert await client.is_closed()


async def test_a_trickle_of_content_loses_its_place() -> None:
    limits = RelayLimits(content_head_start_seconds=0.2)
    async with running_relay(limits=limits, places=1) as relay, relay.logged_in() as client:
        await client.envelope("post@example.org")
        await client.command("DATA")
        client.send(MESSAGE)
        task = asyncio.create_task(trickle(client, b"x"))
        others = await served(relay)
        task.cancel()
        client.send(b"\r\n.\r\n")
        answer = await client.reply()

    assert others
    assert answer.startswith("451 4.4.2")
    assert len(relay.mail_server.messages) == 1


async def test_idle_connections_leave_room_for_others() -> None:
    async with running_relay(ListenerKind.STARTTLS) as relay, AsyncExitStack() as idle:
        for _ in range(IDLE):
            await idle.enter_async_context(relay.client())
        async with asyncio.timeout(GUARD_SECONDS):
            is_served = await served(relay)

        assert is_served
        assert relay.relay.connections > IDLE
