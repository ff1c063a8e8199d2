"""A queue of the writers in one process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mailsettings.domain.errors import StoreUnavailable

WRITER_QUEUE_TIMEOUT_SECONDS = 10
"""How long a writer waits for the writers before it."""


class WriterQueue:
    """Admits one writer at a time, in the order of arrival.

    Without it, each writer would wait for the database's lock while it holds a connection of the pool; enough of
    them would use up the pool and block readers too. And SQLite has no queue: an unlucky writer retries until it
    gives up.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._failed = 0

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Wait for the turn and hold it during the block. Raises `StoreUnavailable`.

        When one writer finds the database unavailable, all writers that wait at that moment fail with it. If each
        of them tried for itself, the last one would wait for as many time limits as there are writers.
        """
        failed_before = self._failed
        try:
            async with asyncio.timeout(WRITER_QUEUE_TIMEOUT_SECONDS):
                await self._lock.acquire()
        except TimeoutError:
            raise StoreUnavailable from None
        try:
            if self._failed != failed_before:
                raise StoreUnavailable
            async with self._noting_failure():
                yield
        finally:
            self._lock.release()

    @asynccontextmanager
    async def _noting_failure(self) -> AsyncIterator[None]:
        try:
            yield
        except StoreUnavailable:
            self._failed += 1
            raise
