"""The keys of the service that every replica needs, such as signing keys, each sealed with its name."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.domain.errors import SecretUnreadable
from mailsettings.store.encryption.sealing import SERVICE_KEY, Sealer
from mailsettings.store.tables import service_keys as table

_log = logging.getLogger(__name__)


class SQLServiceKeys:
    """The service keys by name in one transaction."""

    def __init__(self, connection: AsyncConnection, sealer: Sealer) -> None:
        self._connection = connection
        self._sealer = sealer

    async def get(self, name: str) -> str | None:
        """Return the key with this name, if any. Raises `SecretUnreadable`."""
        sealed = (await self._connection.execute(select(table.c.sealed).where(table.c.name == name))).scalar()
        return None if sealed is None else self.opened(name, sealed)

    def opened(self, name: str, sealed: bytes) -> str:
        """Return the text of the key that the column `sealed` holds for *name*. Raises `SecretUnreadable`."""
        return self._sealer.open(sealed, SERVICE_KEY.place(name))

    async def named(self, prefix: str) -> Sequence[tuple[str, str]]:
        """Return name and text of each readable key with a name that begins with *prefix*, oldest first."""
        found = select(table).where(table.c.name.startswith(prefix, autoescape=True))
        rows = await self._connection.execute(found.order_by(table.c.created_at, table.c.name))
        return [(row.name, text) for row in rows if (text := self._opened(row)) is not None]

    async def created(self, prefix: str) -> Sequence[tuple[str, datetime]]:
        """Return name and time of creation of each key, also of damaged keys, oldest first."""
        found = select(table.c.name, table.c.created_at).where(table.c.name.startswith(prefix, autoescape=True))
        rows = await self._connection.execute(found.order_by(table.c.created_at, table.c.name))
        return [(row.name, row.created_at) for row in rows]

    def _opened(self, row: Row[Any]) -> str | None:
        """Return the text; None for a damaged key, so that only the tokens it signed are refused."""
        try:
            return self._sealer.open(row.sealed, SERVICE_KEY.place(row.name))
        except SecretUnreadable:
            _log.error("The key %s does not open.", row.name)
            return None

    async def add(self, name: str, text: str) -> None:
        """Store a new key."""
        sealed = self._sealer.seal(text, SERVICE_KEY.place(name))
        new = {"name": name, "created_at": datetime.now(UTC), "sealed": sealed}
        await self._connection.execute(insert(table).values(new))

    async def remove(self, name: str) -> bool:
        """Remove the key with this name; return whether it existed."""
        return (await self._connection.execute(delete(table).where(table.c.name == name))).rowcount > 0
