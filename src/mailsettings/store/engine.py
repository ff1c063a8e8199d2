"""Engines for SQLite and PostgreSQL: their URLs, the set-up of their sessions, and the meaning of their errors."""

import asyncio
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any

from psycopg import pq
from psycopg.errors import ReadOnlySqlTransaction
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from mailsettings.domain.errors import StoreUnavailable
from mailsettings.store.postgres_connection import TimeLimitedConnection, replace_dead_connections
from mailsettings.store.private_file import require_private


class StatementRejected(Exception):
    """The database rejected a statement, which is a bug.

    The original text is dropped: it repeats the whole row.
    """


@contextmanager
def translate_database_errors() -> Iterator[None]:
    """Raise `StoreUnavailable` for a database that is away, busy, full or damaged, else `StatementRejected`."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout, OSError):
        raise StoreUnavailable from None
    except DBAPIError as error:
        # SQLite raises the bare class for a file that is damaged or not a database.
        if error.connection_invalidated or type(error) is DatabaseError:
            raise StoreUnavailable from None
        raise StatementRejected(type(error.orig).__name__) from None


_SEVERAL = re.compile(r"(?P<before>postgresql://(?:[^@/]*@)?)(?P<hosts>[^@/?]*,[^@/?]*)(?P<after>[/?].*)?")
_HOST = re.compile(r"(?:\[(?P<address>[^\]]*)\]|(?P<name>[^:]*))(?::(?P<port>[0-9]*))?")


def read_url(url: str) -> URL:
    """Return the parts of *url*. Raises `ValueError` or SQLAlchemy's `ArgumentError`, which may repeat the URL."""
    several = _SEVERAL.fullmatch(url)
    if several is None:
        return make_url(url)
    hosts, ports = zip(*(_host_and_port(part) for part in several["hosts"].split(",")), strict=True)
    # One port applies to all hosts, and a missing one means libpq's default.
    named = {"host": ",".join(hosts)} | ({"port": ",".join(ports)} if any(ports) else {})
    return make_url(several["before"] + (several["after"] or "")).update_query_dict(named)


def _host_and_port(part: str) -> tuple[str, str]:
    found = _HOST.fullmatch(part)
    if found is None:
        raise ValueError("no host and port")
    return found["address"] or found["name"] or "", found["port"] or ""


WRITE_OPTIONS = {"mailsettings_writes": True}
"""Execution options of a connection that will write."""

ONE_STATEMENT = {"mailsettings_one_statement": True}
"""Execution options of a connection to SQLite that reads with a single statement."""

POSTGRESQL_ONE_STATEMENT = {"isolation_level": "AUTOCOMMIT"}
"""The same for PostgreSQL, which makes a transaction of the statement without BEGIN and ROLLBACK."""

POSTGRESQL_SNAPSHOT = {"isolation_level": "REPEATABLE READ"}
"""Execution options that let all statements of a transaction see one moment, as they do on SQLite anyway."""

BUSY_TIMEOUT_SECONDS = 5
POOL_TIMEOUT_SECONDS = 3
CONNECT_TIMEOUT_SECONDS = 2.4
"""For a connection to PostgreSQL: waiting for the pool, testing and opening it."""
DRIVER_TIMEOUT_SECONDS = 2
"""For a connection to one host and address. The driver takes no less."""
# The key of pg_advisory_xact_lock, which admits one writer or migration at a time.
_WRITER_LOCK = 7_225_348_612
# An acknowledged write is on the disk, and on a synchronous standby, whatever the server's default is.
_DURABLE = "-c synchronous_commit=on"
# The server gives up before our own wait (MAX_SILENT_POLLS) ends, and soon drops the lock of a writer that was cut
# off, so that others can write when the network is back.
POSTGRESQL_LIMITS = "-c statement_timeout=2200 -c lock_timeout=2000 -c idle_in_transaction_session_timeout=4000"


class DatabaseUnsupported(ValueError):
    """The URL is neither `sqlite:///…` nor `postgresql://…`; `str()` does not repeat it."""

    def __init__(self) -> None:
        super().__init__("The database URL must begin with sqlite:/// or postgresql://.")


def async_engine(url: str) -> AsyncEngine:
    """Return the engine for the service. Raises `DatabaseUnsupported`."""
    parsed = _parsed(url)
    if is_sqlite(url):
        engine = create_async_engine(
            parsed.set(drivername="sqlite+aiosqlite"), hide_parameters=True, pool_timeout=POOL_TIMEOUT_SECONDS
        )
    else:
        engine = create_async_engine(
            parsed.set(drivername="postgresql+psycopg"),
            hide_parameters=True,  # errors must not repeat values
            connect_args={**_limited_session(parsed), "async_creator_fn": TimeLimitedConnection.connect},
        )
        replace_dead_connections(engine.sync_engine)
    _add_listeners(engine.sync_engine)
    event.listen(engine.sync_engine, "before_cursor_execute", _refuse_writes_while_reading)
    return engine


