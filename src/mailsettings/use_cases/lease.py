"""Background work that one process does for all, by a lease in the database.

The holder renews its lease long before it ends, and stops working when a renewal fails. Another process takes the
lease after it has expired. A process that was paused may not know yet that it has lost the lease; so each
transaction of the work checks the lease again, and is not committed without it.
"""

import asyncio
import logging
import traceback
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from mailsettings.domain.errors import StoreUnavailable
from mailsettings.store.transaction import Transaction
from mailsettings.store.transactions import SQLStore


def outline(error: BaseException) -> str:
    """Return the traceback of *error* and of the errors that led to it, each with its kind alone."""
    return "".join(_lines(error)).rstrip()


def _lines(error: BaseException) -> Iterator[str]:
    previous = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if previous is not None:
        yield from _lines(previous)
        yield "which led to:\n"
    yield "Traceback (most recent call last):\n"
    yield from traceback.format_tb(error.__traceback__)
    yield f"{type(error).__name__}\n"
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _lines(part)


Result = TypeVar("Result")


async def shielded(transaction: Coroutine[None, None, Result]) -> Result:
    """The result of *transaction*; a cancellation is passed on when that has ended."""
    task = asyncio.ensure_future(transaction)
    # Looked at, so that asyncio does not complain that nobody has.
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


LEASE_SECONDS = 30.0
_RELEASE_TIMEOUT_SECONDS = 5.0
_log = logging.getLogger("mailsettings.watch")

Work = Callable[[], Coroutine[None, None, None]]


class LeaseLost(Exception):
    """The lease is not ours any more: nothing was written."""


class Lease:
    """One lease, as one process sees it."""

    def __init__(self, store: SQLStore, name: str, seconds: float = LEASE_SECONDS) -> None:
        self._store = store
        self._name = name
        self._seconds = seconds
        self._holder = uuid.uuid4().hex
        self._away = False
        self._may_hold = False

    async def while_held(self, work: Work) -> None:
        """Do *work*, which does not end by itself, whenever the lease is ours; until cancelled."""
        try:
            while True:
                try:
                    await self._try(work)
                except Exception as error:  # noqa: BLE001  # whatever it is, the next try may be better
                    _log.error("The watch failed unexpectedly and tries again.\n%s", outline(error))
                await asyncio.sleep(self._seconds / 3)
        finally:
            # The cancellation may come while the lease is taken, so before the work begins.
            await self._give_up()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Transaction]:
        """A transaction of the work. Raises `LeaseLost`, `StoreUnavailable`."""
        async with self._store.writing() as work:
            # Writers are one at a time: nobody takes the lease between this look and the commit.
            if not await work.leases.holds(self._name, self._holder):
                raise LeaseLost
            yield work

    async def _try(self, work: Work) -> None:
        until = await self._taken()
        if until is not None:
            await self._hold(work, until)

    async def _hold(self, work: Work, until: float) -> None:
        _log.info("The watch is kept by this process from now on.")
        try:
            async with asyncio.timeout_at(until) as limit, asyncio.TaskGroup() as group:
                group.create_task(self._renew(limit))
                group.create_task(work())
        except* (LeaseLost, TimeoutError):
            _log.warning("The watch is not kept by this process any more: the lease was not renewed in time.")
        finally:
            await self._give_up()

    async def _renew(self, limit: asyncio.Timeout) -> None:
        while True:
            await asyncio.sleep(self._seconds / 3)
            until = await self._taken()
            if until is not None:
                limit.reschedule(until)
            elif not self._away:  # pragma: no branch  # it is tested, but Python 3.11 stops tracing before
                raise LeaseLost

    async def _taken(self) -> float | None:
        """Until when, on the clock of the event loop, the lease is ours; None if it is not."""
        asked_at = asyncio.get_running_loop().time()
        # Until the database says otherwise: a commit may succeed and its answer be lost or not waited for.
        self._may_hold = True
        try:
            self._may_hold = taken = await shielded(self._take())
        except StoreUnavailable:
            self._note_away()
            return None
        self._away = False
        return asked_at + self._seconds if taken else None

    async def _take(self) -> bool:
        async with self._store.writing() as work:
            return await work.leases.take(self._name, self._holder, self._seconds)

    def _note_away(self) -> None:
        if not self._away:
            _log.warning("The database is away; the watch goes on when it is back.")
        self._away = True

    async def _give_up(self) -> None:
        """Let another process go on at once; if the database is away, when the lease has run out."""
        if self._may_hold:
            await asyncio.wait({asyncio.ensure_future(self._leave())}, timeout=_RELEASE_TIMEOUT_SECONDS)

    async def _leave(self) -> None:
        with suppress(StoreUnavailable):
            async with self._store.writing() as work:
                await work.leases.give_up(self._name, self._holder)
            self._may_hold = False


async def repeat_forever(step: Callable[[], Awaitable[bool]], pause_seconds: float) -> None:
    """Take *step* for ever: again at once if it found something to do, else after a pause."""
    while True:
        busy = False
        with suppress(StoreUnavailable):
            busy = await step()
        if not busy:
            await asyncio.sleep(pause_seconds)
