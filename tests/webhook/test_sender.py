"""One attempt to deliver one event, to a real receiver with real TLS."""

import asyncio
import json
import logging
import ssl
import time
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

import pytest

from mailsettings.domain.monitoring import WaitingEvent
from mailsettings.network.policy import Address, EgressPolicy, EgressPreset, Endpoint
from mailsettings.webhook.sender import WebhookSender

from support.canary import Canary, text_of
from support.connections import make_client
from support.processes import free_port
from support.smtp_server import listening
from support.timeouts import GUARD_SECONDS
from support.webhook_receiver import NAME, TAKEN, make_webhook, receiver_trust, webhook_receiver

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
EVENT = WaitingEvent("msg_1", 0.0, json.dumps({"type": "mail_server.failing", "words": "ünd"}))
HERE = ip_address("127.0.0.1")


class Resolver:
    """Answers with one list after the other."""

    def __init__(self, *answers: Sequence[Address]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str) -> Sequence[Address]:
        self.asked.append(host)
        return self.answers.pop(0) if self.answers else []


def webhook(
    url: str,
    *answers: Sequence[Address],
    policy: EgressPolicy | None = None,
    tls: ssl.SSLContext | None = None,
    **changes: float,
) -> WebhookSender:
    """One behind the gate that connection tests go through."""
    resolver = Resolver(*(answers or ([HERE],)))
    http = make_client(tls or receiver_trust(), policy or EgressPolicy(LOOPBACK, None), resolver)
    return make_webhook(url, http, **changes)


async def test_a_signed_event_goes_to_the_checked_address(
    connects: list[tuple[str, int]],
) -> None:
    async with webhook_receiver() as receiver:
        problem = await webhook(receiver.url).deliver(EVENT)
        (post,) = receiver.posts

    assert problem is None
    assert post.is_signed()
    assert post.body == EVENT.body.encode()
    assert post.line == "POST /hooks/1?to=ops HTTP/1.1"
    assert post.headers["host"] == f"{NAME}:{receiver.port}"
    assert post.headers["webhook-id"] == "msg_1"
    assert abs(int(post.headers["webhook-timestamp"]) - time.time()) < GUARD_SECONDS
    assert receiver.names == [NAME]
    assert [to for to in connects if to[1] == receiver.port] == [("127.0.0.1", receiver.port)]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 500 canary\r\nContent-Length: 6\r\n\r\ncanary",
        b"HTTP/1.1 404 No\r\n\r\n",
        b"HTTP/1.1 410 Gone\r\n\r\n",
        b"HTTP/1.1 101 canary\r\n\r\n",
        b"SSH-2.0-canary\r\n",
        b"\xff\x00canary",
        b"HTTP/1.1 200 OK\r\nX: " + b"canary" * 100_000,
        b"",
    ],
    ids=lambda answer: answer[:15],
)
async def test_any_other_answer_fails_without_quoting_it(answer: bytes) -> None:
    async with webhook_receiver() as receiver:
        receiver.answers = [answer]
        problem = await webhook(receiver.url).deliver(EVENT)

    assert problem
    assert "canary" not in problem
    assert len(receiver.posts) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_a_failure_and_not_followed(status: int) -> None:
    async with webhook_receiver() as receiver, webhook_receiver() as elsewhere:
        location = f"Location: https://{NAME}:{elsewhere.port}/\r\nContent-Length: 0\r\n\r\n"
        receiver.answers = [f"HTTP/1.1 {status} Elsewhere\r\n{location}".encode()]
        problem = await webhook(receiver.url, [HERE], [HERE]).deliver(EVENT)

    assert problem == f"the response has the status {status}"
    assert (len(receiver.posts), len(elsewhere.posts)) == (1, 0)


async def test_delivery_does_not_wait_for_a_response_body() -> None:
    hung_up = asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
                await writer.drain()
        except OSError:
            hung_up.set()

    async with webhook_receiver(endless) as receiver, asyncio.timeout(GUARD_SECONDS):
        assert await webhook(receiver.url).deliver(EVENT) is None
        await hung_up.wait()


async def test_a_slow_receiver_is_left_at_the_timeout() -> None:
    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"H")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with webhook_receiver(drip) as receiver, asyncio.timeout(GUARD_SECONDS):
        assert await webhook(receiver.url, timeout_seconds=0.5).deliver(EVENT) == "it took too long"


