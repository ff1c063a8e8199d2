"""Limits of connections, commands and time; slow clients lose their place, and the others are served."""

import asyncio
from dataclasses import replace
from ipaddress import ip_network

import pytest

from mailsettings.domain.listening import ListenAddress, ListenerKind, RelayListener
from mailsettings.domain.message_log import MessageResult
from mailsettings.relay.incoming.client import Endpoint, RelayParts
from mailsettings.relay.incoming.limits import MAX_REFUSED_MAILS, Counters, RelayLimits
from mailsettings.relay.incoming.listener import RelayServer

from support.relay import Devices, RunningRelay, WatchedOutgoing, running_relay
from support.smtp_server import HOST
from support.timeouts import GUARD_SECONDS
from support.waiting import eventually

MESSAGE = b"From: scan@example.com\r\n\r\nPage\r\n"
IMPATIENT = RelayLimits(silence_timeout_seconds=0.05, command_timeout_seconds=60)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [(RelayLimits(max_connections=2), "total"), (RelayLimits(max_connections_per_address=2), "address")],
)
async def test_a_connection_too_many_must_come_later(limits: RelayLimits, reason: str) -> None:
    seen: list[object] = []
    counters = Counters(connections=seen.append, refused_connection=seen.append)
    async with (
        running_relay(limits=limits, counters=counters) as relay,
        relay.logged_in(),
        relay.logged_in() as second,
    ):
        async with relay.client() as third:
            assert third.greeting.startswith("421 4.7.0")
            assert await third.is_closed()
        await second.command("QUIT")
        assert await second.is_closed()
        async with relay.client() as fourth:
            assert fourth.greeting.startswith("220")

    assert seen[:4] == [1, 2, reason, 1]


@pytest.mark.parametrize("kind", [ListenerKind.PLAIN, ListenerKind.TLS])
async def test_clients_without_login_make_room(kind: ListenerKind) -> None:
    async with (
        running_relay(kind, limits=RelayLimits(max_connections=3)) as relay,
        relay.logged_in() as device,
        relay.client() as oldest,
        relay.client() as other,
        relay.logged_in() as newest,
    ):
        last = await oldest.reply()
        answers = [await client.command("NOOP") for client in (device, other, newest)]

    assert last.startswith("421 4.7.0")
    assert [answer[:3] for answer in answers] == ["250"] * 3


async def test_a_client_that_does_not_log_in_is_disconnected() -> None:
    async with running_relay(limits=RelayLimits(login_timeout_seconds=0.05)) as relay, relay.client() as client:
        assert (await client.reply()).startswith("421 4.4.2")
        assert await client.is_closed()


async def test_an_unfinished_tls_handshake_ends() -> None:
    async with running_relay(ListenerKind.TLS, limits=RelayLimits(login_timeout_seconds=0.05)) as relay:
        reader, writer = await asyncio.open_connection(HOST, relay.port)

        assert await reader.read() == b""
        writer.close()


async def test_a_silent_device_is_disconnected() -> None:
    async with (
        running_relay(limits=RelayLimits(command_timeout_seconds=0.05)) as relay,
        relay.logged_in() as client,
    ):
        assert (await client.reply()).startswith("421 4.4.2")


async def test_commands_before_the_login_are_counted() -> None:
    async with running_relay() as relay, relay.client() as client:
        client.send(b"NOOP\r\n" * 40)
        answers = [await client.reply() for _ in range(31)]

        assert [answer[:3] for answer in answers] == ["250"] * 30 + ["421"]
        assert await client.is_closed()


async def test_errors_are_counted() -> None:
    async with running_relay() as relay, relay.logged_in() as client:
        client.send(b"XYZZY\r\n" * 12)
        answers = [await client.reply() for _ in range(12)]

    assert [answer[:3] for answer in answers] == ["500"] * 11 + ["421"]


