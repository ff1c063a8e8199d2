"""Work that one process does for all: who has said so, and until when. By the database's clock."""

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.store.clock import now
from mailsettings.store.tables import leases as lease_rows


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