async def connect(url: str) -> TimeLimitedConnection:
    """Return a PostgreSQL connection outside the pool; it commits each statement. Raises the driver's errors."""
    parsed = _parsed(url)
    arguments = {**_driver_arguments(parsed), **_limited_session(parsed)}
    async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
        return await TimeLimitedConnection.connect(**arguments, autocommit=True)


def accepts_standby(url: str) -> bool:
    """Return whether the URL asks for servers other than a primary."""
    return _parsed(url).query.get("target_session_attrs", "primary") not in {"primary", "read-write"}


def sync_engine(url: str) -> Engine:
    """Return an engine without time limits, for migrations and backups. Raises `DatabaseUnsupported`."""
    parsed = _parsed(url)
    name = "sqlite+pysqlite" if is_sqlite(url) else "postgresql+psycopg"
    arguments = {} if is_sqlite(url) else {**_session(parsed, _DURABLE), "connect_timeout": 3}
    engine = create_engine(parsed.set(drivername=name), hide_parameters=True, connect_args=arguments)
    _add_listeners(engine)
    return engine


def is_sqlite(url: str) -> bool:
    """Return whether the database is SQLite."""
    return _parsed(url).drivername == "sqlite"


def sqlite_file(url: str) -> Path:
    """Return the file of an SQLite database."""
    return Path(_parsed(url).database or "")


def require_private_file(url: str) -> None:
    """Raise `DatabaseFileExposed` if the database is a file that every user can read or write."""
    if is_sqlite(url):
        require_private(sqlite_file(url))


def location(url: str) -> str:
    """Return where the database is, for people to read, without user name and password."""
    parsed = _parsed(url)
    if is_sqlite(url):
        return f"at {parsed.database}"
    hosts, ports = parsed.query.get("host", parsed.host or ""), parsed.query.get("port", parsed.port or "")
    where = ":".join(str(part) for part in (hosts, ports) if part)
    return f"named {parsed.database} at {where}" if where else f"named {parsed.database}"


def make_private(file: Path) -> None:
    """Create the database file for its owner only, if it is missing; SQLite gives its journals the same mode.

    Raises `DatabaseFileExposed` for an existing file that every user can read or write.
    """
    require_private(file)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))


def _session(parsed: URL, options: str) -> dict[str, object]:
    """Return the session options, in addition to those of the URL and taking precedence over them.

    By default only a primary is accepted: a standby may lack writes that its primary has acknowledged.
    """
    given = parsed.query.get("options", "")
    role = {} if "target_session_attrs" in parsed.query else {"target_session_attrs": "primary"}
    return {"options": " ".join([*([given] if isinstance(given, str) else given), options]).strip(), **role}


def _limited_session(parsed: URL) -> dict[str, object]:
    session = _session(parsed, f"{_DURABLE} {POSTGRESQL_LIMITS}")
    return {**session, "connect_timeout": DRIVER_TIMEOUT_SECONDS}


def _driver_arguments(parsed: URL) -> dict[str, Any]:
    url = parsed.set(drivername="postgresql+psycopg")
    return dict(url.get_dialect()().create_connect_args(url)[1])


def _parsed(url: str) -> URL:
    try:
        parsed = read_url(url)
    except (ArgumentError, ValueError):
        raise DatabaseUnsupported from None
    if parsed.drivername not in {"sqlite", "postgresql"} or not parsed.database:
        raise DatabaseUnsupported
    return parsed


def _add_listeners(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        event.listen(engine, "begin", _begin_postgresql)
        event.listen(engine, "handle_error", _disconnect_if_read_only)


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
    if connection.get_execution_options().get("mailsettings_writes", False):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER_LOCK})")


def _disconnect_if_read_only(context: ExceptionContext) -> None:
    # A read-only server is the wrong server, or only for a moment; new connections may find another server.
    if isinstance(context.original_exception, ReadOnlySqlTransaction):
        context.is_disconnect = True


_PORT = "5432"


def endpoints(url: str) -> list[tuple[str, int]]:
    """Return host and port of each server; none for a file or Unix socket. Raises `DatabaseUnsupported`."""
    if is_sqlite(url):
        return []
    given = {**_defaults(), **_driver_arguments(read_url(url))}
    ports = [port or _PORT for port in str(given["port"]).split(",")]
    pairs: list[tuple[str, str]] = []
    for name in ("host", "hostaddr"):
        # One port applies to all hosts (libpq, "Specifying Multiple Hosts").
        hosts = str(given[name]).split(",")
        pairs += zip_longest(hosts, ports[: len(hosts)], fillvalue=ports[0])
    return [(host, int(port)) for host, port in pairs if host and not host.startswith(("/", "@"))]


def _defaults() -> dict[str, str]:
    """Return libpq's values for what the URL leaves open, from its environment variables."""
    options = {option.keyword: option.val for option in pq.Conninfo.get_defaults()}
    return {name: (options.get(name.encode()) or b"").decode() for name in ("host", "hostaddr", "port")}
