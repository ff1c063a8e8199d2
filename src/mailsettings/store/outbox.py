"""What waits to be told elsewhere, written in the transaction of what it tells of."""

from collections.abc import Sequence

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.domain.outbox import MOST_WAITING, WaitingEvent
from mailsettings.store.clock import now
from mailsettings.store.tables import webhook_events as table


class SQLOutbox:
    """The waiting events, in one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, event: WaitingEvent) -> bool:
        """Let *event* wait for its first attempt; False if too many are waiting already."""
        waiting = await self._connection.execute(select(func.count()).select_from(table))
        if waiting.scalar_one() >= MOST_WAITING:
            return False
        values = {"id": event.id, "created_at": event.created_at, "body": event.body, "attempts": event.attempts}
        await self._connection.execute(insert(table).values(values | {"next_at": event.created_at}))
        return True

    async def due(self, limit: int) -> Sequence[WaitingEvent]:
        """At most *limit* of those whose time has come, the longest due first."""
        wanted = select(table).where(table.c.next_at <= await now(self._connection))
        rows = await self._connection.execute(wanted.order_by(table.c.next_at, table.c.id).limit(limit))
        return [WaitingEvent(row.id, row.created_at, row.body, row.attempts) for row in rows]

    async def postpone(self, event: WaitingEvent, next_at: float) -> None:
        """Count a failed attempt, and leave *event* alone until *next_at*."""
        later = {"attempts": event.attempts + 1, "next_at": next_at}
        await self._connection.execute(update(table).where(table.c.id == event.id).values(later))

    async def remove(self, event_id: str) -> None:
        """It has been told, or is given up."""
        await self._connection.execute(delete(table).where(table.c.id == event_id))

    async def now(self) -> float:
        """Seconds since the epoch, by the database's clock."""
        return await now(self._connection)
