"""The store: it runs transactions on the engine, lets one writer in at a time, and owns the read cache."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from typing import Any, cast

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import QueuePool

from mailsettings.domain.audit_log import AuditEntry
from mailsettings.domain.errors import SecretUnreadable, StoreUnavailable
from mailsettings.domain.service import DatabaseVersion
from mailsettings.store import database_url, engine
from mailsettings.store.audit_log import SQLAuditLog
from mailsettings.store.database_errors import WRITERS_WAIT, DatabaseUnavailable, translate_database_errors
from mailsettings.store.encryption.key_check import WrongKey, is_registered, register_key, sealer_for_writing
from mailsettings.store.encryption.key_file import KeySource
from mailsettings.store.encryption.service_keys import SQLServiceKeys
from mailsettings.store.freshness import DataVersion, Freshness, SQLiteDataVersion
from mailsettings.store.outages import Outages
from mailsettings.store.postgres.data_version import PostgresDataVersion
from mailsettings.store.read_cache import ReadCache
from mailsettings.store.transaction import Transaction

WRITER_QUEUE_TIMEOUT_SECONDS = 10
"""How long a writer waits for the writers before it."""


class WriterQueue:
    """Admits one writer at a time, in the order of arrival.

    Without it, each writer would wait for the database's lock while it holds a connection of the pool; enough of
    them would use up the pool and block readers too. And SQLite has no queue: an unlucky writer retries until it
    gives up.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._failed = 0
        self._failure = StoreUnavailable()

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Wait for the turn and hold it during the block. Raises `StoreUnavailable`.

        When one writer finds the database unavailable, all writers that wait at that moment fail with it. If each
        of them tried for itself, the last one would wait for as many time limits as there are writers.
        """
        failed_before = self._failed
        try:
            async with asyncio.timeout(WRITER_QUEUE_TIMEOUT_SECONDS):
                await self._lock.acquire()
        except TimeoutError:
            raise DatabaseUnavailable(WRITERS_WAIT) from None
        try:
            if self._failed != failed_before:
                raise self._failure.with_traceback(None)
            async with self._noting_failure():
                yield
        finally:
            self._lock.release()

    @asynccontextmanager
    async def _noting_failure(self) -> AsyncIterator[None]:
        try:
            yield
        except StoreUnavailable as failure:
            self._failed += 1
            self._failure = failure
            raise


_SERVER_VERSION = "current_setting('server_version')"

_audit_lines = logging.getLogger("mailsettings.audit")


class SQLStore:
    """The database, SQLite or PostgreSQL."""

    def __init__(self, url: str, keys: KeySource) -> None:
        self.on_appended: Callable[[AuditEntry], None] | None = None
        """Called with each audit entry after its commit."""
        self._engine = engine.async_engine(url)
        self._keys = keys
        self._sqlite = database_url.is_sqlite(url)
        self.outages = Outages()
        self._data_version = _data_version_of(url, self.outages)
        self._freshness = Freshness(self._data_version)
        self._writer_queue = WriterQueue()
        self._for_reading: Mapping[str, Any] = {} if self._sqlite else engine.POSTGRESQL_SNAPSHOT
        self._for_one_statement = _for_one_statement(url)
        self.cache = ReadCache(self._freshness, self._reading_single, self.reading)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Transaction]:
        """Run a transaction that is committed durably when the block ends without an error; one at a time."""
        try:
            async with self._writer_queue.take(), self._transaction(engine.WRITE_OPTIONS) as connection:
                # Under the lock, so that no key can be dropped between this check of the keys and the commit.
                sealer = await sealer_for_writing(connection, self._keys)
                work = Transaction(connection, self._keys, sealer)
                yield work
        except DatabaseUnavailable as failure:  # of the queue; the transaction has noted its own
            self.outages.failed(failure.problem)
            raise
        finally:
            self._freshness.note_write()
        for entry in work.audit.appended:
            _log_entry(entry)
            if self.on_appended is not None:
                self.on_appended(entry)

    @asynccontextmanager
    async def writing_unqueued(self) -> AsyncIterator[Transaction]:
        """Run a short transaction next to other writers, for rows that no other transaction depends on.

        It seals nothing and writes no audit entry. On SQLite, which has a single writer, it waits for its turn.
        """
        turn = self._writer_queue.take() if self._sqlite else nullcontext()
        async with turn, self._transaction(engine.UNQUEUED_WRITE_OPTIONS) as connection:
            yield Transaction(connection, self._keys)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """Read from one snapshot of the committed state, taken at the first query of the block.

        Keep the block short: on SQLite without a write-ahead log no writer can commit before it ends.
        """
        async with self._transaction(self._for_reading) as connection:
            yield Transaction(connection, self._keys)

    @asynccontextmanager
    async def _reading_single(self) -> AsyncIterator[Transaction]:
        async with self._transaction(self._for_one_statement) as connection:
            yield Transaction(connection, self._keys)

    async def register_key(self) -> None:
        """Check that the keys fit the database, and register the newest. Raises `WrongKey`, `KeyFileUnusable`."""
        sealer = self._keys.newest()
        # Without the writer's lock in the common case: on SQLite, many processes that start at once would wait for
        # it too long.
        async with self._transaction(self._for_reading) as connection:
            if await connection.run_sync(is_registered, sealer):
                await self._require_audit_key(connection)
                return
        async with self._transaction(engine.WRITE_OPTIONS) as connection:
            await connection.run_sync(register_key, sealer)
            await self._require_audit_key(connection)

    async def _require_audit_key(self, connection: AsyncConnection) -> None:
        """Raise `WrongKey` if the audit key cannot be opened: without it no change could be audited."""
        try:
            await SQLAuditLog(connection, SQLServiceKeys(connection, self._keys.newest())).chain()
        except SecretUnreadable as unreadable:
            problem = f"The key of the audit log, in this database, cannot be decrypted: {unreadable.reason}."
            raise WrongKey(f"{problem} Restore it from a backup.") from unreadable

    async def ping(self) -> None:
        """Raise `StoreUnavailable` if the database does not answer."""
        async with self._transaction(self._for_one_statement) as connection:
            await connection.execute(text("SELECT 1"))

    async def version(self) -> DatabaseVersion:
        """Return the kind and the version of the database, and its last migration. Raises `StoreUnavailable`."""
        kind, version = ("sqlite", "sqlite_version()") if self._sqlite else ("postgresql", _SERVER_VERSION)
        query = f"SELECT {version} AS version, (SELECT version_num FROM alembic_version) AS revision"  # noqa: S608
        async with self._transaction(self._for_one_statement) as connection:
            row = (await connection.execute(text(query))).one()
        return DatabaseVersion(kind, row.version, row.revision)

    def pool(self) -> Mapping[str, int]:
        """Return the current number of connections by state."""
        pool = cast(QueuePool, self._engine.pool)
        return {
            "size": pool.size(),
            "in_use": pool.checkedout(),
            "idle": pool.checkedin(),
            "overflow": max(pool.overflow(), 0),  # SQLAlchemy counts below zero until the pool is full
        }

    async def close(self) -> None:
        """Close all connections."""
        self._data_version.close()
        await self._engine.dispose()

    @asynccontextmanager
    async def _transaction(self, options: Mapping[str, Any]) -> AsyncIterator[AsyncConnection]:
        try:
            with translate_database_errors():
                async with self._connection() as connection:
                    await connection.execution_options(**options)
                    async with connection.begin():
                        yield connection
        except DatabaseUnavailable as failure:
            self.outages.failed(failure.problem)
            raise
        self.outages.answered(by_write=options is engine.WRITE_OPTIONS)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        # SQLite has its own limit, busy_timeout, for a file that another process writes to.
        seconds = None if self._sqlite else engine.CONNECT_TIMEOUT_SECONDS
        async with asyncio.timeout(seconds) as limit, self._engine.connect() as connection:
            limit.reschedule(None)
            yield connection


def _for_one_statement(url: str) -> Mapping[str, Any]:
    if database_url.is_sqlite(url):
        return engine.ONE_STATEMENT
    # Behind a pooler only a transaction has our settings.
    return {} if database_url.is_pooled(url) else engine.POSTGRESQL_ONE_STATEMENT


def _data_version_of(url: str, outages: Outages) -> DataVersion:
    if database_url.is_sqlite(url):
        return SQLiteDataVersion(database_url.sqlite_file(url))
    return PostgresDataVersion(
        lambda: engine.connect(url),
        outages,
        accepts_standby=database_url.accepts_standby(url),
        pooled=database_url.is_pooled(url),
    )


def _log_entry(entry: AuditEntry) -> None:
    """Write an entry to the program's log, which also records its hash outside the database."""
    record = entry.record
    _audit_lines.info(
        "audit %d %s %s %s by %s from %s, hash %s",
        *(entry.sequence, record.action, record.target or "-", record.outcome, record.actor or "-"),
        *(record.origin.address or "-", entry.mac.hex()),
        extra={"details": record.details, "request_id": record.origin.request_id},
    )
