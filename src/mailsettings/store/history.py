"""The earlier versions of mail servers: each change first copies the row, with its sealed secret."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, delete, exists, insert, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.domain.change import MailServerVersion
from mailsettings.store.encryption.sealing import Sealer
from mailsettings.store.mail_server_rows import from_row, revision_of
from mailsettings.store.tables import mail_server_versions as table
from mailsettings.store.tables import mail_servers

removal_row = table.alias()
_SAME = [column.name for column in table.columns if column.name in mail_servers.columns and column.name != "id"]


class SQLMailServerHistory:
    """The earlier versions in one transaction."""

    def __init__(self, connection: AsyncConnection, sealer: Sealer) -> None:
        self._connection = connection
        self._sealer = sealer

    async def of(self, server_id: int) -> Sequence[MailServerVersion]:
        """Return the versions before the current one, newest first."""
        rows = select(table).where(table.c.server_id == server_id).order_by(table.c.version.desc())
        return [self._version(row) for row in await self._connection.execute(rows)]

    async def removed_id(self, name: str) -> int | None:
        """Return the id of the server that was removed last with this name, if it was not restored since."""
        there = exists().where(mail_servers.c.id == table.c.server_id)
        named = select(table.c.server_id).where(table.c.name == name, ~there)
        return (await self._connection.execute(named.order_by(table.c.id.desc()).limit(1))).scalar_one_or_none()

    async def removed_default(self) -> MailServerVersion | None:
        """Return the removal of the last default server, if it was not restored since."""
        # A restored server exists again under its id, so its removal does not count.
        there = exists().where(mail_servers.c.id == table.c.server_id)
        ends = select(table).where(table.c.removed, table.c.is_default, ~there)
        removed = ends.order_by(table.c.id.desc()).limit(1)
        row = (await self._connection.execute(removed)).one_or_none()
        return None if row is None else self._version(row)

    async def copy_current(self, server_id: int) -> None:
        """Copy the current row, before it is changed."""
        now = select(
            mail_servers.c.id,
            literal(value=False),
            mail_servers.c.updated_at,
            *(mail_servers.c[name] for name in _SAME),
        ).where(mail_servers.c.id == server_id)
        kept = insert(table).from_select(["server_id", "removed", "changed_at", *_SAME], now)
        await self._connection.execute(kept)

    async def note_removal(self, server_id: int, by: str | None) -> None:
        """Record that the next change of the server is its removal."""
        last = (await self._connection.execute(_newest(server_id))).one()
        mark = {
            "server_id": server_id,
            "version": last.version + 1,
            "is_default": last.is_default,
            "removed": True,
            "changed_at": datetime.now(UTC),
            "changed_by": by,
        }
        await self._connection.execute(insert(table).values(mark))

    async def forget(self, server_id: int, keep_count: int) -> None:
        """Delete all but the *keep_count* newest versions of the server."""
        newest = _newest(server_id, keep_count).with_only_columns(table.c.id)
        older = delete(table).where(table.c.server_id == server_id, table.c.id.not_in(newest))
        await self._connection.execute(older)

    async def forget_removed(self, keep_count: int) -> None:
        """Delete all but the *keep_count* newest versions of removed servers, found by their removal rows."""
        there = exists().where(mail_servers.c.id == removal_row.c.server_id)
        gone = table.c.server_id.in_(select(removal_row.c.server_id).where(removal_row.c.removed, ~there))
        newest = select(table.c.id).where(gone).order_by(table.c.id.desc()).limit(keep_count)
        await self._connection.execute(delete(table).where(gone, table.c.id.not_in(newest)))

    def _version(self, row: Row[Any]) -> MailServerVersion:
        server = None if row.removed else from_row(row, row.server_id, self._sealer)
        change = revision_of(row.changed_at, row.changed_by)
        enabled = row.enabled is not False  # empty if an older program stored the version
        return MailServerVersion(
            row.server_id, row.version, server, change, row.is_default, row.name, enabled=enabled
        )


def _newest(server_id: int, how_many: int = 1) -> Any:
    return select(table).where(table.c.server_id == server_id).order_by(table.c.version.desc()).limit(how_many)
