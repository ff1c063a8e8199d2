"""Keys of ours that every replica needs, each sealed under its name."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.store.sealed_columns import OWN_KEY
from mailsettings.store.sealing import Sealer
from mailsettings.store.tables import sealed_keys as table


class SQLSealedKeys:
    """Named keys as text, in one transaction."""

    def __init__(self, connection: AsyncConnection, sealer: Sealer) -> None:
        self._connection = connection
        self._sealer = sealer

    async def named(self, prefix: str) -> Sequence[tuple[str, str]]:
        """Name and text of each key whose name begins with *prefix*, oldest first. Raises `SecretUnreadable`."""
        found = select(table).where(table.c.name.startswith(prefix, autoescape=True))
        rows = await self._connection.execute(found.order_by(table.c.created_at, table.c.name))
        return [(row.name, self._sealer.open(row.sealed, OWN_KEY.place(row.name))) for row in rows]

    async def add(self, name: str, text: str) -> None:
        """Keep a new key."""
        sealed = self._sealer.seal(text, OWN_KEY.place(name))
        new = {"name": name, "created_at": datetime.now(UTC), "sealed": sealed}
        await self._connection.execute(insert(table).values(new))

    async def remove(self, name: str) -> bool:
        """Whether there was one of this name."""
        return (await self._connection.execute(delete(table).where(table.c.name == name))).rowcount > 0
