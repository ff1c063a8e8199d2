"""Fixtures: fresh databases of both kinds, built by the migrations, and a store on each."""

import atexit
import logging
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Executable, Row, event, insert

from mailsettings.domain.access import Credentials
from mailsettings.domain.audit_log import AuditRecord
from mailsettings.domain.errors import StoreUnavailable
from mailsettings.domain.mail_server import MailServer, StoredMailServer
from mailsettings.store import database as writer_queue
from mailsettings.store import engine, migrations
from mailsettings.store.database import SQLStore
from mailsettings.store.database_url import sqlite_file
from mailsettings.store.encryption.sealing import Sealer
from mailsettings.store.engine import make_private, sync_engine
from mailsettings.store.freshness import Freshness, Version
from mailsettings.store.mail_servers import SQLMailServers
from mailsettings.store.postgres import connection as postgres_connection
from mailsettings.store.postgres import session as postgres_session
from mailsettings.store.read_cache import ReadCache
from mailsettings.store.tables import mail_servers
from mailsettings.store.transaction import Transaction

from support.postgres import Postgres, running_postgres
from support.recycled_databases import RecycledDatabases, new_database
from support.timeouts import GUARD_SECONDS

KEY = bytes(range(32))
# As in the service: at DEBUG the driver logs the values of each statement.
logging.getLogger("aiosqlite").setLevel(logging.WARNING)


class _CompiledStatements(dict[Any, Any]):
    """Compiled statements, by driver instead of by engine.

    SQLAlchemy compiles each statement once for each engine. A service has a single engine, but a run of the tests
    has thousands, and compiling took half of the time of most tests that use a store.
    """

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(_by_driver(key), default)

    def __setitem__(self, key: Any, compiled: Any) -> None:
        super().__setitem__(_by_driver(key), compiled)


def _by_driver(key: Any) -> Any:
    dialect, *rest = key
    return (type(dialect), *rest)


_COMPILED = _CompiledStatements()


@event.listens_for(Engine, "engine_connect")
def _share_compiled_statements(connection: Connection) -> None:
    connection.execution_options(compiled_cache=_COMPILED)


class LocalStore(SQLStore):
    """A store on an SQLite file. Set `away`, and it behaves as a database that does not answer."""

    def __init__(self, url: str) -> None:
        super().__init__(url, Sealer(KEY))
        self.url = url
        # Tests that look at what survives a crash use the service itself.
        event.listen(self._engine.sync_engine, "connect", _leave_out_flushes)
        # Dozens of requests at once wait for the connections of the pool, on a machine that is busy.
        vars(self._engine.pool)["_timeout"] = GUARD_SECONDS
        self._cached = self.cache
        self._uncached = ReadCache(Freshness(_NoAnswer()), self._reading_single, self.reading)
        self._away = False

    @property
    def away(self) -> bool:
        return self._away

    @away.setter
    def away(self, away: bool) -> None:
        self._away = away
        self.cache = self._uncached if away else self._cached

    @asynccontextmanager
    async def _reading_single(self) -> AsyncIterator[Transaction]:
        """Read cached values through `reading` like everything else, since tests replace that."""
        async with self.reading() as snapshot:
            yield snapshot

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        self._require_there()
        async with super().reading() as snapshot:
            yield snapshot

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Transaction]:
        self._require_there()
        async with super().writing() as work:
            yield work

    def sql(self, statement: Executable) -> Sequence[Row[Any]]:
        """Execute *statement* past the store; return the rows that it selects."""
        engine = sync_engine(self.url)
        with engine.begin() as connection:
            result = connection.execute(statement)
            found = result.all() if result.returns_rows else []
        engine.dispose()
        return found

    def _require_there(self) -> None:
        if self._away:
            raise StoreUnavailable


class _NoAnswer:
    """The data version of a database that does not answer; so each value is read from the database."""

    in_snapshots = False
    newest: Version | None = None

    async def ask(self) -> None:
        pass

    def close(self) -> None:
        raise NotImplementedError