@pytest.mark.parametrize("line", [b"GET / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\n", b"CONNECT a:25 HTTP/1.1\r\n"])
async def test_http_is_disconnected(line: bytes) -> None:
    async with running_relay() as relay, relay.client() as client:
        client.send(line + b"Host: a\r\n\r\nMAIL FROM:<scan@example.com>\r\n")

        assert (await client.reply()).startswith("421 4.7.0")
        assert await client.is_closed()


@pytest.mark.parametrize("line", [b"A" * 20_000, b"NOOP " + b"A" * 20_000 + b"\r\n"])
async def test_a_line_without_end_is_disconnected(line: bytes) -> None:
    async with running_relay() as relay, relay.client() as client:
        client.send(line)

        assert (await client.reply()).startswith("500 5.5.2")
        assert await client.is_closed()


async def test_silence_before_data_gives_the_place_up() -> None:
    async with (
        running_relay(limits=IMPATIENT, places=1) as relay,
        relay.logged_in() as silent,
        relay.logged_in() as other,
    ):
        await silent.envelope("post@example.org")
        delivered = await other.message(MESSAGE)
        late = [await silent.command("RCPT TO:<late@example.org>"), await silent.command("DATA")]
        again = await silent.message(MESSAGE) if await silent.command("RSET") else ""
        records = await relay.has_records(3)

    assert delivered.startswith("250")
    assert [answer[:9] for answer in late] == ["451 4.4.2"] * 2
    assert again.startswith("250")
    assert [record.result for record in records].count(MessageResult.FAILED) == 1


async def test_chatter_before_data_gives_the_place_up() -> None:
    limits = RelayLimits(envelope_timeout_seconds=0)
    async with running_relay(limits=limits, places=1) as relay, relay.logged_in() as client:
        await client.envelope("post@example.org")
        answers = [await client.command(line) for line in ("NOOP", "DATA")]

    assert [answer[:9] for answer in answers] == ["250 2.0.0", "451 4.4.2"]


async def test_silence_within_content_gives_the_place_up() -> None:
    async with (
        running_relay(limits=IMPATIENT, places=1) as relay,
        relay.logged_in() as silent,
        relay.logged_in() as other,
    ):
        await silent.envelope("post@example.org")
        await silent.command("DATA")
        silent.send(MESSAGE)
        delivered = await other.message(MESSAGE)
        silent.send(b"late\r\n.\r\n")
        late = await silent.reply()
        again = await silent.message(MESSAGE)

    assert delivered.startswith("250")
    assert late.startswith("451 4.4.2")
    assert again.startswith("250")
    assert len(relay.mail_server.messages) == 2


async def test_a_device_that_leaves_the_line_makes_room() -> None:
    async with running_relay(places=1) as relay, relay.logged_in() as first:
        await first.envelope("post@example.org")
        async with relay.logged_in() as waiting, relay.logged_in() as third:
            await waiting.command("MAIL FROM:<scan@example.com>")
            waiting.send("RCPT TO:<gone@example.org>\r\n")
            waiting.writer.close()
            await first.command("RSET")
            answer = await third.message(MESSAGE)

    assert answer.startswith("250")
    assert [to for _, to in relay.mail_server.envelopes] == [["post@example.org"]]


async def test_a_client_that_reads_nothing_is_disconnected() -> None:
    closed = asyncio.Event()
    counters = Counters(connections=lambda count: None if count else closed.set())
    limits = RelayLimits(command_timeout_seconds=0.2)
    async with running_relay(limits=limits, counters=counters) as relay, relay.logged_in() as client:
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]  # noqa: SLF001  # it does not read
        client.send(b"HELP\r\n" * 60_000)
        async with asyncio.timeout(GUARD_SECONDS):
            await closed.wait()

    assert relay.relay.connections == 0


async def end(relay: RunningRelay) -> None:
    await relay.relay.close(60)


