"""The current mail servers as rows; each change first copies the row, see `history.py`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    delete,
    false,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.domain.change import MailServerVersion
from mailsettings.domain.mail_server import (
    Creation,
    ListedMailServer,
    MailServer,
    StoredMailServer,
)
from mailsettings.domain.mail_server_list import MailServerFilter
from mailsettings.domain.naming import MAX_ID, MailServerRef, id_in_name, name_from_host, names_to_try
from mailsettings.domain.values import is_same_secret
from mailsettings.store.encryption.sealing import Sealer
from mailsettings.store.history import SQLMailServerHistory
from mailsettings.store.mail_server_list import conditions
from mailsettings.store.mail_server_rows import from_row, in_utc, revision_of, seal_secret, to_columns
from mailsettings.store.monitoring import IS_CURRENT, SQLMonitoring
from mailsettings.store.tables import DATA_VERSION
from mailsettings.store.tables import mail_servers as table
from mailsettings.store.tables import watch_states as checks

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

    async def matching(self, wanted: MailServerFilter, after: int, limit: int) -> Sequence[StoredMailServer]:
        """Return at most *limit* servers after id *after* that meet the filter, by id."""
        # A cursor may hold a number that no id reaches.
        later = table.c.id > literal(after, BigInteger)
        joined = select(table).outerjoin(checks, IS_CURRENT).where(later, *conditions(wanted))
        rows = await self._connection.execute(joined.order_by(table.c.id).limit(limit))
        return [self._stored(row) for row in rows]

    async def find(self, ref: MailServerRef) -> StoredMailServer | None:
        """Return the server with this id or name."""
        return (await self.versioned(ref))[0]

    async def find_default(self) -> StoredMailServer | None:
        """Return the server that an API with a single server shows."""
        return (await self.versioned(None))[0]

    async def versioned(self, ref: MailServerRef | None) -> tuple[StoredMailServer | None, str | None]:
        """Return the server with this id or name, or (None) the default, and the data version with a server."""
        row = (await self._connection.execute(select(table, DATA_VERSION).where(_is(ref)))).one_or_none()
        return (None, None) if row is None else (self._stored(row), row.data_version)

    async def versions(self, server_id: int) -> Sequence[MailServerVersion]:
        """Return the versions before the current one, newest first; a removal is a version too."""
        return await self._history.of(server_id)

    async def removed_id(self, name: str) -> int | None:
        """Return the id of the server that was removed last with this name, if any."""
        return await self._history.removed_id(name)

    async def removed_default(self) -> MailServerVersion | None:
        """Return the removal of the last default server, if any."""
        return await self._history.removed_default()

    async def add(  # noqa: PLR0913  # each is a column
        self,
        server: MailServer,
        by: str | None = None,
        through: str | None = None,
        *,
        name: str | None = None,
        enabled: bool = True,
        as_default: bool = False,
    ) -> int:
        """Store a server and return its id, with its creator and API; without a *name* it gets one of its host."""
        new = {
            "version": 1,
            "name": name,
            "enabled": enabled,
            **_default(chosen=as_default),
            **_creation(by, through),
        }
        added = await self._connection.execute(insert(table).values(_new(server, new)).returning(table.c.id))
        server_id: int = added.scalar_one()
        # The secret is bound to the id of its row, which is known only now.
        rest: dict[str, Any] = {"sealed_secret": seal_secret(server_id, server, self._sealer)}
        if name is None:
            rest["name"] = await self.free_name(name_from_host(server.host), server_id)
        await self._set(server_id, rest)
        return server_id

    async def put_back(
        self,
        removal: MailServerVersion,
        last: MailServerVersion,
        server: MailServer,
        by: str | None = None,
        through: str | None = None,
    ) -> None:
        """Store *server* with the id, the name and the state of *last*, the removed one; another name if taken.

        It is the default again if it was when it was removed and no other is.
        """
        server_id = removal.server_id
        name = await self.free_name(last.given_name or name_from_host(server.host), server_id)
        again = removal.was_default and await self.find_default() is None
        old = {
            "id": server_id,
            "version": removal.version + 1,
            "name": name,
            "enabled": last.enabled,
            "sealed_secret": seal_secret(server_id, server, self._sealer),
            **_default(chosen=again),
            **_creation(by, through),
        }
        await self._connection.execute(insert(table).values(_new(server, old)))

    async def replace(  # noqa: PLR0913  # each is a column or spares a read
        self,
        server_id: int,
        server: MailServer,
        by: str | None = None,
        stored: StoredMailServer | None = None,
        *,
        name: str | None = None,
        enabled: bool | None = None,
    ) -> None:
        """Replace the stored server by *server*; *stored* spares a read if this transaction has read it.

        Name and state stay if they are None.
        """
        stored = stored or await self.find(server_id)
        now = {**to_columns(server), "sealed_secret": seal_secret(server_id, server, self._sealer)}
        if stored is None or not is_same_secret(stored.server.secret, server.secret):
            now["secret_ends_on"] = None
        if name is None and stored is not None and stored.given_name is None:
            name = await self.free_name(name_from_host(server.host), server_id)
        state = {"name": name, "enabled": enabled}
        now.update((column, value) for column, value in state.items() if value is not None)
        await self._change(server_id, now, by)

    async def set_enabled(self, server_id: int, by: str | None = None, *, enabled: bool) -> None:
        """Enable or disable the server; its settings and its secret stay."""
        await self._change(server_id, {"enabled": enabled}, by)

    async def choose_default(self, server_id: int | None) -> None:
        """Make the server the default instead of any other; None for no default. Versions stay as they are."""
        await self._connection.execute(update(table).where(table.c.is_default).values(_default(chosen=False)))
        if server_id is not None:
            await self._set(server_id, _default(chosen=True))

    async def free_name(self, wanted: str, server_id: int) -> str:
        """Return *wanted*, or a name like it that no other server has."""
        names = list(names_to_try(wanted, server_id))
        others = select(table.c.name).where(table.c.name.in_(names), table.c.id != server_id)
        taken = set((await self._connection.execute(others)).scalars())
        return next(name for name in names if name not in taken)

    async def any_unnamed(self) -> bool:
        """Return whether a program without names stored a server that has none yet."""
        unnamed = select(table.c.id).where(table.c.name.is_(None)).limit(1)
        return (await self._connection.execute(unnamed)).first() is not None

    async def name_unnamed(self, limit: int) -> None:
        """Name at most *limit* servers that a program without names stored. Their versions stay as they are."""
        unnamed = select(table.c.id, table.c.host).where(table.c.name.is_(None)).limit(limit)
        for row in (await self._connection.execute(unnamed)).all():
            await self._set(row.id, {"name": await self.free_name(name_from_host(row.host), row.id)})

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

    async def _change(self, server_id: int, values: dict[str, Any], by: str | None) -> None:
        """Store *values* as a new version."""
        await self._history.copy_current(server_id)
        now = {"version": table.c.version + 1, "updated_at": datetime.now(UTC), "changed_by": by}
        await self._set(server_id, {**values, **now})

    async def _set(self, server_id: int, values: dict[str, Any]) -> None:
        await self._connection.execute(update(table).where(table.c.id == server_id).values(values))

    def _stored(self, row: Row[Any]) -> StoredMailServer:
        server = from_row(row, row.id, self._sealer)
        return StoredMailServer(
            row.id,
            row.version,
            server,
            revision_of(row.updated_at, row.changed_by),
            Creation(row.created_by, row.created_through),
            row.name,
            enabled=row.enabled,
            is_default=row.is_default,
            default_since=None if row.default_since is None else in_utc(row.default_since),
        )


def _fetch_plain_tuples(connection: Connection, chosen: Select[Any]) -> Sequence[Any]:
    """Return rows as plain tuples: SQLAlchemy's rows take twice the time, for type handling not needed here."""
    result = connection.execute(chosen)
    rows: Sequence[Any] = result.cursor.fetchall()
    result.close()
    return rows


def _is(ref: MailServerRef | None) -> ColumnElement[bool]:
    if ref is None:
        return table.c.is_default
    if isinstance(ref, int):
        return table.c.id == ref if 0 < ref <= MAX_ID else false()
    unnamed = id_in_name(ref)
    named = table.c.name == ref
    return named if unnamed is None else or_(named, and_(table.c.name.is_(None), _is(unnamed)))


def _creation(by: str | None, through: str | None) -> dict[str, Any]:
    return {"changed_by": by, "created_by": by, "created_through": through}


def _default(*, chosen: bool) -> dict[str, Any]:
    return {"is_default": chosen, "default_since": datetime.now(UTC) if chosen else None}


def _new(server: MailServer, more: dict[str, Any]) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {**to_columns(server), **more, "created_at": now, "updated_at": now}
