"""The connection level over a real socket, fed packet by packet."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from mailsettings.server.capacity import Allocation, Capacity, CapacityLimits, ConnectionSlot
from mailsettings.server.connection import BoundedConnection, ConnectionLimits
from mailsettings.server.listener import Listener

from support.raw_http import PATIENCE_SECONDS, statuses

OFFERS = {
    "Java": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n",
    "lower case": b"connection: upgrade\r\nupgrade: h2c\r\n",
    "mixed case, several": b"UpGrAdE: h2c, websocket\r\nCONNECTION: keep-alive,uPGRADE\r\n",
    "TLS": b"Upgrade: TLS/1.2\r\nConnection: Upgrade\r\n",
}
FORM = b"grant_type=password&username=admin&password=correct+horse"
FRAMINGS = {
    "with its length": b"Content-Length: %d\r\n\r\n%b" % (len(FORM), FORM),
    "chunked": b"Transfer-Encoding: chunked\r\n\r\n%x;a=b\r\n%b\r\n0\r\n\r\n" % (len(FORM), FORM),
}
NEXT = b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n"


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with method, path and body."""
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if not message["more_body"]:
            break
    answer = json.dumps([scope["method"], scope["path"], body.decode()]).encode()
    length = [(b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    await send({"type": "http.response.body", "body": answer})


class Client:
    """The other end of a connection."""

    def __init__(self, connection: BoundedConnection, reader: asyncio.StreamReader) -> None:
        self.connection = connection
        self.reader = reader

    def deliver(self, *packets: bytes) -> None:
        for packet in packets:
            if not self.connection.transport.is_closing():
                self.connection.data_received(packet)

    async def answer(self) -> tuple[int, object]:
        async with asyncio.timeout(PATIENCE_SECONDS):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            body = await self.reader.readexactly(length)
        return statuses(head)[0], json.loads(body) if body.startswith(b"[") else body.decode()


@asynccontextmanager
async def connected(app: ASGIApp = echo) -> AsyncIterator[Client]:
    config = uvicorn.Config(app, ws="none", log_config=None, access_log=False)
    ours, theirs = socket.socketpair()
    loop = asyncio.get_running_loop()

    def make(slot: ConnectionSlot, account: Allocation) -> BoundedConnection:
        return BoundedConnection(
            slot, account, ConnectionLimits(), config=config, server_state=ServerState(), app_state={}
        )

    listener = Listener(Capacity(CapacityLimits()), make, ConnectionLimits(), None)
    transport, _ = await loop.connect_accepted_socket(listener.accept, ours)
    connection = transport.get_protocol()
    assert isinstance(connection, BoundedConnection)
    reader, writer = await asyncio.open_connection(sock=theirs)
    try:
        yield Client(connection, reader)
    finally:
        transport.close()
        writer.close()
        await writer.wait_closed()


def in_two(sent: bytes) -> Iterator[Sequence[bytes]]:
    return ((sent[:at], sent[at:]) for at in range(1, len(sent)))


@pytest.mark.parametrize("framing", FRAMINGS.values(), ids=FRAMINGS)
@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
async def test_an_offered_upgrade_is_ignored_wherever_packets_end(offer: bytes, framing: bytes) -> None:
    request = b"POST /login HTTP/1.1\r\nHost: x\r\n" + offer + framing
    async with connected() as client:
        for packets in [*in_two(request), [request[at : at + 1] for at in range(len(request))]]:
            client.deliver(*packets)

            assert await client.answer() == (200, ["POST", "/login", FORM.decode()])


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
async def test_requests_after_upgrade_in_one_packet_are_answered_too(offer: bytes) -> None:
    heads = [b"%b / HTTP/1.1\r\nHost: x\r\n" % method + offer for method in (b"GET", b"PUT", b"POST")]
    requests = [heads[0] + b"\r\n", *(heads[1] + framing for framing in FRAMINGS.values()), NEXT]
    async with connected() as client:
        client.deliver(b"".join(requests))
        answers = [await client.answer() for _ in requests]

    assert answers == [
        (200, ["GET", "/", ""]),
        *[(200, ["PUT", "/", FORM.decode()])] * 2,
        (200, ["GET", "/next", ""]),
    ]


@pytest.mark.parametrize("length", [b"0", b"00"])
async def test_an_upgrade_with_an_empty_body_is_answered(length: bytes) -> None:
    request = b"POST / HTTP/1.1\r\nHost: x\r\n%bContent-Length: %b\r\n\r\n" % (OFFERS["Java"], length)
    async with connected() as client:
        client.deliver(request + NEXT)

        assert await client.answer() == (200, ["POST", "/", ""])
        assert await client.answer() == (200, ["GET", "/next", ""])


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(b"Transfer-Encoding: gzip\r\n\r\nab", id="TE gzip"),
        pytest.param(b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\nab", id="TE and CL"),
        pytest.param(b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", id="two CL"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\nxy\r\n", id="not a chunk"),
        pytest.param(b"X: y\r\n folded\r\n\r\n", id="folded field"),
    ],
)
async def test_an_upgrade_does_not_hide_an_ambiguous_body(fields: bytes) -> None:
    async with connected() as client:
        client.deliver(b"POST / HTTP/1.1\r\nHost: x\r\n" + OFFERS["Java"] + fields)

        assert await client.answer() == (400, "Bad Request")


async def test_body_that_looks_like_a_request_stays_a_body() -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n" % (OFFERS["Java"], len(NEXT))
    async with connected() as client:
        client.deliver(head + NEXT, NEXT)

        assert await client.answer() == (200, ["POST", "/", NEXT.decode()])
        assert await client.answer() == (200, ["GET", "/next", ""])


async def in_chunks(scope: Scope, receive: Receive, send: Send) -> None:  # the ASGI signature
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"one, ", "more_body": True})
    await send({"type": "http.response.body", "body": b"two"})


