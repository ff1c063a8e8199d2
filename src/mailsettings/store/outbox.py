"""What waits to be told elsewhere, written in the transaction of what it tells of."""

from collections.abc import Sequence

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.domain.outbox import MAX_WAITING_EVENTS, WaitingEvent
from mailsettings.store.clock import now
from mailsettings.store.tables import webhook_events as event_rows


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
