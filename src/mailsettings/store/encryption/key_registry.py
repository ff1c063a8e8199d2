"""The keys that the database knows and needs, and resealing what older keys sealed, in one transaction."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.domain.encryption_keys import (
    EncryptionKey,
    EncryptionKeyReport,
    KeyIsCurrent,
    KeyNeeded,
    KeyUnknown,
    ResealResult,
)
from mailsettings.domain.errors import SecretUnreadable
from mailsettings.store.encryption.key_check import DROPPED_KEY_CHECK, key_checks, register_key
from mailsettings.store.encryption.key_file import KeySource
from mailsettings.store.encryption.sealing import SEALED_COLUMNS, SealedColumn, Sealer, key_id_of, prefix_of
from mailsettings.store.tables import encryption_keys as table

Position = tuple[int, Any]
"""Where resealing continues: the index of the column in the list, and the last row that was resealed."""


class SQLKeyRegistry:
    """The encryption keys in one transaction."""

    def __init__(
        self, connection: AsyncConnection, source: KeySource, columns: Sequence[SealedColumn] = SEALED_COLUMNS
    ) -> None:
        self._connection = connection
        self._source = source
        self._columns = columns

    async def register_newest(self) -> str:
        """Register the newest key, which seals from now on, and return its id.

        Raises `WrongKey`, `KeyFileUnusable`.
        """
        return (await self._admitted()).key_id

    async def reseal(self, position: Position | None, at_most: int) -> tuple[ResealResult, Position | None]:
        """Seal some secrets with the current key; return the result and where to continue (None: all done).

        Raises `WrongKey`, `KeyFileUnusable`.
        """
        sealer = await self._admitted()
        number, after = position or (0, None)
        rows = await self._older(self._columns[number], sealer, after, at_most)
        done = ResealResult()
        for row in rows:
            done += await self._reseal(self._columns[number], sealer, row)
        if len(rows) == at_most:
            return done, (number, rows[-1].id)
        return done, (number + 1, None) if number + 1 < len(self._columns) else None

    async def outdated(self) -> int:
        """Return how many secrets are not sealed with the current key in the current format."""
        sealer, found = self._source.newest(), 0
        for column in self._columns:
            older = column.sealed.is_not(None), column.start != column.newest_start(sealer.key_id)
            found += (await self._connection.execute(select(func.count()).where(*older))).scalar_one()
        return found

    async def require_droppable(self, key_id: str) -> None:
        """Raise a `KeyRefused` if the key has to stay. The answer is valid while the writer's lock is held."""
        sealer = self._source.newest()
        if key_id not in sealer.key_ids | await self._live():
            raise KeyUnknown
        if key_id == sealer.key_id:
            raise KeyIsCurrent(key_id)
        if needed := await self._needing(key_id):
            raise KeyNeeded(key_id, needed)

    async def retire(self, key_id: str) -> None:
        """Keep every program from sealing with this key again."""
        known = update(table).where(table.c.key_id == key_id).values(sealed_check=DROPPED_KEY_CHECK)
        if (await self._connection.execute(known)).rowcount == 0:
            await self._connection.execute(table.insert().values(key_id=key_id, sealed_check=DROPPED_KEY_CHECK))

    async def report(self) -> EncryptionKeyReport:
        """Return all keys in the key file and in the database, and every secret that cannot be decrypted."""
        sealer = self._source.newest()
        found = [(column, row) for column in self._columns for row in await self._sealed(column)]
        counted = Counter(key_id_of(row.sealed) for _, row in found)
        ids = sealer.key_ids | await self._live() | {key for key in counted if key is not None}
        keys = [
            EncryptionKey(key, key == sealer.key_id, key in sealer.key_ids, counted[key]) for key in sorted(ids)
        ]
        closed = [(column, row) for column, row in found if _opened(sealer, column, row) is None]
        return EncryptionKeyReport(keys, [column.place(row.sealed_for) for column, row in closed])

    async def _admitted(self) -> Sealer:
        sealer = self._source.newest()
        await self._connection.run_sync(register_key, sealer)
        return sealer

    async def _live(self) -> set[str]:
        known = await self._connection.run_sync(key_checks)
        return {key for key, check in known.items() if check != DROPPED_KEY_CHECK}

    async def _needing(self, key_id: str) -> int:
        needed = 0
        for column in self._columns:
            starts = [prefix_of(key_id, bound=bound) for bound in (False, True)]
            count = select(func.count()).where(column.start.in_(starts))
            needed += (await self._connection.execute(count)).scalar_one()
        return needed

    async def _sealed(self, column: SealedColumn) -> Sequence[Row[Any, Any]]:
        return (await self._connection.execute(_secrets(column))).all()

    async def _older(
        self, column: SealedColumn, sealer: Sealer, after: Any, at_most: int
    ) -> Sequence[Row[Any, Any]]:
        rows = _secrets(column).where(column.start != column.newest_start(sealer.key_id)).limit(at_most)
        if after is not None:
            rows = rows.where(column.id > after)
        return (await self._connection.execute(rows)).all()

    async def _reseal(self, column: SealedColumn, sealer: Sealer, row: Row[Any, Any]) -> ResealResult:
        text = _opened(sealer, column, row)
        if text is None:
            return ResealResult(unreadable=(column.place(row.sealed_for),))
        # Version and time of change stay, because the settings are the same.
        sealed = {
            column.sealed.name: sealer.seal(text, column.place(row.sealed_for), _associated_data(column, row)),
            **column.labelled(row._mapping, row.sealed),  # noqa: SLF001  # as in `_associated_data`
        }
        await self._connection.execute(update(column.table).where(column.id == row.id).values(sealed))
        return ResealResult(1)


def _secrets(column: SealedColumn) -> Select[Any, Any]:
    rows = select(
        column.id.label("id"),
        column.sealed_for.label("sealed_for"),
        column.sealed.label("sealed"),
        *column.associated_data,
        *([] if column.label is None else [column.label]),
    )
    return rows.where(column.sealed.is_not(None)).order_by(column.id)


def _opened(sealer: Sealer, column: SealedColumn, row: Row[Any, Any]) -> str | None:
    try:
        return sealer.open(row.sealed, column.place(row.sealed_for), _associated_data(column, row))
    except SecretUnreadable:
        return None


def _associated_data(column: SealedColumn, row: Row[Any, Any]) -> str:
    return column.associated_data_in(row._mapping)  # noqa: SLF001  # SQLAlchemy's public name for a row as a mapping