@pytest.mark.parametrize("name", ["other.example.org", "127.0.0.1"])
async def test_a_certificate_for_another_name_gets_nothing(name: str) -> None:
    async with webhook_receiver(name=name) as receiver:
        problem = await webhook(receiver.url).deliver(EVENT)

    assert problem in {"TLS failed: Hostname mismatch", "TLS failed: IP address mismatch"}
    assert receiver.posts == []


async def test_an_authority_that_is_not_trusted_gets_nothing() -> None:
    async with webhook_receiver() as receiver:
        problem = await webhook(receiver.url, tls=ssl.create_default_context()).deliver(EVENT)

    assert (problem, receiver.posts) == ("TLS failed: unable to get local issuer certificate", [])


async def test_a_closed_port_and_an_unknown_host_fail() -> None:
    def nobody(_host: str) -> Sequence[Address]:
        raise OSError("canary")

    refused = await webhook(f"https://{NAME}:{free_port()}/").deliver(EVENT)
    unknown = await make_webhook(f"https://{NAME}/", make_client(receiver_trust(), resolve=nobody)).deliver(EVENT)

    assert (refused, unknown) == ("the connection failed: refused", "the host was not found")


async def test_the_next_address_is_used_after_a_refusal() -> None:
    async with webhook_receiver() as receiver:
        problem = await webhook(receiver.url, [ip_address("::1"), HERE]).deliver(EVENT)

    assert (problem, len(receiver.posts)) == (None, 1)


@pytest.mark.parametrize(
    ("addresses", "preset"),
    [
        (["127.0.0.1"], EgressPreset.PRIVATE),
        (["169.254.169.254"], EgressPreset.PRIVATE),
        (["::ffff:127.0.0.1"], EgressPreset.PRIVATE),
        (["10.1.2.3"], EgressPreset.PUBLIC),
        (["192.168.1.1"], EgressPreset.PUBLIC),
        (["fd00::1"], EgressPreset.PUBLIC),
        (["93.184.215.14", "10.1.2.3"], EgressPreset.PUBLIC),
        (["93.184.215.14"], EgressPreset.ALLOWLIST),
        ([], EgressPreset.PRIVATE),
    ],
)
async def test_a_closed_address_is_not_connected_to(
    connects: list[tuple[str, int]], addresses: list[str], preset: EgressPreset
) -> None:
    policy = EgressPolicy(preset=preset, allowed_ports=None)
    found = [ip_address(address) for address in addresses]
    problem = await webhook(f"https://{NAME}/", found, policy=policy).deliver(EVENT)

    assert problem == "its address is not allowed"
    assert connects == []


async def test_our_own_endpoints_stay_closed_to_webhooks(connects: list[tuple[str, int]]) -> None:
    policy = EgressPolicy(LOOPBACK, None, own=(Endpoint("127.0.0.1", 5432),))
    problem = await webhook("https://127.0.0.1:5432/", policy=policy).deliver(EVENT)

    assert (problem, connects) == ("its address is not allowed", [])


async def test_each_delivery_looks_the_name_up_once(connects: list[tuple[str, int]]) -> None:
    resolver = Resolver([HERE], [ip_address("169.254.169.254")])
    http = make_client(receiver_trust(), EgressPolicy(LOOPBACK, None), resolver)
    async with webhook_receiver() as receiver:
        told = make_webhook(receiver.url, http)
        first = await told.deliver(EVENT)
        assert resolver.asked == [NAME]
        second = await told.deliver(EVENT)

    assert (first, second) == (None, "its address is not allowed")
    assert {address for address, _ in connects} == {"127.0.0.1"}


async def test_an_http_receiver_on_this_machine_works() -> None:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(TAKEN)
        await writer.drain()

    async with listening(serve) as port:
        assert await webhook(f"http://127.0.0.1:{port}/").deliver(EVENT) is None
    assert f"host: 127.0.0.1:{port}\r\n".encode() in heard[0]


async def test_the_webhook_url_is_in_no_log_or_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    canary = Canary(plain=True)
    async with webhook_receiver() as receiver:
        receiver.answers = [b"HTTP/1.1 500 No\r\n\r\n"]
        told = webhook(f"https://{NAME}:{receiver.port}/{canary}")
        problem = await told.deliver(EVENT)

    assert canary.secret in receiver.posts[0].line
    assert problem is not None
    canary.assert_nowhere(problem, repr(told), *(text_of(record) for record in caplog.records))


async def test_a_receiver_is_reached_without_an_event() -> None:
    async with webhook_receiver() as receiver:
        await webhook(receiver.url).reach()

    assert receiver.posts == []