async def test_http_1_0_gets_an_answer_without_chunks() -> None:
    """RFC 9112 6.1: a server must not send Transfer-Encoding to it."""
    async with connected(in_chunks) as client:
        client.deliver(b"GET / HTTP/1.0\r\n\r\n")
        answer = await client.reader.read()

    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert body == b"one, two"


async def test_http_1_1_gets_the_same_answer_in_chunks() -> None:
    async with connected(in_chunks) as client:
        client.deliver(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = await client.reader.read()

    assert b"\r\ntransfer-encoding: chunked\r\n" in answer
    assert answer.endswith(b"\r\n\r\n5\r\none, \r\n3\r\ntwo\r\n0\r\n\r\n")


@pytest.mark.parametrize("version", ["0.9", "2.0", "1.2"])
async def test_other_versions_than_http_1_0_and_1_1_fail(version: str) -> None:
    async with connected() as client:
        client.deliver(f"GET / HTTP/{version}\r\nHost: x\r\n\r\n".encode())

        assert await client.answer() == (400, "Bad Request")


@contextmanager
def eof(client: Client) -> Iterator[None]:
    """The client closes its side after this."""
    yield
    if not client.connection.eof_received():
        client.connection.transport.close()


class Gate:
    """Answers when it may."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.asked: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.append(scope["path"])
        await self.may_answer.wait()
        await echo(scope, receive, send)


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        pytest.param(NEXT, ["/next"], id="kept alive"),
        pytest.param(NEXT.replace(b"Host", b"Connection: close\r\nHost"), ["/next"], id="closing"),
        pytest.param(NEXT * 3, ["/next"] * 3, id="three in a row"),
        pytest.param(b"POST /a HTTP/1.1\r\nHost: x\r\n" + FRAMINGS["chunked"], ["/a"], id="with a body"),
        pytest.param(NEXT + NEXT[:20], ["/next"], id="the next one without its end"),
        pytest.param(
            NEXT * 2 + b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab",
            ["/next"] * 2,
            id="the third without the end of its body",
        ),
        pytest.param(
            b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab", [], id="without the end of its body"
        ),
        pytest.param(NEXT[:20], [], id="without its end"),
        pytest.param(b"", [], id="nothing"),
    ],
)
async def test_a_half_closed_connection_gets_its_responses(sent: bytes, answered: list[str]) -> None:
    gate = Gate()
    async with connected(gate) as client:
        with eof(client):
            client.deliver(sent)
        await asyncio.sleep(0)
        gate.may_answer.set()
        async with asyncio.timeout(PATIENCE_SECONDS):
            received = await client.reader.read()

    assert statuses(received) == [200] * len(answered)
    assert [path for path in answered if f'"{path}"'.encode() in received] == answered


LARGE = b"POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:  # the ASGI signature
    await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def test_an_answer_in_place_of_100_closes_the_connection() -> None:
    """Else a next request could be taken for the body that was never sent (RFC 9110 10.1.1)."""
    async with connected(refuse) as client:
        client.deliver(LARGE)
        await asyncio.sleep(0)
        client.deliver(NEXT)
        received = await client.reader.read()

    assert statuses(received) == [413]
    assert b"\r\nconnection: close\r\n" in received


async def test_client_that_sends_its_body_unasked_keeps_its_connection() -> None:
    async with connected(refuse) as client:
        client.deliver(LARGE + b"abc")

        assert await client.answer() == (413, "")
        assert not client.connection.transport.is_closing()
