"""Whose turn it is to write, among the requests of one process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mailsettings.domain.errors import StoreUnavailable

WRITER_QUEUE_TIMEOUT_SECONDS = 10
"""How long a writer waits for those before it while each of them gets through."""


class WriterQueue:
    """One at a time, in the order they came.

    Each that waits for the database's own lock holds a connection of the pool, and enough of them would hold them
    all, so that reading waits too. SQLite has no queue either: a writer that is unlucky tries until it gives up.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._failed = 0

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """The turn, while the block runs. Raises `StoreUnavailable`.

        Who finds the database away found it for all that wait by then: if each of them tried for itself, the
        last would be answered after as many time limits as there are writers.
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
