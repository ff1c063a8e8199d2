"""Background work that one process does for all, by a lease in the database.

The holder renews its lease long before it ends, and stops working when a renewal fails. Another process takes the
lease after it has expired. A process that was paused may not know yet that it has lost the lease; so each
transaction of the work checks the lease again, and is not committed without it.
"""

import asyncio
import logging
import os
import socket
import traceback
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from mailsettings.domain.errors import StoreUnavailable
from mailsettings.store.database import SQLStore
from mailsettings.store.transaction import Transaction


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
    """Return the result of *transaction*, and let it end before a cancellation takes effect.

    SQLAlchemy drops a connection after a cancelled statement, but the thread that aiosqlite runs it on may still
    take the lock of the file: then no process could write until the garbage collector closes that connection.
    """
    task = asyncio.ensure_future(transaction)
    # Reading the exception keeps asyncio from logging that it was never retrieved.
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


LEASE_SECONDS = 30.0
_RELEASE_TIMEOUT_SECONDS = 5.0
_log = logging.getLogger("mailsettings.monitoring")

Work = Callable[[], Coroutine[None, None, None]]


class LeaseLost(Exception):
    """This process does not hold the lease any more; nothing was written."""


class Lease:
    """A lease as one process holds it."""

    def __init__(self, store: SQLStore, name: str, seconds: float = LEASE_SECONDS) -> None:
        self._store = store
        self._name = name
        self._seconds = seconds
        # Machine and process, for people who read the lease; the random part makes it unique.
        self._holder = f"{socket.gethostname()[:30]}:{os.getpid()}:{uuid.uuid4().hex[:16]}"
        self._away = False
        self._may_hold = False

    async def while_held(self, work: Work) -> None:
        """Run *work*, which does not end by itself, while this process holds the lease; until cancelled."""
        try:
            while True:
                try:
                    await self._try(work)
                except Exception as error:  # noqa: BLE001  # whatever it is, the next try may succeed
                    _log.error("Scheduled checks failed unexpectedly; retrying.\n%s", outline(error))
                # A third of the lease leaves two more attempts before it expires.
                await asyncio.sleep(self._seconds / 3)
        finally:
            # The cancellation may come after the lease was taken and before the work starts.
            await self._give_up()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Transaction]:
        """Run a transaction of the work. Raises `LeaseLost`, `StoreUnavailable`."""
        async with self._store.writing() as work:
            # One writer at a time: no other process can take the lease between this check and the commit.
            if not await work.leases.holds(self._name, self._holder):
                raise LeaseLost
            yield work

    async def _try(self, work: Work) -> None:
        until = await self._taken()
        if until is not None:
            await self._hold(work, until)

    async def _hold(self, work: Work, until: float) -> None:
        _log.info("This process runs the scheduled checks from now on.")
        try:
            async with asyncio.timeout_at(until) as limit, asyncio.TaskGroup() as group:
                group.create_task(self._renew(limit))
                group.create_task(work())
        except* (LeaseLost, TimeoutError):
            _log.warning("This process stopped the scheduled checks: its lease was not renewed in time.")
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
        """Return until when this process holds the lease, by the clock of the event loop; None if it does not."""
        asked_at = asyncio.get_running_loop().time()
        # True until the database says otherwise: a commit may succeed although its response is lost.
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
            _log.warning("The database is away; scheduled checks continue when it is back.")
        self._away = True

    async def _give_up(self) -> None:
        """Release the lease, so that another process can take it before it expires."""
        if self._may_hold:
            await asyncio.wait({asyncio.ensure_future(self._leave())}, timeout=_RELEASE_TIMEOUT_SECONDS)

    async def _leave(self) -> None:
        with suppress(StoreUnavailable):
            async with self._store.writing() as work:
                await work.leases.give_up(self._name, self._holder)
            self._may_hold = False


async def repeat_forever(step: Callable[[], Awaitable[bool]], pause_seconds: float) -> None:
    """Call *step* for ever: again at once if it found something to do, else after a pause."""
    while True:
        busy = False
        with suppress(StoreUnavailable):
            busy = await step()
        if not busy:
            await asyncio.sleep(pause_seconds)