def _leave_out_flushes(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous = OFF")
    cursor.execute("PRAGMA journal_mode = MEMORY")
    cursor.close()


async def all_of(servers: SQLMailServers) -> list[StoredMailServer]:
    """All that are stored, by id; the service itself never reads all of them at once."""
    found = [await servers.find(row.id) for row in await servers.listed(0, 10_000)]
    return [stored for stored in found if stored is not None]


async def stored_in(store: SQLStore) -> list[StoredMailServer]:
    """Return all mail servers by id."""
    async with store.reading() as snapshot:
        return await all_of(snapshot.mail_servers)


async def records(store: SQLStore, after: int = 0) -> list[AuditRecord]:
    """Return the records of the audit log behind entry *after*."""
    async with store.reading() as snapshot:
        return [entry.record for entry in await snapshot.audit.entries(after, 10_000)]


async def account(store: SQLStore, name: str) -> Credentials:
    """Return the account of this name, which has to exist."""
    async with store.reading() as snapshot:
        found = await snapshot.accounts.find(name)
    assert found is not None
    return found


async def add(store: SQLStore, server: MailServer) -> int:
    """Store *server* without an entry in the audit log."""
    async with store.writing() as work:
        return await work.mail_servers.add(server)


def fill(url: str, number: int) -> None:
    """Put *number* mail servers into an empty table, in one transaction; the first is the default."""
    engine = sync_engine(url)
    with engine.begin() as connection:
        connection.execute(insert(mail_servers), [row_of(position) for position in range(number)])
    engine.dispose()


def row_of(position: int) -> dict[str, Any]:
    """Return the columns of a mail server; the one at position 0 is the default."""
    now = datetime.now(UTC)
    return {
        "version": 1,
        "is_default": position == 0,
        "host": f"mail-{position}.example.org",
        "port": 587,
        "security": "starttls",
        "sender_address": f"scans-{position}@example.org",
        "sender_name": "Scän results",
        "authentication": "password",
        "username": f"user-{position}",
        "created_at": now,
        "updated_at": now,
    }


@pytest.fixture(autouse=True)
def patient_database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait long for the database, which is slow on a busy machine and not away; `tests/chaos` tests the limits."""
    if request.node.nodeid.startswith("tests/chaos/"):
        return
    milliseconds = GUARD_SECONDS * 1000
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    monkeypatch.setattr(postgres_session, "LIMITS", dict.fromkeys(names, str(milliseconds)))
    limits = ("BUSY_TIMEOUT_SECONDS", "POOL_TIMEOUT_SECONDS", "CONNECT_TIMEOUT_SECONDS", "DRIVER_TIMEOUT_SECONDS")
    for name in limits:
        monkeypatch.setattr(engine, name, GUARD_SECONDS)
    monkeypatch.setattr(writer_queue, "WRITER_QUEUE_TIMEOUT_SECONDS", GUARD_SECONDS)
    monkeypatch.setattr(postgres_connection, "MAX_SILENT_POLLS", GUARD_SECONDS * 10)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for all tests of this process, with a migrated database to copy."""
    with running_postgres() as server:
        server.execute("CREATE DATABASE migrated")
        migrations.migrate(server.url("migrated"))
        yield server


@pytest.fixture(scope="session")
def migrated_postgres(postgres: Postgres) -> RecycledDatabases:
    """The migrated databases of this process."""
    return RecycledDatabases(postgres, "migrated")


@pytest.fixture
def empty_postgres_url(postgres: Postgres) -> Iterator[str]:
    yield from new_database(postgres, "template0")


@pytest.fixture
def postgres_url(migrated_postgres: RecycledDatabases) -> Iterator[str]:
    with migrated_postgres.lend() as url:
        yield url


@pytest.fixture
def empty_sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'data' / 'mailsettings.db'}"


@cache
def template() -> Path:
    """Return one migrated file for this process to copy: building it takes longer than most tests."""
    folder = Path(tempfile.mkdtemp(prefix="mailsettings-template-"))
    atexit.register(shutil.rmtree, folder)
    file = folder / "data" / "mailsettings.db"
    migrations.migrate(f"sqlite:///{file}")
    return file


def new_file(file: Path) -> str:
    """Make a migrated database, as private as the service makes it; return its URL."""
    make_private(file)
    shutil.copyfile(template(), file)
    return f"sqlite:///{file}"


@pytest.fixture
def migrated_sqlite() -> Path:
    return template()


@pytest.fixture
def sqlite_url(empty_sqlite_url: str) -> str:
    return new_file(sqlite_file(empty_sqlite_url))


@pytest.fixture
async def new_store(tmp_path: Path) -> AsyncIterator[Callable[[], LocalStore]]:
    """Return a new store on a file of its own at each call."""
    made: list[LocalStore] = []

    def new() -> LocalStore:
        made.append(LocalStore(new_file(tmp_path / f"store-{len(made)}" / "mailsettings.db")))
        return made[-1]

    yield new
    for store in made:
        await store.close()


@pytest.fixture
def local_store(new_store: Callable[[], LocalStore]) -> LocalStore:
    """For tests that do not depend on the kind of the database."""
    return new_store()


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which database; whatever asks for a store or an URL runs once on each."""
    return str(request.param)


@pytest.fixture
def empty_url(kind: str, request: pytest.FixtureRequest) -> str:
    """A database without tables."""
    return str(request.getfixturevalue("empty_sqlite_url" if kind == "sqlite" else "empty_postgres_url"))


@pytest.fixture
def database_url(kind: str, request: pytest.FixtureRequest) -> str:
    """A migrated database."""
    return str(request.getfixturevalue("sqlite_url" if kind == "sqlite" else "postgres_url"))


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[SQLStore]:
    """A store on a migrated database."""
    store = SQLStore(database_url, Sealer(KEY))
    yield store
    await store.close()
