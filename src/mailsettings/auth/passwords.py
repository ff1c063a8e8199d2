"""Hash passwords with argon2id, which is slow by design, on a bounded number of threads.

Each caller (an account or a network address) gets a bounded part of the queue, so a flood of logins from one
caller delays only that caller.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from typing import TypeVar, TypeVarTuple

from argon2 import PasswordHasher as Argon2
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from mailsettings.domain.errors import TooManyLogins

MAX_CONCURRENT_HASHES = 4
"""Concurrent hashes. Each takes 64 MiB (RFC 9106 4), so a flood of logins takes at most 256 MiB."""
MAX_CONCURRENT_HASHES_PER_CALLER = 2
"""Of these, for one account or one address."""
MAX_WAITING_HASHES = 60
"""Waiting hashes; the last of them waits for a few seconds."""
MAX_HASHES_PER_CALLER = 16
"""Running and waiting, for one account or one address."""
RETRY_AFTER_SECONDS = 5
NICENESS = 10
"""Of the hashing threads, so that cheap requests go first on a busy processor."""

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")


class CallerUsage:
    """What one caller uses of the queue at the moment."""

    def __init__(self, max_concurrent: int) -> None:
        self.places = 0
        self.turns = asyncio.Semaphore(max_concurrent)


class HashingQueue:
    """Runs work on *max_concurrent* threads; a caller gets some of them and of the places in the queue."""

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


class Argon2Passwords:
    """Hashes and verifies passwords on its own threads."""

    def __init__(self, argon2: Argon2 | None = None) -> None:
        self._argon2 = argon2 or Argon2.from_parameters(RFC_9106_LOW_MEMORY)
        self._queue = HashingQueue(
            MAX_CONCURRENT_HASHES,
            MAX_CONCURRENT_HASHES_PER_CALLER,
            MAX_CONCURRENT_HASHES + MAX_WAITING_HASHES,
            MAX_HASHES_PER_CALLER,
        )
        # Verified when no account exists, so that an unknown name takes as long as a wrong password.
        self._dummy_hash: str | None = None

    async def hash(self, password: str) -> str:
        """Return a new hash of *password*, with its parameters. Raises `TooManyLogins`."""
        return await self._queue.run((), self._argon2.hash, _encode(password))

    async def verify(self, password: str, password_hash: str | None, callers: Collection[str] = ()) -> bool:
        """Return whether *password* matches; None stands for no account and never matches.

        The work counts against the limits of each of *callers*. Raises `TooManyLogins`.
        """
        if self._dummy_hash is None:  # for every name, so that the first unknown name takes no longer
            self._dummy_hash = await self._queue.run(callers, self._argon2.hash, b"no account has this password")
        compared = password_hash or self._dummy_hash or ""
        matches = await self._queue.run(callers, self._matches, compared, _encode(password))
        return matches and password_hash is not None

    def _matches(self, password_hash: str, password: bytes) -> bool:
        try:
            return self._argon2.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    def close(self) -> None:
        """Stop the threads."""
        self._queue.close()


def _encode(password: str) -> bytes:
    """Return UTF-8, also for a lone surrogate: that is a wrong password, not an error of the service."""
    return password.encode("utf-8", "surrogatepass")
