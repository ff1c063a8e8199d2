"""Reads one moment of the database, while others write, as the lines of a backup.

On PostgreSQL it reads in a transaction that sees one committed state. SQLite without a write-ahead log blocks
writers during a read; so the whole file is first copied, as fast as the disk allows, into a database without a
name: a temporary file of SQLite that no other process can open and that disappears with the connection.
"""

import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, Row, StaticPool, Table, create_engine, select, text

from mailsettings import __version__
from mailsettings.domain.backup import Backup, BackupUnusable, CopyResult
from mailsettings.domain.errors import SecretUnreadable
from mailsettings.store import database_url, engine, migrations
from mailsettings.store.backup.contents import BACKED_UP, Preface, RowFormat, identity_column, to_line
from mailsettings.store.database_errors import DatabaseUnavailable, problem_of, translate_database_errors
from mailsettings.store.encryption.key_file import KeyFile
from mailsettings.store.encryption.sealing import SEALED_COLUMNS, SealedColumn, Sealer

ROWS_PER_FETCH = 500
LONG_TIMEOUTS = [
    text(f"SET LOCAL {limit} = '10min'") for limit in ("statement_timeout", "idle_in_transaction_session_timeout")
]
"""For PostgreSQL: the time between two batches of rows depends on the disk that the backup is written to."""


class Snapshot:
    """The database at the moment when its first line is read."""

    def __init__(self, url: str, ring: KeyFile) -> None:
        self._url = url
        self._ring = ring
        self._rows = 0
        self._unreadable: list[str] = []

    @property
    def copied(self) -> CopyResult:
        """The rows and unreadable secrets in the lines so far."""
        return CopyResult(self._rows, self._unreadable)

    def lines(self, backup_id: str, made_at: str) -> Generator[bytes]:
        """Yield the whole content. Raises `BackupUnusable`, `KeyFileUnusable`, `StoreUnavailable`."""
        # The key file is read before and after the snapshot, so every key that the snapshot needs is included.
        before = self._ring.read()
        with translate_database_errors(), _consistent_connection(self._url) as connection:
            revision = _known_revision(connection)
            now = self._ring.read()
            keys, bound = list(dict.fromkeys([*before.keys, *now.keys])), before.bound | now.bound
            yield Preface(Backup(backup_id, made_at, __version__), revision, keys, bound).line()
            for table in BACKED_UP:
                yield from self._table(connection, table, Sealer(*keys, bound=bound))
        yield to_line({"rows": self._rows})

    def _table(self, connection: Connection, table: Table, sealer: Sealer) -> Iterator[bytes]:
        form, sealed = RowFormat(table), [column for column in SEALED_COLUMNS if column.table is table]
        last = _last_number(connection, table)
        yield to_line({"table": table.name, "columns": form.columns, "last_number": last})
        everything = select(table).order_by(*table.primary_key)
        for row in connection.execute(everything, execution_options={"yield_per": ROWS_PER_FETCH}):
            self._rows += 1
            self._unreadable += _places_of_unreadable(sealed, sealer, row)
            yield form.line(row)


def _known_revision(connection: Connection) -> str:
    """Raise `BackupUnusable` for another schema, because this program may not know all of its tables."""
    found = migrations.revision(connection)
    if found != migrations.head():
        raise BackupUnusable(
            f"The database has the schema {found}, which is not this program's; make the backup with the version "
            "of mailsettings that it is of."
        )
    return found


def _places_of_unreadable(columns: Sequence[SealedColumn], sealer: Sealer, row: Row[Any, Any]) -> Iterator[str]:
    values = row._mapping  # noqa: SLF001  # SQLAlchemy's public name for a row as a mapping
    for column in columns:
        sealed, place = values[column.sealed], column.place(values[column.sealed_for])
        try:
            if sealed is not None:
                sealer.open(sealed, place, column.associated_data_in(values))
        except SecretUnreadable:
            yield place


def _last_number(connection: Connection, table: Table) -> int | None:
    """Return the highest number ever assigned, even to a deleted row; None if the table assigns none."""
    column = identity_column(table)
    if column is None:
        return None
    if connection.dialect.name == "sqlite":
        last = text("SELECT seq FROM sqlite_sequence WHERE name = :table")
        return connection.execute(last, {"table": table.name}).scalar() or 0
    last = text("SELECT pg_sequence_last_value(CAST(pg_get_serial_sequence(:table, :column) AS regclass))")
    return connection.execute(last, {"table": table.name, "column": column.name}).scalar() or 0


@contextmanager
def _consistent_connection(url: str) -> Iterator[Connection]:
    database = engine.sync_engine(url)
    try:
        with _copy(database) if database_url.is_sqlite(url) else _repeatable(database) as connection:
            yield connection
    finally:
        database.dispose()


@contextmanager
def _repeatable(database: Engine) -> Iterator[Connection]:
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with database.connect().execution_options(**options) as connection:
        for limit in LONG_TIMEOUTS:
            connection.execute(limit)
        yield connection


@contextmanager
def _copy(database: Engine) -> Iterator[Connection]:
    with closing(sqlite3.connect("")) as copied:
        with database.connect() as source:
            _copy_sqlite(source.connection.cursor().connection, copied)
        reader = create_engine("sqlite://", creator=lambda: copied, poolclass=StaticPool, hide_parameters=True)
        with reader.connect() as connection:
            yield connection


def _copy_sqlite(source: sqlite3.Connection, into: sqlite3.Connection) -> None:
    """Use SQLite's backup API, which works while others write."""
    try:
        source.backup(into)
    except sqlite3.Error as error:
        raise DatabaseUnavailable(problem_of(error)) from error
