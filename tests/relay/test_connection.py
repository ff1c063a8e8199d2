"""A connection holds bounded memory, and ends whatever the client does."""

import asyncio
import os
import socket
import ssl
import struct
from contextlib import suppress

import pytest

from mailsettings.domain.listening import ListenerKind
from mailsettings.relay.incoming.connection import (
    MAX_BUFFERED_BYTES,
    MAX_REPLY_BYTES,
    ClientGone,
    Connection,
    TooSlow,
)
from mailsettings.relay.incoming.time_limit import TimeLimit

from support.relay import CLIENT_CONTEXT, running_relay
from support.smtp_server import HOST, Behaviour, server_context
from support.timeouts import GUARD_SECONDS


class Transport(asyncio.Transport):
    """Records what the connection does with it."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 49152)})
        self.calls: list[str] = []
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.calls.append("write")
        self.written += data

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")


@pytest.fixture
async def connection() -> Connection:
    made = Connection(lambda _connection: None)
    made.connection_made(Transport())
    return made


def transport_of(connection: Connection) -> Transport:
    transport = connection._transport  # noqa: SLF001  # the transport of this test
    assert isinstance(transport, Transport)
    return transport


def calls(connection: Connection) -> list[str]:
    return transport_of(connection).calls


async def test_reading_pauses_while_the_buffer_is_full(connection: Connection) -> None:
    connection.data_received(b"a" * (MAX_BUFFERED_BYTES + 1))
    paused = list(calls(connection))

    assert len(await connection.read(0)) == MAX_BUFFERED_BYTES + 1
    assert (paused, calls(connection)) == (["pause"], ["pause", "resume"])


async def test_a_client_that_reads_again_is_served_again(connection: Connection) -> None:
    connection.data_received(b"NOOP\r\n")
    connection.pause_writing()
    waiting = asyncio.create_task(connection.read_line(GUARD_SECONDS))
    await asyncio.sleep(0)
    was_waiting = not waiting.done()
    connection.resume_writing()

    assert was_waiting
    assert await waiting == b"NOOP\r\n"
    assert calls(connection) == ["pause", "resume"]


async def test_a_client_that_never_reads_again_is_too_slow(connection: Connection) -> None:
    connection.data_received(b"NOOP\r\n")
    connection.pause_writing()

    with pytest.raises(TooSlow):
        await connection.read_line(0.01)


async def test_a_client_that_leaves_without_reading_is_gone(connection: Connection) -> None:
    connection.data_received(b"NOOP\r\n")
    connection.pause_writing()
    waiting = asyncio.create_task(connection.read_line(GUARD_SECONDS))
    await asyncio.sleep(0)
    connection.connection_lost(None)

    with pytest.raises(ClientGone):
        await waiting


async def test_many_replies_are_sent_early(connection: Connection) -> None:
    connection.data_received(b"NOOP\r\n" * 2)
    connection.write(b"a" * (MAX_REPLY_BYTES + 1))
    await connection.read_line(0)

    assert calls(connection) == ["write"]


async def test_nothing_is_read_behind_the_end_of_tls(connection: Connection) -> None:
    """A client that ends TLS and sends on, while the mail server is slow to answer, fills no memory."""
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = CLIENT_CONTEXT.wrap_bio(received, sent, server_hostname=HOST)
    connection.start_tls(server_context(Behaviour()))
    for step in (client.do_handshake, client.do_handshake, client.unwrap):
        with suppress(ssl.SSLWantReadError):
            step()
        connection.data_received(sent.read())
        received.write(transport_of(connection).written)
        transport_of(connection).written = b""

    assert calls(connection)[-1] == "pause"


async def test_clients_that_reset_at_once_leave_no_trace(caplog: pytest.LogCaptureFixture) -> None:
    async with running_relay() as relay:
        for _ in range(50):
            with socket.create_connection((HOST, relay.port)) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        async with relay.client() as client_after:
            greeting, open_ones = client_after.greeting, relay.relay.connections

    assert (greeting[:4], open_ones) == ("220 ", 1)
    assert caplog.text == ""


async def test_garbage_within_tls_ends_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    async with running_relay(ListenerKind.STARTTLS) as relay, relay.logged_in() as client:
        await client.envelope("post@example.org")
        sock = client.writer.get_extra_info("socket")
        os.write(sock.fileno(), b"NOOP\r\n" * 10)

        assert await client.is_closed()
        await relay.has_records(1)

    assert "failed" not in caplog.text


async def test_the_timer_of_an_earlier_wait_ends_no_later_wait() -> None:
    loop, limit = asyncio.get_running_loop(), TimeLimit()
    first, second = loop.create_future(), loop.create_future()
    first.set_result(None)
    gone_off = loop.create_future()
    soon = loop.time() + 0.01
    await limit.wait(first, soon)
    waiting = asyncio.create_task(limit.wait(second, soon + GUARD_SECONDS))
    loop.call_at(soon + 0.01, gone_off.set_result, None)
    await gone_off

    assert not waiting.done()
    second.set_result(None)
    await waiting
    limit.end()


async def test_a_wait_ends_in_time_after_a_longer_wait() -> None:
    loop, limit = asyncio.get_running_loop(), TimeLimit()
    first = loop.create_future()
    first.set_result(None)
    await limit.wait(first, loop.time() + 2 * GUARD_SECONDS)

    with pytest.raises(TooSlow):
        async with asyncio.timeout(GUARD_SECONDS):
            await limit.wait(loop.create_future(), loop.time() + 0.01)
    limit.end()
