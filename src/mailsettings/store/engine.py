"""Engines for SQLite and PostgreSQL, and the set-up of their sessions and transactions."""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from psycopg.errors import ReadOnlySqlTransaction
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from mailsettings.store.database_url import driver_arguments, is_pooled, is_sqlite, parsed_url, pool_size
from mailsettings.store.postgres import session as postgres_session
from mailsettings.store.postgres.connection import TimeLimitedConnection, replace_dead_connections
from mailsettings.store.private_file import require_private

WRITE_OPTIONS = {"mailsettings_writes": True}
"""Execution options of a connection that will write."""

UNQUEUED_WRITE_OPTIONS = {"mailsettings_writes": True, "mailsettings_unqueued": True}
"""The same for rows that no other transaction depends on: on PostgreSQL without the lock of the writers."""

ONE_STATEMENT = {"mailsettings_one_statement": True}
"""Execution options of a connection to SQLite that reads with a single statement."""

POSTGRESQL_ONE_STATEMENT = {"isolation_level": "AUTOCOMMIT"}
"""The same for PostgreSQL, which makes a transaction of the statement without BEGIN and ROLLBACK."""

POSTGRESQL_SNAPSHOT = {"isolation_level": "REPEATABLE READ"}
"""Execution options that let all statements of a transaction see one moment, as they do on SQLite anyway."""

BUSY_TIMEOUT_SECONDS = 5
POOL_TIMEOUT_SECONDS = 3
MAX_KEPT_CONNECTIONS = 5
"""Of the pool; further connections close after their transaction."""
CONNECT_TIMEOUT_SECONDS = 2.4
"""For a connection to PostgreSQL: waiting for the pool, testing and opening it."""
DRIVER_TIMEOUT_SECONDS = 2
"""For a connection to one host and address. The driver takes no less."""
# The key of pg_advisory_xact_lock, which admits one writer or migration at a time.
_WRITER_LOCK = 7_225_348_612


def async_engine(url: str) -> AsyncEngine:
    """Return the engine for the service. Raises `DatabaseUnsupported`."""
    parsed = parsed_url(url)
    if is_sqlite(url):
        engine = create_async_engine(
            parsed.set(drivername="sqlite+aiosqlite"), hide_parameters=True, pool_timeout=POOL_TIMEOUT_SECONDS
        )
    else:
        kept = min(pool_size(url), MAX_KEPT_CONNECTIONS)
        engine = create_async_engine(
            parsed.set(drivername="postgresql+psycopg"),
            hide_parameters=True,  # errors must not repeat values
            connect_args={**_limited_session(url), "async_creator_fn": TimeLimitedConnection.connect},
            pool_size=kept,
            max_overflow=pool_size(url) - kept,
            **_isolation(url),
        )
        replace_dead_connections(engine.sync_engine)
    _add_listeners(engine.sync_engine, url, postgres_session.LIMITS)
    event.listen(engine.sync_engine, "before_cursor_execute", _refuse_writes_while_reading)
    return engine


async def connect(url: str) -> TimeLimitedConnection:
    """Return a PostgreSQL connection outside the pool; it commits each statement.

    Raises the driver's errors and `DatabaseUnavailable`.
    """
    arguments = {**driver_arguments(parsed_url(url)), **_limited_session(url)}
    async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
        return await TimeLimitedConnection.connect(**arguments, autocommit=True)


def sync_engine(url: str) -> Engine:
    """Return an engine without time limits, for migrations and backups. Raises `DatabaseUnsupported`."""
    parsed = parsed_url(url)
    if is_sqlite(url):
        engine = create_engine(parsed.set(drivername="sqlite+pysqlite"), hide_parameters=True)
    else:
        engine = create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            hide_parameters=True,
            connect_args={**_session(url), "connect_timeout": 3},
            **_isolation(url),
        )
    _add_listeners(engine, url)
    return engine


def make_private(file: Path) -> None:
    """Create the database file for its owner only, if it is missing; SQLite gives its journals the same mode.

    Raises `DatabaseFileExposed` for an existing file that every user can read or write.
    """
    require_private(file)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))