async def test_the_end_lets_messages_in_progress_finish() -> None:
    async with running_relay() as relay, relay.logged_in() as idle, relay.logged_in() as busy:
        await busy.envelope("post@example.org")
        await busy.command("DATA")
        ending = asyncio.create_task(end(relay))
        idle_last = await idle.reply()
        busy.send(MESSAGE + b".\r\nMAIL FROM:<scan@example.com>\r\n")
        answers = [await busy.reply(), await busy.reply()]
        await ending
        with pytest.raises(OSError, match=r".*"):
            await asyncio.open_connection(HOST, relay.port)

    assert idle_last.startswith("421 4.3.2")
    assert [answer[:9] for answer in answers] == ["250 2.0.0", "421 4.3.2"]
    assert len(relay.mail_server.messages) == 1


async def test_the_end_of_the_grace_time_aborts_messages() -> None:
    async with running_relay() as relay, relay.logged_in() as busy:
        await busy.envelope("post@example.org")
        await busy.command("DATA")
        busy.send(MESSAGE)
        await relay.relay.close(0)
        last = await busy.reply()

    assert last.startswith("421 4.3.2")
    assert [record.result for record in relay.records] == [MessageResult.ABORTED]
    assert relay.mail_server.messages == []


async def connections(relay: RunningRelay) -> int:
    return relay.relay.connections


async def test_the_end_does_not_wait_for_handshakes() -> None:
    async with running_relay(ListenerKind.TLS) as relay:
        reader, writer = await asyncio.open_connection(HOST, relay.port)
        await eventually(lambda: connections(relay))
        async with asyncio.timeout(GUARD_SECONDS):
            await relay.relay.close(3600)

        assert await reader.read() == b""
        writer.close()


async def test_refusals_without_end_do_not_fill_the_logs() -> None:
    refused = "MAIL FROM:<ceo@example.net>\r\n"
    async with running_relay() as relay:
        async with relay.logged_in() as client:
            client.send(refused * (MAX_REFUSED_MAILS + 2))
            answers = [await client.reply() for _ in range(MAX_REFUSED_MAILS + 1)]
            closed = await client.is_closed()
        async with relay.logged_in() as client:
            delivered = await client.message(MESSAGE, "post@example.org")

    assert [answer[:9] for answer in answers[-2:]] == ["550 5.7.1", "421 4.7.0"]
    assert closed
    assert delivered.startswith("250 ")
    assert len(relay.records) == MAX_REFUSED_MAILS + 1


async def test_a_listener_with_tls_needs_a_certificate() -> None:
    relay = RelayServer(
        RelayParts(services=Devices().services(), outgoing=WatchedOutgoing(1), host_name="relay.example.com")
    )

    with pytest.raises(ValueError, match="needs a certificate"):
        await relay.start([Endpoint(RelayListener(ListenerKind.TLS, ListenAddress(HOST, 0)))])


async def test_one_taken_port_leaves_no_listener() -> None:
    async with running_relay() as running:
        relay = RelayServer(
            RelayParts(services=Devices().services(), outgoing=WatchedOutgoing(1), host_name="relay.example.com")
        )
        addresses = [ListenAddress(HOST, 0), ListenAddress(HOST, running.port)]
        with pytest.raises(OSError, match="in use"):
            await relay.start([Endpoint(RelayListener(ListenerKind.PLAIN, address)) for address in addresses])

        assert relay.ports == []


async def test_a_network_may_replace_the_login() -> None:
    network = (ip_network("127.0.0.0/8"),)
    async with (
        running_relay(change=lambda device: replace(device, trusts_network=True, networks=network)) as relay,
        relay.client() as client,
    ):
        await client.command("HELO printer")
        answer = await client.message(MESSAGE)
    (content,) = relay.mail_server.messages

    assert answer.startswith("250")
    assert (
        b"Received: from printer ([127.0.0.1])\r\n\tby relay.example.com (mail-settings) with SMTP id" in content
    )
