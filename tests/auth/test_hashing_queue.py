"""The queue for password hashes: limits for each caller, and a lower priority than other work."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from mailsettings.auth.passwords import NICENESS, HashingQueue
from mailsettings.domain.errors import TooManyLogins

from support.timeouts import GUARD_SECONDS

PATIENCE_SECONDS = GUARD_SECONDS


class Work:
    """Notes which callers run; each waits for `release`."""

    def __init__(self) -> None:
        self.running: list[str] = []
        self.release = threading.Event()
        self._begun = threading.Condition()

    def __call__(self, caller: str) -> str:
        with self._begun:
            self.running.append(caller)
            self._begun.notify_all()
        self.release.wait(PATIENCE_SECONDS)
        return caller

    async def wait_for(self, number: int) -> None:
        """Until so many have begun."""
        await asyncio.to_thread(self._wait_for, number)

    def _wait_for(self, number: int) -> None:
        with self._begun:
            assert self._begun.wait_for(lambda: len(self.running) >= number, PATIENCE_SECONDS)


@pytest.fixture
def work() -> Iterator[Work]:
    work = Work()
    yield work
    work.release.set()


@pytest.fixture
async def queue() -> AsyncIterator[HashingQueue]:
    queue = HashingQueue(max_concurrent=4, max_concurrent_per_caller=2, places=8, max_places_per_caller=3)
    yield queue
    queue.close()


async def test_a_caller_gets_limited_threads_and_places(queue: HashingQueue, work: Work) -> None:
    many = [asyncio.create_task(queue.run(["a"], work, "a")) for _ in range(5)]
    await work.wait_for(2)
    other = asyncio.create_task(queue.run(["b"], work, "b"))
    await work.wait_for(3)
    begun = sorted(work.running)
    work.release.set()
    results = await asyncio.gather(*many, other, return_exceptions=True)

    assert begun == ["a", "a", "b"]
    assert [type(result) for result in results] == [str] * 3 + [TooManyLogins] * 2 + [str]


async def test_work_for_two_callers_counts_against_both(queue: HashingQueue, work: Work) -> None:
    tasks = [asyncio.create_task(queue.run([f"address {number}", "a"], work, "a")) for number in range(4)]
    await work.wait_for(2)
    with pytest.raises(TooManyLogins):
        await queue.run(["address 9", "a"], work, "a")
    other = asyncio.create_task(queue.run(["address 1", "b"], work, "b"))
    await work.wait_for(3)
    work.release.set()
    results = await asyncio.gather(*tasks, other, return_exceptions=True)

    assert sorted(work.running) == ["a", "a", "a", "b"]
    assert sum(isinstance(result, TooManyLogins) for result in results) == 1


async def test_the_total_number_of_places_is_bounded(queue: HashingQueue, work: Work) -> None:
    many = [asyncio.create_task(queue.run([f"caller {number}"], work, "x")) for number in range(9)]
    await work.wait_for(4)
    work.release.set()
    results = await asyncio.gather(*many, return_exceptions=True)

    assert sum(isinstance(result, TooManyLogins) for result in results) == 1


async def test_finished_work_frees_places_and_forgets_callers(queue: HashingQueue, work: Work) -> None:
    work.release.set()
    for _ in range(3):
        await asyncio.gather(*(queue.run(["a", "b"], work, "x") for _ in range(3)))

    assert queue._usages == {}  # noqa: SLF001  # else a client with ever new names would fill the memory


async def test_a_failure_frees_its_place(queue: HashingQueue) -> None:
    for _ in range(9):
        with pytest.raises(ZeroDivisionError):
            await queue.run(["a"], lambda: 1 // 0)


@pytest.mark.skipif(sys.platform != "linux", reason="Only Linux has a niceness for each thread.")
async def test_hashing_threads_have_a_lower_priority(queue: HashingQueue) -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    assert await queue.run([], niceness) == min(niceness() + NICENESS, 19)
