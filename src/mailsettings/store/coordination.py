"""Rows by which processes coordinate: leases, the outbox of events, and the usage of connection tests.

All times come from the database's clock, so that machines whose clocks differ agree on the age of a row.
"""

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Float, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from mailsettings.domain.connection_test import USAGE_WINDOW_SECONDS, Usage
from mailsettings.domain.monitoring import MAX_WAITING_EVENTS, WaitingEvent
from mailsettings.store.tables import leases as lease_rows
from mailsettings.store.tables import probe_admissions as test_rows
from mailsettings.store.tables import webhook_events as event_rows


class Now(FunctionElement[float]):
    """Seconds since the epoch when the statement began; PostgreSQL's own `now()` is as old as the transaction."""

    type = Float(53)
    inherit_cache = True


@compiles(Now, "sqlite")
def _sqlite(_element: Now, _compiler: Any, **_options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"  # to the millisecond; unixepoch('subsec') needs 3.42


@compiles(Now, "postgresql")
def _postgresql(_element: Now, _compiler: Any, **_options: Any) -> str:
    return "CAST(EXTRACT(EPOCH FROM statement_timestamp()) AS double precision)"


async def now(connection: AsyncConnection) -> float:
    """Seconds since the epoch by the database's clock."""
    return (await connection.execute(select(Now()))).scalar_one()


class SQLLeases:
    """The leases, in one transaction. It has the writer's lock: nobody takes one between a look and the commit."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def take(self, name: str, holder: str, seconds: float) -> bool:
        """Take or renew a lease for so long, unless it is somebody else's; whether it is *holder*'s now."""
        moment = await now(self._connection)
        row = (await self._connection.execute(select(lease_rows).where(lease_rows.c.name == name))).one_or_none()
        if row is None:
            added = insert(lease_rows).values(name=name, holder=holder, until=moment + seconds)
            await self._connection.execute(added)
            return True
        if row.holder != holder and row.until > moment:
            return False
        renewed = update(lease_rows).where(lease_rows.c.name == name).values(holder=holder, until=moment + seconds)
        await self._connection.execute(renewed)
        return True

    async def holds(self, name: str, holder: str) -> bool:
        """Whether the lease is *holder*'s and has not run out."""
        until = select(lease_rows.c.until).where(lease_rows.c.name == name, lease_rows.c.holder == holder)
        found = (await self._connection.execute(until)).scalar_one_or_none()
        return found is not None and found > await now(self._connection)

    async def give_up(self, name: str, holder: str) -> None:
        """Leave the lease to others, if it is *holder*'s."""
        await self._connection.execute(
            delete(lease_rows).where(lease_rows.c.name == name, lease_rows.c.holder == holder)
        )


class SQLOutbox:
    """The waiting events, in one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, event: WaitingEvent) -> bool:
        """Let *event* wait for its first attempt; False if too many are waiting already."""
        waiting = await self._connection.execute(select(func.count()).select_from(event_rows))
        if waiting.scalar_one() >= MAX_WAITING_EVENTS:
            return False
        values = {"id": event.id, "created_at": event.created_at, "body": event.body, "attempts": event.attempts}
        await self._connection.execute(insert(event_rows).values(values | {"next_at": event.created_at}))
        return True

    async def due(self, limit: int) -> Sequence[WaitingEvent]:
        """At most *limit* of those whose time has come, the longest due first."""
        wanted = select(event_rows).where(event_rows.c.next_at <= await now(self._connection))
        rows = await self._connection.execute(wanted.order_by(event_rows.c.next_at, event_rows.c.id).limit(limit))
        return [WaitingEvent(row.id, row.created_at, row.body, row.attempts) for row in rows]

    async def postpone(self, event: WaitingEvent, next_at: float) -> None:
        """Count a failed attempt, and leave *event* alone until *next_at*."""
        later = {"attempts": event.attempts + 1, "next_at": next_at}
        await self._connection.execute(update(event_rows).where(event_rows.c.id == event.id).values(later))

    async def remove(self, event_id: str) -> None:
        """It has been told, or is given up."""
        await self._connection.execute(delete(event_rows).where(event_rows.c.id == event_id))

    async def now(self) -> float:
        """Seconds since the epoch, by the database's clock."""
        return await now(self._connection)


USAGE_KEPT_SECONDS = 600
"""Longer than any test may take, or counts."""


class SQLConnectionTestUsage:
    """The tests of each caller, in one transaction.

    A clock that was put back leaves tests that are yet to begin. They count for a minute of that, no longer, so
    that nobody is kept out until the clock is where it was.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def of(self, principal: str, max_seconds: float) -> Usage:
        """What *principal* has; a test that has not ended after *longest_seconds* never will."""
        age = Now() - test_rows.c.begun_at
        recent = age < USAGE_WINDOW_SECONDS
        share = select(
            func.count().filter(test_rows.c.ended_at.is_(None), age < max_seconds).label("running"),
            func.count().filter(recent).label("begun"),
            func.coalesce(func.max(age).filter(recent), 0).label("oldest"),
        ).where(test_rows.c.principal == principal, age > -USAGE_WINDOW_SECONDS)
        row = (await self._connection.execute(share)).one()
        return Usage(row.running, row.begun, row.oldest)

    async def begin(self, principal: str) -> str:
        """Count one more of *principal*, until it ends by the id that this returns; old ones are forgotten."""
        age = Now() - test_rows.c.begun_at
        await self._connection.execute(
            delete(test_rows).where((age > USAGE_KEPT_SECONDS) | (age < -USAGE_KEPT_SECONDS))
        )
        test_id = uuid.uuid4().hex
        new = {"id": test_id, "principal": principal, "begun_at": Now()}
        await self._connection.execute(insert(test_rows).values(new))
        return test_id

    async def end(self, test_id: str) -> None:
        """It does not run any more."""
        await self._connection.execute(update(test_rows).where(test_rows.c.id == test_id).values(ended_at=Now()))
