"""Turns for work that is slow and large on purpose: few at once, a bounded number in all, a share for each caller.

A caller is whatever the work is done for, such as an account or a network address. Whoever sends many logins at
once waits for its own, while others pass.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from typing import TypeVar, TypeVarTuple

from mailsettings.domain.errors import TooManyLogins

RETRY_AFTER_SECONDS = 5
NICENESS = 10
"""Of the threads: where the processor is short, requests that only read go first."""

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")


class CallerUsage:
    """What one caller has of the queue at the moment."""

    def __init__(self, max_concurrent: int) -> None:
        self.places = 0
        self.turns = asyncio.Semaphore(max_concurrent)


class HashingQueue:
    """Runs work on *at_once* threads; each caller has *at_once_each* of them and *places_each* of all *places*."""

    def __init__(
        self, max_concurrent: int, max_concurrent_per_caller: int, places: int, max_places_per_caller: int
    ) -> None:
        self._threads = ThreadPoolExecutor(max_concurrent, "argon2", _lower_priority)
        self._max_concurrent_per_caller = max_concurrent_per_caller
        self._places = places
        self._max_places_per_caller = max_places_per_caller
        self._taken = 0
        self._usages: dict[str, CallerUsage] = {}

    async def run(
        self, callers: Collection[str], work: Callable[[*Arguments], Result], *arguments: *Arguments
    ) -> Result:
        """The result of *work*, done when all *callers* have a turn. Raises `TooManyLogins`."""
        with self._place(callers) as usages:
            async with AsyncExitStack() as turns:
                for usage in usages:
                    await turns.enter_async_context(usage.turns)
                return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @contextmanager
    def _place(self, callers: Collection[str]) -> Iterator[list[CallerUsage]]:
        """A place in the queue, in the shares of *callers*."""
        waiting = [self._usages[caller].places for caller in callers if caller in self._usages]
        if self._taken >= self._places or max(waiting, default=0) >= self._max_places_per_caller:
            raise TooManyLogins("Too many logins at once.", RETRY_AFTER_SECONDS)
        usages = [
            self._usages.setdefault(caller, CallerUsage(self._max_concurrent_per_caller)) for caller in callers
        ]
        self._change(usages, +1)
        try:
            yield usages
        finally:
            self._change(usages, -1)
            for caller in callers:
                if self._usages[caller].places == 0:
                    del self._usages[caller]

    def _change(self, usages: Collection[CallerUsage], by: int) -> None:
        self._taken += by
        for usage in usages:
            usage.places += by


def _lower_priority() -> None:
    # nice(2): on Linux of the calling thread alone, elsewhere of the whole process
    os.nice(NICENESS if sys.platform == "linux" else 0)
