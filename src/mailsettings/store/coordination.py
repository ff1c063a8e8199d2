"""Rows by which processes coordinate: leases, the outbox of events, and the usage of connection tests.

All times come from the database's clock, so that machines with different clocks agree on the age of a row.
"""

import json
import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Float, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from mailsettings.domain.connection_test import USAGE_WINDOW_SECONDS, Usage
from mailsettings.domain.monitoring import MAX_WAITING_EVENTS, WaitingEvent
from mailsettings.domain.service import DeliveryCounts, LeaseFacts, WaitingDelivery
from mailsettings.store.tables import leases as lease_rows
from mailsettings.store.tables import probe_admissions as test_rows
from mailsettings.store.tables import webhook_events as event_rows


class Now(FunctionElement[float]):
    """Seconds since the epoch at the start of the statement; PostgreSQL's `now()` is that of the transaction."""

    type = Float(53)
    inherit_cache = True


@compiles(Now, "sqlite")
def _sqlite(_element: Now, _compiler: Any, **_options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"  # to the millisecond; unixepoch('subsec') needs 3.42


@compiles(Now, "postgresql")
def _postgresql(_element: Now, _compiler: Any, **_options: Any) -> str:
    return "CAST(EXTRACT(EPOCH FROM statement_timestamp()) AS double precision)"


async def now(connection: AsyncConnection) -> float:
    """Return the seconds since the epoch by the database's clock."""
    return (await connection.execute(select(Now()))).scalar_one()


class SQLLeases:
    """The leases in one transaction; its writer's lock keeps others from taking a lease before the commit."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def take(self, name: str, holder: str, seconds: float) -> bool:
        """Take or renew a lease for *seconds* unless another holder has it; return whether *holder* has it now."""
        moment = await now(self._connection)
        row = (await self._connection.execute(select(lease_rows).where(lease_rows.c.name == name))).one_or_none()
        if row is None:
            added = insert(lease_rows).values(name=name, holder=holder, until=moment + seconds)
            await self._connection.execute(added)
            return True
        # An expired lease is free, even if its holder never released it.
        if row.holder != holder and row.until > moment:
            return False
        renewed = update(lease_rows).where(lease_rows.c.name == name).values(holder=holder, until=moment + seconds)
        await self._connection.execute(renewed)
        return True

    async def holds(self, name: str, holder: str) -> bool:
        """Return whether *holder* has the lease and it has not expired."""
        until = select(lease_rows.c.until).where(lease_rows.c.name == name, lease_rows.c.holder == holder)
        found = (await self._connection.execute(until)).scalar_one_or_none()
        return found is not None and found > await now(self._connection)

    async def of(self, name: str) -> LeaseFacts | None:
        """Return who holds the lease; None if it is free."""
        held = select(lease_rows).where(
            lease_rows.c.name == name, lease_rows.c.until > await now(self._connection)
        )
        row = (await self._connection.execute(held)).one_or_none()
        return None if row is None else LeaseFacts(row.holder, row.until)

    async def give_up(self, name: str, holder: str) -> None:
        """Release the lease if *holder* has it."""
        await self._connection.execute(
            delete(lease_rows).where(lease_rows.c.name == name, lease_rows.c.holder == holder)
        )


class SQLOutbox:
    """The waiting events in one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, event: WaitingEvent) -> bool:
        """Add *event* with an immediate first attempt; return False if too many events are waiting."""
        waiting = await self._connection.execute(select(func.count()).select_from(event_rows))
        if waiting.scalar_one() >= MAX_WAITING_EVENTS:
            return False
        values = {"id": event.id, "created_at": event.created_at, "body": event.body, "attempts": event.attempts}
        await self._connection.execute(insert(event_rows).values(values | {"next_at": event.created_at}))
        return True

    async def due(self, limit: int) -> Sequence[WaitingEvent]:
        """Return at most *limit* events that are due, the oldest first."""
        wanted = select(event_rows).where(event_rows.c.next_at <= await now(self._connection))
        rows = await self._connection.execute(wanted.order_by(event_rows.c.next_at, event_rows.c.id).limit(limit))
        return [WaitingEvent(row.id, row.created_at, row.body, row.attempts) for row in rows]

    async def waiting(self, after: str, limit: int) -> Sequence[WaitingDelivery]:
        """Return at most *limit* waiting events after the id *after*, by id."""
        page = select(event_rows).where(event_rows.c.id > after).order_by(event_rows.c.id).limit(limit)
        return [
            WaitingDelivery(row.id, _type_of(row.body), row.created_at, row.attempts, row.next_at)
            for row in await self._connection.execute(page)
        ]

    async def counts(self) -> DeliveryCounts:
        """Return how many events wait, and how many of them failed before."""
        counted = select(func.count(), func.count().filter(event_rows.c.attempts > 0)).select_from(event_rows)
        return DeliveryCounts(*(await self._connection.execute(counted)).one())

    async def backlog(self) -> tuple[int, float | None]:
        """Return how many events wait, and when the oldest of them arose; None if no event waits."""
        found = select(func.count(), func.min(event_rows.c.created_at)).select_from(event_rows)
        count, oldest = (await self._connection.execute(found)).one()
        return count, oldest

    async def postpone(self, event: WaitingEvent, next_at: float) -> None:
        """Count a failed attempt, and postpone *event* to *next_at*."""
        later = {"attempts": event.attempts + 1, "next_at": next_at}
        await self._connection.execute(update(event_rows).where(event_rows.c.id == event.id).values(later))

    async def remove(self, event_id: str) -> None:
        """Remove an event that was delivered or given up."""
        await self._connection.execute(delete(event_rows).where(event_rows.c.id == event_id))

    async def now(self) -> float:
        """Return the seconds since the epoch by the database's clock."""
        return await now(self._connection)


def _type_of(body: str) -> str:
    return str(json.loads(body).get("type", ""))


USAGE_KEPT_SECONDS = 600
"""Longer than any test runs, and than any limit looks back."""


class SQLConnectionTestUsage:
    """The tests of each principal in one transaction.

    After a clock was set back, tests appear to start in the future. Those count only up to a minute ahead, so no
    principal is locked out until the clock has caught up.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def of(self, principal: str, max_seconds: float) -> Usage:
        """Return the usage of *principal*; a test without an end counts as ended after *max_seconds*."""
        age = Now() - test_rows.c.begun_at
        recent = age < USAGE_WINDOW_SECONDS
        usage = select(
            func.count().filter(test_rows.c.ended_at.is_(None), age < max_seconds).label("running"),
            func.count().filter(recent).label("begun"),
            func.coalesce(func.max(age).filter(recent), 0).label("oldest"),
        ).where(test_rows.c.principal == principal, age > -USAGE_WINDOW_SECONDS)
        row = (await self._connection.execute(usage)).one()
        return Usage(row.running, row.begun, row.oldest)

    async def begin(self, principal: str) -> str:
        """Count one more test of *principal* and return the id for `end`; delete old rows."""
        age = Now() - test_rows.c.begun_at
        await self._connection.execute(
            delete(test_rows).where((age > USAGE_KEPT_SECONDS) | (age < -USAGE_KEPT_SECONDS))
        )
        test_id = uuid.uuid4().hex
        new = {"id": test_id, "principal": principal, "begun_at": Now()}
        await self._connection.execute(insert(test_rows).values(new))
        return test_id

    async def end(self, test_id: str) -> None:
        """Record that the test ended."""
        await self._connection.execute(update(test_rows).where(test_rows.c.id == test_id).values(ended_at=Now()))
