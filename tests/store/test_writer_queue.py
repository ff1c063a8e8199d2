"""Writers take turns in order, and a failure reaches all that wait for it."""

import asyncio

import pytest

from mailsettings.domain.errors import StoreUnavailable
from mailsettings.store import database
from mailsettings.store.database import WriterQueue


async def queued(waiting: WriterQueue, writers: int, fail: set[int]) -> list[int | str]:
    """Return the results of writers that arrive in sequence while the first has its turn."""
    order: list[int | str] = []

    async def write(number: int) -> None:
        try:
            async with waiting.take():
                await asyncio.sleep(0)
                order.append(number)
                if number in fail:
                    raise StoreUnavailable  # noqa: TRY301  # through the turn, which is what this is about
        except StoreUnavailable:
            order.append(f"{number} failed")

    await asyncio.gather(*(write(number) for number in range(writers)))
    return order


async def test_writers_take_turns_in_their_order_of_arrival() -> None:
    assert await queued(WriterQueue(), 60, set()) == list(range(60))


async def test_an_unavailable_store_fails_all_waiting_writers_at_once() -> None:
    waiting = WriterQueue()

    first = await queued(waiting, 5, {1})
    then = await queued(waiting, 3, set())

    assert first == [0, 1, "1 failed", "2 failed", "3 failed", "4 failed"]
    assert then == [0, 1, 2]


async def test_a_writer_that_arrives_later_tries_for_itself() -> None:
    waiting = WriterQueue()
    late: list[asyncio.Task[list[int | str]]] = []

    async def fail() -> None:
        async with waiting.take():
            late.append(asyncio.create_task(queued(waiting, 1, set())))
            raise StoreUnavailable

    with pytest.raises(StoreUnavailable):
        await fail()

    assert await late[0] == [0]


async def test_an_error_of_one_writer_does_not_affect_others() -> None:
    waiting = WriterQueue()

    async def fail() -> None:
        async with waiting.take():
            await asyncio.sleep(0)
            raise KeyError

    failed, order = await asyncio.gather(fail(), queued(waiting, 3, set()), return_exceptions=True)

    assert isinstance(failed, KeyError)
    assert order == [0, 1, 2]


async def test_no_writer_waits_without_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "WRITER_QUEUE_TIMEOUT_SECONDS", 0.01)
    waiting = WriterQueue()
    async with waiting.take():
        assert await queued(waiting, 1, set()) == ["0 failed"]

    assert await queued(waiting, 1, set()) == [0]
