"""Filling a new database from a backup, in the transaction that it is given."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from sqlalchemy import Column, Table, exists, insert, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.domain.backup import Backup, BackupUnusable, CopyResult, DatabaseNotEmpty
from mailsettings.domain.errors import SecretUnreadable
from mailsettings.store.backup.contents import Batch, identity_column
from mailsettings.store.backup.snapshot import LONG_TIMEOUTS
from mailsettings.store.encryption.sealed_columns import SEALED_COLUMNS, SealedColumn
from mailsettings.store.encryption.sealing import Sealer
from mailsettings.store.failures import StatementRejected, translate_database_errors
from mailsettings.store.tables import encryption_keys, metadata, schema_support

_MAY_HOLD_SOMETHING = {schema_support, encryption_keys}
"""Filled by the migrations, and by the transaction that restores before it begins to."""


class Restorable(Protocol):
    """A backup that was verified."""

    @property
    def about(self) -> Backup:
        """Which one it is."""
        ...

    @property
    def keys(self) -> Sequence[bytes]:
        """The keys that its secrets are sealed with."""
        ...

    @property
    def bound(self) -> frozenset[str]:
        """The ids of those keys that open bound secrets alone."""
        ...

    def batches(self) -> Iterator[Batch]:
        """Its rows, table by table. Raises `BackupUnusable`."""
        ...


class SQLRestore:
    """All that the database holds, in one transaction."""

    def __init__(self, connection: AsyncConnection, sealer: Sealer) -> None:
        self._connection = connection
        self._sealer = sealer

    async def fill(self, backup: Restorable) -> CopyResult:
        """Put in what *backup* has, its secrets sealed with our key; those that do not open stay as they are.

        Raises `DatabaseNotEmpty`, `BackupUnusable`.
        """
        await self._take_time()
        await self._require_empty()
        opener, count, unreadable = Sealer(*backup.keys, bound=backup.bound), 0, list[str]()
        last_numbers: dict[Column[Any], int] = {}
        for batch in backup.batches():
            unreadable += _sealed_anew(batch, opener, self._sealer)
            await self._insert(batch)
            count += len(batch.rows)
            if batch.last_number and (column := identity_column(batch.table)) is not None:
                last_numbers[column] = batch.last_number
        for column, last in last_numbers.items():
            with _refused_as_unusable(column.table):
                await self._go_on_after(column, last)
        return CopyResult(count, unreadable)

    async def _take_time(self) -> None:
        if self._connection.dialect.name != "sqlite":
            for limit in LONG_TIMEOUTS:
                await self._connection.execute(limit)

    async def _require_empty(self) -> None:
        for table in metadata.sorted_tables:
            if table in _MAY_HOLD_SOMETHING:
                continue
            if (await self._connection.execute(select(exists().select_from(table)))).scalar():
                raise DatabaseNotEmpty

    async def _insert(self, batch: Batch) -> None:
        if batch.rows:
            with _refused_as_unusable(batch.table):
                await self._connection.execute(insert(batch.table), batch.rows)

    async def _go_on_after(self, column: Column[Any], last: int) -> None:
        """Let the next row have a number that none ever had, as if all of them had been made here."""
        if self._connection.dialect.name == "sqlite":
            await self._sqlite_goes_on_after(column.table, last)
        else:
            # Undone with the transaction, which setval is not.
            goes_on = f"ALTER TABLE {column.table.name} ALTER COLUMN {column.name} RESTART WITH {last + 1}"
            await self._connection.execute(text(goes_on))

    async def _sqlite_goes_on_after(self, table: Table, last: int) -> None:
        name = {"table": table.name}
        await self._connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :table"), name)
        goes_on = text("INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :last)")
        await self._connection.execute(goes_on, name | {"last": last})


def _sealed_anew(batch: Batch, opener: Sealer, sealer: Sealer) -> Iterator[str]:
    """The places of the secrets that *opener* cannot open; all others are sealed by *sealer* then."""
    for column in SEALED_COLUMNS:
        if column.table is batch.table:
            for row in batch.rows:
                if not _seal_anew(column, row, opener, sealer):
                    yield column.place(row[column.sealed_for.name])


def _seal_anew(column: SealedColumn, row: dict[str, Any], opener: Sealer, sealer: Sealer) -> bool:
    sealed, place = row[column.sealed.name], column.place(row[column.sealed_for.name])
    associated_data = column.associated_data_in(row)
    if sealed is None:
        return True
    try:
        row[column.sealed.name] = sealer.seal(opener.open(sealed, place, associated_data), place, associated_data)
    except SecretUnreadable:
        return False
    row.update(column.labelled(row, sealed))
    return True


@contextmanager
def _refused_as_unusable(table: Table) -> Iterator[None]:
    """One database may take what the other does not."""
    try:
        with translate_database_errors():
            yield
    except (StatementRejected, SQLAlchemyError, OverflowError):
        raise BackupUnusable(f"The database does not take what the backup has for {table.name}.") from None
