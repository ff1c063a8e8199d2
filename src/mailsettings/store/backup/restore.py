"""Reads a backup and fills a new database from it, in one transaction.

The reader first reads the whole file, to see that it is complete and fits this program, then reads it again to
restore it.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Table, exists, insert, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.domain.backup import Backup, BackupUnusable, CopyResult, DatabaseNotEmpty
from mailsettings.domain.errors import SecretUnreadable
from mailsettings.domain.values import Secret
from mailsettings.store import migrations
from mailsettings.store.backup.contents import BACKED_UP, Batch, Preface, RowFormat, identity_column, parse_preface
from mailsettings.store.backup.file_format import BackupReader, damaged
from mailsettings.store.backup.snapshot import LONG_TIMEOUTS
from mailsettings.store.database_errors import StatementRejected, translate_database_errors
from mailsettings.store.encryption.sealing import SEALED_COLUMNS, SealedColumn, Sealer
from mailsettings.store.tables import data_version, encryption_keys, metadata, schema_support

ROWS_PER_BATCH = 500
MAX_ROW_NUMBER = 2**31 - 1
"""Assigned numbers stay below it, because the columns have 32 bits."""


class VerifiedBackup:
    """A backup that was read to its end and is complete and unchanged."""

    def __init__(self, preface: Preface, lines: Callable[[], Iterator[bytes]]) -> None:
        self._preface = preface
        self._lines = lines

    @property
    def about(self) -> Backup:
        """The facts about the backup."""
        return self._preface.backup

    @property
    def keys(self) -> list[bytes]:
        """The keys of its secrets."""
        return list(self._preface.keys)

    @property
    def bound(self) -> frozenset[str]:
        """The ids of the keys that open only bound secrets."""
        return self._preface.bound

    def batches(self) -> Iterator[Batch]:
        """Yield its rows table by table. Raises `BackupUnusable` if the file changed after it was verified."""
        lines = self._lines()
        next(lines)
        return _batches(lines)


@contextmanager
def verified_backup(path: Path, passphrase: Secret) -> Iterator[VerifiedBackup]:
    """Open the backup in *path* and verify all of it. Raises `BackupUnusable`, `WrongPassphrase`."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise BackupUnusable(f"{path} cannot be read: {error.strerror}.") from None
    with file:
        reader = BackupReader(file, passphrase)
        backup = VerifiedBackup(_preface(reader), reader.lines)
        for _ in backup.batches():
            pass
        yield backup


def _preface(reader: BackupReader) -> Preface:
    with _wrong_as_damaged():
        preface = parse_preface(_parsed(next(reader.lines(), b"")))
    if preface.revision != migrations.head():
        raise BackupUnusable(
            f"The backup was made by mailsettings {preface.backup.program} and has the schema {preface.revision}, "
            f"this program has {migrations.head()}; restore it with that version, then migrate."
        )
    return preface


def _batches(lines: Iterator[bytes]) -> Iterator[Batch]:
    """Yield the rows. Raises `BackupUnusable` unless each table appears once and the number of rows is right."""
    count = 0
    with _wrong_as_damaged():
        values = map(_parsed, lines)
        value = next(values, None)
        for table in BACKED_UP:
            form, rows = RowFormat(table), []
            last_number = _last_number(table, form, value)
            while isinstance(value := next(values, None), list):
                rows.append(form.row(value))
                if len(rows) == ROWS_PER_BATCH:
                    yield Batch(table, last_number, rows)
                    count, rows = count + len(rows), []
            yield Batch(table, last_number, rows)
            count += len(rows)
        if value != {"rows": count} or next(values, None) is not None:
            raise ValueError


def _last_number(table: Table, form: RowFormat, value: object) -> int | None:
    """Return the last number from the line before the rows of *table*. Raises `ValueError` for another line."""
    match value:
        case {"table": table.name, "columns": form.columns, "last_number": None}:
            return None
        case {"table": table.name, "columns": form.columns, "last_number": int() as last} if (
            0 <= last < MAX_ROW_NUMBER
        ):
            return last
    raise ValueError


def _parsed(line: bytes) -> Any:
    return json.loads(line)


@contextmanager
def _wrong_as_damaged() -> Iterator[None]:
    """Report malformed content as damage: it decrypts, so another program with the passphrase wrote it."""
    try:
        yield
    except (ValueError, TypeError, RecursionError):
        raise damaged() from None


_MAY_HOLD_SOMETHING = {schema_support, data_version, encryption_keys}
"""The migrations fill the first two, and the restoring transaction fills the third before it starts."""


class SQLRestore:
    """The whole content of the database in one transaction."""

    def __init__(self, connection: AsyncConnection, sealer: Sealer) -> None:
        self._connection = connection
        self._sealer = sealer

    async def fill(self, backup: VerifiedBackup) -> CopyResult:
        """Insert the rows of *backup* and reseal their secrets, except unreadable secrets, which stay.

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
        """Continue the numbers after *last*, so that the next row gets a number that was never used."""
        if self._connection.dialect.name == "sqlite":
            await self._sqlite_goes_on_after(column.table, last)
        else:
            # A rollback undoes this; it does not undo setval.
            goes_on = f"ALTER TABLE {column.table.name} ALTER COLUMN {column.name} RESTART WITH {last + 1}"
            await self._connection.execute(text(goes_on))

    async def _sqlite_goes_on_after(self, table: Table, last: int) -> None:
        name = {"table": table.name}
        await self._connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :table"), name)
        goes_on = text("INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :last)")
        await self._connection.execute(goes_on, name | {"last": last})


def _sealed_anew(batch: Batch, opener: Sealer, sealer: Sealer) -> Iterator[str]:
    """Reseal the secrets with *sealer*; yield the locations of those that *opener* cannot open."""
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
    """Report a refused row as `BackupUnusable`: one database may accept values that the other refuses."""
    try:
        with translate_database_errors():
            yield
    except (StatementRejected, SQLAlchemyError, OverflowError) as error:
        # Only our own error is safe to repeat: those of SQLAlchemy have the row in them.
        reason = str(error) if isinstance(error, StatementRejected) else type(error).__name__
        raise BackupUnusable(f"The database refuses the rows of the backup for {table.name}: {reason}.") from None
