"""Server-sent events: the bytes on the wire, the end of an operation, and that it never waits for a client."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from starlette.requests import Request
from starlette.types import Message

from mailsettings.domain.errors import MailServerNotFound
from mailsettings.web.event_stream import Emit, Event, event_stream, wants_events

from support.timeouts import GUARD_SECONDS


@dataclass
class Client:
    """Keeps what it gets; `gone` disconnects it, and without `reads` it takes nothing."""

    got: list[bytes] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    reads: asyncio.Event = field(default_factory=asyncio.Event)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await self.reads.wait()
        async with self.news:
            self.got.append(message.get("body", b""))
            self.news.notify_all()

    async def until(self, text: bytes) -> None:
        async with asyncio.timeout(GUARD_SECONDS), self.news:
            await self.news.wait_for(lambda: text in b"".join(self.got))


@asynccontextmanager
async def streamed(
    work: Callable[[Emit], Awaitable[None]], *, outlives: bool = False, silence: float = 60, reads: bool = True
) -> AsyncIterator[Client]:
    client = Client()
    if reads:
        client.reads.set()
    response = await event_stream(work, str, outlives_client=outlives, silence=silence)
    sending = asyncio.create_task(response({"type": "http"}, client.receive, client.send))
    yield client
    client.reads.set()
    async with asyncio.timeout(GUARD_SECONDS):
        await sending


def accepts(value: str) -> Request:
    return Request({"type": "http", "headers": [(b"accept", value.encode())]})


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("text/event-stream", True),
        ("Text/Event-Stream; q=1", True),
        ("application/json;q=0.5, text/event-stream;q=0.9", True),
        ("application/json, text/event-stream", False),
        ("text/event-stream;q=0", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_events_are_for_clients_that_prefer_them(accept: str, expected: bool) -> None:
    """RFC 9110 12.5.1."""
    assert wants_events(accepts(accept)) is expected


async def test_events_have_a_name_and_one_line_of_data() -> None:
    """HTML standard 9.2.6: a field a line, and an empty line after each event."""

    async def work(emit: Emit) -> None:
        emit(Event("begun", "{}"))
        emit(Event("done", '{"a":1}'))

    async with streamed(work) as client:
        await client.until(b"done")

    assert b"".join(client.got) == b'event: begun\ndata: {}\n\nevent: done\ndata: {"a":1}\n\n'


async def test_an_error_before_the_first_event_is_raised() -> None:
    async def work(_emit: Emit) -> None:
        raise MailServerNotFound

    with pytest.raises(MailServerNotFound):
        await event_stream(work, str, outlives_client=False)


async def test_a_later_error_is_an_event() -> None:
    async def work(emit: Emit) -> None:
        emit(Event("begun", "{}"))
        raise MailServerNotFound

    async with streamed(work) as client:
        await client.until(b"event: error\ndata: There is no such mail server.\n\n")


async def test_silence_is_filled_with_comments() -> None:
    async def work(emit: Emit) -> None:
        emit(Event("begun", "{}"))
        await asyncio.Event().wait()

    async with streamed(work, silence=0.01) as client:
        await client.until(b": still running\n\n: still running\n\n")
        client.gone.set()


async def test_a_disconnect_ends_the_operation() -> None:
    ended = asyncio.Event()

    async def work(emit: Emit) -> None:
        emit(Event("begun", "{}"))
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with streamed(work) as client:
        await client.until(b"begun")
        client.gone.set()
        async with asyncio.timeout(GUARD_SECONDS):
            await ended.wait()


async def test_an_operation_may_outlive_its_client() -> None:
    go, ended = asyncio.Event(), asyncio.Event()

    async def work(emit: Emit) -> None:
        emit(Event("begun", "{}"))
        await go.wait()
        ended.set()

    async with streamed(work, outlives=True) as client:
        await client.until(b"begun")
        client.gone.set()
    go.set()
    async with asyncio.timeout(GUARD_SECONDS):
        await ended.wait()


async def test_a_slow_reader_does_not_hold_the_operation() -> None:
    ended = asyncio.Event()

    async def work(emit: Emit) -> None:
        for number in range(1000):
            emit(Event("stage", str(number)))
            await asyncio.sleep(0)
        ended.set()

    async with streamed(work, reads=False) as client:
        async with asyncio.timeout(GUARD_SECONDS):
            await ended.wait()
        assert client.got == []
        client.gone.set()
