"""The current mail servers as rows; each change first copies the row, see `history.py`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.domain.change import MailServerVersion
from mailsettings.domain.mail_server import (
    Creation,
    ListedMailServer,
    MailServer,
    StoredMailServer,
)
from mailsettings.domain.values import is_same_secret
from mailsettings.store.encryption.sealing import Sealer
from mailsettings.store.history import SQLMailServerHistory
from mailsettings.store.mail_server_rows import from_row, revision_of, seal_secret, to_columns
from mailsettings.store.monitoring import SQLMonitoring
from mailsettings.store.tables import DATA_VERSION
from mailsettings.store.tables import mail_servers as table

_LISTED = [table.c[name] for name in ListedMailServer._fields]


class SQLMailServers:
    """The mail servers in one transaction."""

    def __init__(self, connection: AsyncConnection, sealer: Sealer) -> None:
        self._connection = connection
        self._sealer = sealer
        self._history = SQLMailServerHistory(connection, sealer)

    async def listed(self, after: int, limit: int) -> Sequence[ListedMailServer]:
        """Return at most *limit* servers after id *after*, by id, in the form of a list."""
        chosen = select(*_LISTED).where(table.c.id > after).order_by(table.c.id).limit(limit)
        rows = await self._connection.run_sync(_fetch_plain_tuples, chosen)
        return list(map(ListedMailServer._make, rows))

    async def find(self, server_id: int) -> StoredMailServer | None:
        """Return the server with this id."""
        return (await self.versioned(server_id))[0]

    async def find_default(self) -> StoredMailServer | None:
        """Return the server that an API with a single server shows."""
        return (await self.versioned(None))[0]

    async def versioned(self, server_id: int | None) -> tuple[StoredMailServer | None, str | None]:
        """Return the server with this id, or (None) the default server, and the data version with a server."""
        condition = table.c.is_default if server_id is None else table.c.id == server_id
        row = (await self._connection.execute(select(table, DATA_VERSION).where(condition))).one_or_none()
        return (None, None) if row is None else (self._stored(row), row.data_version)

    async def versions(self, server_id: int) -> Sequence[MailServerVersion]:
        """Return the versions before the current one, newest first; a removal is a version too."""
        return await self._history.of(server_id)

    async def removed_default(self) -> MailServerVersion | None:
        """Return the removal of the last default server, if any."""
        return await self._history.removed_default()

    async def add(self, server: MailServer, by: str | None = None, through: str | None = None) -> int:
        """Store a server and return its id, with its creator and API; it becomes the default if none exists."""
        new = {"version": 1, "is_default": await self.find_default() is None, **_creation(by, through)}
        added = await self._connection.execute(insert(table).values(_new(server, new)).returning(table.c.id))
        server_id: int = added.scalar_one()
        # The secret is bound to the id of its row, which is known only now.
        sealed = {"sealed_secret": seal_secret(server_id, server, self._sealer)}
        await self._connection.execute(update(table).where(table.c.id == server_id).values(sealed))
        return server_id

    async def put_back(
        self, removal: MailServerVersion, server: MailServer, by: str | None = None, through: str | None = None
    ) -> None:
        """Store *server* with the id of a removed one; as the default if that was and no other is."""
        old = {
            "id": removal.server_id,
            "version": removal.version + 1,
            "is_default": removal.was_default and await self.find_default() is None,
            "sealed_secret": seal_secret(removal.server_id, server, self._sealer),
            **_creation(by, through),
        }
        await self._connection.execute(insert(table).values(_new(server, old)))

    async def replace(
        self, server_id: int, server: MailServer, by: str | None = None, stored: StoredMailServer | None = None
    ) -> None:
        """Replace the stored server by *server*; *stored* spares a read if this transaction has read it."""
        await self._history.copy_current(server_id)
        now = {
            **to_columns(server),
            "version": table.c.version + 1,
            "sealed_secret": seal_secret(server_id, server, self._sealer),
            "updated_at": datetime.now(UTC),
            "changed_by": by,
        }
        stored = stored or await self.find(server_id)
        if stored is None or not is_same_secret(stored.server.secret, server.secret):
            now["secret_ends_on"] = None
        await self._connection.execute(update(table).where(table.c.id == server_id).values(now))

    async def delete(self, server_id: int, by: str | None = None) -> None:
        """Remove the server; its versions stay."""
        await self._history.copy_current(server_id)
        await self._history.note_removal(server_id, by)
        await self._connection.execute(delete(table).where(table.c.id == server_id))
        await SQLMonitoring(self._connection).forget(server_id)

    async def forget_versions(self, server_id: int, keep_count: int) -> None:
        """Delete all but the *keep_count* newest versions of the server."""
        await self._history.forget(server_id, keep_count)

    async def forget_removed(self, keep_count: int) -> None:
        """Delete all but the *keep_count* newest removed servers."""
        await self._history.forget_removed(keep_count)

    def _stored(self, row: Row[Any]) -> StoredMailServer:
        server = from_row(row, row.id, self._sealer)
        creation = Creation(row.created_by, row.created_through)
        return StoredMailServer(row.id, row.version, server, revision_of(row.updated_at, row.changed_by), creation)


def _fetch_plain_tuples(connection: Connection, chosen: Select[Any]) -> Sequence[Any]:
    """Return rows as plain tuples: SQLAlchemy's rows take twice the time, for type handling not needed here."""
    result = connection.execute(chosen)
    rows: Sequence[Any] = result.cursor.fetchall()
    result.close()
    return rows


def _creation(by: str | None, through: str | None) -> dict[str, Any]:
    return {"changed_by": by, "created_by": by, "created_through": through}


def _new(server: MailServer, more: dict[str, Any]) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {**to_columns(server), **more, "created_at": now, "updated_at": now}