def _session(url: str, *limits: Mapping[str, str]) -> dict[str, object]:
    """Return the session options, in addition to those of the URL and taking precedence over them.

    By default only a primary is accepted: a standby may lack writes that its primary has acknowledged.
    """
    query = parsed_url(url).query
    role = {} if "target_session_attrs" in query else {"target_session_attrs": "primary"}
    session: dict[str, object] = {"client_encoding": postgres_session.CLIENT_ENCODING, **role}
    if is_pooled(url):
        return {**session, "prepare_threshold": None}  # the next statement may go to another session
    given = query.get("options", "")
    own = postgres_session.startup_options(postgres_session.PINNED, *limits)
    return {**session, "options": " ".join([*([given] if isinstance(given, str) else given), own]).strip()}


def _limited_session(url: str) -> dict[str, object]:
    return {**_session(url, postgres_session.LIMITS), "connect_timeout": DRIVER_TIMEOUT_SECONDS}


def _isolation(url: str) -> dict[str, Any]:
    """Return what makes the driver name the isolation in each BEGIN, where a session cannot have it."""
    return {"isolation_level": "READ COMMITTED"} if is_pooled(url) else {}


def _add_listeners(engine: Engine, url: str, *limits: Mapping[str, str]) -> None:
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        # Before SQLAlchemy's own first questions, which fail where texts come as bytes.
        event.listen(engine, "connect", postgres_session.require_unicode, insert=True)
        if is_pooled(url):
            event.listen(
                engine, "begin", _setting(postgres_session.local_settings(postgres_session.PINNED, *limits))
            )
        event.listen(engine, "begin", _begin_postgresql)
        event.listen(engine, "handle_error", _disconnect_if_read_only)


def _setting(statements: str) -> Callable[[Connection], None]:
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(statements)

    return begin


def _configure_sqlite(connection: Any, _record: object) -> None:
    # `_begin_sqlite` begins transactions; those that Python's driver begins by itself break transactional DDL.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_SECONDS * 1000}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA secure_delete = ON")  # old secrets must not stay in free pages
    if is_wal_safe(sqlite3.sqlite_version_info):
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")  # NORMAL acknowledges commits before they are on the disk
    else:
        cursor.execute("PRAGMA journal_mode = DELETE")
        cursor.execute("PRAGMA synchronous = EXTRA")
    cursor.close()


def is_wal_safe(version: tuple[int, int, int]) -> bool:
    """Return whether this SQLite has the fix of the WAL-reset bug (sqlite.org/changes.html, 3.51.3)."""
    fixed_later = version >= (3, 51, 3) and version != (3, 52, 0)
    fixed_before = (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)
    return fixed_later or fixed_before


def _begin_sqlite(connection: Connection) -> None:
    if connection.get_execution_options().get("mailsettings_one_statement", False):
        return  # SQLite makes a transaction of it
    # A transaction that reads before it writes fails at once if another one commits in between
    # (SQLITE_BUSY_SNAPSHOT, which no timeout covers); so a writing transaction takes the lock at its start.
    writes = connection.get_execution_options().get("mailsettings_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _refuse_writes_while_reading(connection: Connection, *arguments: Any) -> None:
    # Such a statement would not have the writer's lock: a bug, which any test that runs it finds.
    context: DefaultExecutionContext = arguments[3]
    changes = context.isinsert or context.isupdate or context.isdelete
    if changes and not connection.get_execution_options().get("mailsettings_writes", False):
        raise RuntimeError("This transaction only reads; use SQLStore.writing().")


def _begin_postgresql(connection: Connection) -> None:
    # Held until the end of the transaction. See docs/decisions/0002-one-writer-at-a-time.md.
    options = connection.get_execution_options()
    if options.get("mailsettings_writes", False) and not options.get("mailsettings_unqueued", False):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER_LOCK})")


def _disconnect_if_read_only(context: ExceptionContext) -> None:
    # A read-only server is the wrong server, or only for a moment; new connections may find another server.
    if isinstance(context.original_exception, ReadOnlySqlTransaction):
        context.is_disconnect = True
