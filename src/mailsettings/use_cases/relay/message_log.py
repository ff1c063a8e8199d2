"""Writes the message log apart from the mail: a mail is handed on whether its record can be written or not.

`note` puts a record into memory. A task writes the records in batches, and tries again while the database is away.
Memory is bounded; the log of the program says how many records were lost.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

from mailsettings.domain.device_overview import DeviceUse
from mailsettings.domain.errors import StoreUnavailable
from mailsettings.domain.message_log import LoggedMessage, MessageRecord, first_id, logged
from mailsettings.store.database import SQLStore
from mailsettings.store.database_errors import StatementRejected
from mailsettings.use_cases.lease import outline, shielded

KEEP_DAYS = 30
GATHER_SECONDS = 1.0
"""Records wait so long for others: a commit for each message would cost more than the message."""
MAX_WAITING_ROWS = 20_000
"""Of records and recipients: some 10 MB."""
MAX_BATCH = 250
RETRY_SECONDS = 5.0
END_TIMEOUT_SECONDS = 5.0
REMOVAL_SECONDS = 3600.0
MAX_REMOVED = 500
_PAUSE_BETWEEN_REMOVALS = 0.1
_log = logging.getLogger("mailsettings.relay")


class MessageLog:
    """The message log of one relay; `lost` counts the records that were not written."""

    def __init__(
        self,
        store: SQLStore,
        keep_days: int = KEEP_DAYS,
        *,
        gather_seconds: float = GATHER_SECONDS,
        retry_seconds: float = RETRY_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.lost = 0
        self.on_lost: Callable[[int], None] = lambda _count: None
        """Called with the number of records that were just lost."""
        self._store = store
        self._keep = timedelta(days=keep_days)
        self._gather_seconds = gather_seconds
        self._retry_seconds = retry_seconds
        self._clock = clock
        self._records: deque[MessageRecord] = deque()
        self._in_hand: list[MessageRecord] = []
        self._batch: list[LoggedMessage] = []
        self._rows = 0
        self._any = asyncio.Event()
        self._away = False

    @property
    def waiting(self) -> int:
        """How many records wait to be written."""
        return len(self._records) + len(self._in_hand)

    def note(self, record: MessageRecord) -> None:
        """Take a record to be written soon. Never waits and never raises."""
        rows = _rows(record)
        if self._rows + rows > MAX_WAITING_ROWS:
            self._lose(1)
            return
        self._records.append(record)
        self._rows += rows
        self._any.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write records in the background during the block, and the rest of them at its end."""
        tasks = {asyncio.create_task(self._write_forever()), asyncio.create_task(self._remove_forever())}
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await self._write_rest()

    async def write_waiting(self) -> None:
        """Write the records that wait now. Raises `StoreUnavailable`; the records then wait for the next time.

        Records that arrive meanwhile gather first: on SQLite each commit makes every process read again.
        """
        left = self.waiting
        while left > 0:
            if not self._batch:
                self._in_hand = [self._records.popleft() for _ in range(min(MAX_BATCH, len(self._records)))]
                # They get their ids once: a batch that is written again, because its commit was not confirmed,
                # makes no second rows.
                self._batch = list(map(logged, self._in_hand))
            left -= len(self._in_hand)
            await shielded(self._write_batch())

    async def remove_old(self) -> None:
        """Remove the messages that were kept long enough, a part at a time. Raises `StoreUnavailable`."""
        end = first_id(datetime.fromtimestamp(self._clock(), UTC) - self._keep)
        removed = MAX_REMOVED
        while removed == MAX_REMOVED:
            removed = await shielded(self._remove_part(end))
            await asyncio.sleep(_PAUSE_BETWEEN_REMOVALS)

    async def _write_batch(self) -> None:
        try:
            await self._write(self._batch)
        except StatementRejected:
            await self._write_one_by_one()
        self._end_batch()

    async def _write_one_by_one(self) -> None:
        """Write each record of the batch that the database accepts, and lose the others."""
        for message in self._batch:
            try:
                await self._write([message])
            except StatementRejected as refused:
                _log.error("The database rejected a record of the message log: %s.", refused)
                self._lose(1)

    async def _write(self, batch: Sequence[LoggedMessage]) -> None:
        async with self._store.writing_unqueued() as work:
            await work.messages.add(batch)
            await work.messages.note_uses(_uses(batch))

    def _end_batch(self) -> None:
        self._rows -= sum(map(_rows, self._in_hand))
        self._in_hand, self._batch = [], []

    def _lose(self, count: int) -> None:
        self.lost += count
        self.on_lost(count)

    async def _write_forever(self) -> None:
        while True:
            await self._any.wait()
            await asyncio.sleep(self._gather_seconds)
            self._any.clear()
            try:
                await self._write_safely()
            except StoreUnavailable:
                await self._wait_for_database()
            self._say_when_back()

    async def _write_safely(self) -> None:
        """Write the records that wait now; lose a batch that fails unexpectedly. Raises `StoreUnavailable`."""
        is_written = False
        while not is_written:
            try:
                await self.write_waiting()
                is_written = True
            except StoreUnavailable:
                raise
            except Exception as error:  # noqa: BLE001  # whatever it is, the next records may be written
                _log.error("The message log failed unexpectedly.\n%s", outline(error))
                self._lose(len(self._in_hand))
                self._end_batch()

    async def _wait_for_database(self) -> None:
        if not self._away:
            _log.warning("The message log cannot be written: the database is away. Mail is still handed on.")
        self._away = True
        await asyncio.sleep(self._retry_seconds)
        self._any.set()

    def _say_when_back(self) -> None:
        if self._away and not self.waiting:
            self._away = False
            _log.warning("The message log is written again; %d records were lost so far.", self.lost)

    async def _write_rest(self) -> None:
        with suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(END_TIMEOUT_SECONDS):
                while self.waiting:
                    await self._write_safely()
        if self.waiting:
            _log.error("%d records of the message log were lost at the end of this process.", self.waiting)
            self._lose(self.waiting)

    async def _remove_forever(self) -> None:
        while True:
            with suppress(StoreUnavailable):
                await self.remove_old()
            await asyncio.sleep(REMOVAL_SECONDS)

    async def _remove_part(self, end: str) -> int:
        async with self._store.writing_unqueued() as work:
            return await work.messages.remove_before(end, MAX_REMOVED)


def _rows(record: MessageRecord) -> int:
    return 1 + len(record.recipients)


def _uses(batch: Sequence[LoggedMessage]) -> dict[int, DeviceUse]:
    """Return the last use of each device in the batch."""
    ordered = sorted(batch, key=lambda message: message.id)
    return {each.record.device_id: DeviceUse(each.record.at.timestamp(), each.record.peer) for each in ordered}
