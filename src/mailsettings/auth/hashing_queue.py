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

BUSY_SECONDS = 5
NICENESS = 10
"""Of the threads: where the processor is short, requests that only read go first."""

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")


class Share:
    """What one caller has of the queue at the moment."""

    def __init__(self, at_once: int) -> None:
        self.places = 0
        self.turns = asyncio.Semaphore(at_once)


class HashingQueue:
    """Runs work on *at_once* threads; each caller has *at_once_each* of them and *places_each* of all *places*."""

    def __init__(self, at_once: int, at_once_each: int, places: int, places_each: int) -> None:
        self._threads = ThreadPoolExecutor(at_once, "argon2", _give_way)
        self._at_once_each = at_once_each
        self._places = places
        self._places_each = places_each
        self._taken = 0
        self._shares: dict[str, Share] = {}

    async def run(
        self, callers: Collection[str], work: Callable[[*Arguments], Result], *arguments: *Arguments
    ) -> Result:
        """The result of *work*, done when all *callers* have a turn. Raises `TooManyLogins`."""
        with self._place(callers) as shares:
            async with AsyncExitStack() as turns:
                for share in shares:
                    await turns.enter_async_context(share.turns)
                return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @contextmanager
    def _place(self, callers: Collection[str]) -> Iterator[list[Share]]:
        """A place in the queue, in the shares of *callers*."""
        waiting = [self._shares[caller].places for caller in callers if caller in self._shares]
        if self._taken >= self._places or max(waiting, default=0) >= self._places_each:
            raise TooManyLogins("Too many logins at once.", BUSY_SECONDS)
        shares = [self._shares.setdefault(caller, Share(self._at_once_each)) for caller in callers]
        self._change(shares, +1)
        try:
            yield shares
        finally:
            self._change(shares, -1)
            for caller in callers:
                if self._shares[caller].places == 0:
                    del self._shares[caller]

    def _change(self, shares: Collection[Share], by: int) -> None:
        self._taken += by
        for share in shares:
            share.places += by


def _give_way() -> None:
    # nice(2): on Linux of the calling thread alone, elsewhere of the whole process
    os.nice(NICENESS if sys.platform == "linux" else 0)
