"""Fixtures: fresh databases of both kinds, built by the migrations, and a store on each."""

import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import insert

from mailsettings.domain.mail_server import StoredMailServer
from mailsettings.store import migrations
from mailsettings.store.encryption.sealing import Sealer
from mailsettings.store.engine import make_private, sqlite_file, sync_engine
from mailsettings.store.tables import mail_servers
from mailsettings.store.transactions import SQLStore
from mailsettings.use_cases.mail_server_ports import MailServerReads

from support.postgres import Postgres, running_postgres

KEY = bytes(range(32))


async def all_of(servers: MailServerReads) -> list[StoredMailServer]:
    """All that are stored, by id; the service itself never reads all of them at once."""
    found = [await servers.find(row[0]) for row in await servers.listed(0, 10_000)]
    return [stored for stored in found if stored is not None]


def fill(url: str, number: int) -> None:
    """Put *number* mail servers into an empty table, in one transaction; the first is the default."""
    now = datetime.now(UTC)
    rows = [
        {
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
        for position in range(number)
    ]
    engine = sync_engine(url)
    with engine.begin() as connection:
        connection.execute(insert(mail_servers), rows)
    engine.dispose()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for all tests of this process, with a migrated database to copy."""
    with running_postgres() as server:
        server.execute("CREATE DATABASE migrated")
        migrations.migrate(server.url("migrated"))
        yield server


@pytest.fixture
def empty_postgres_url(postgres: Postgres) -> Iterator[str]:
    yield from new_database(postgres, "template0")


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    yield from new_database(postgres, "migrated")


def new_database(postgres: Postgres, template: str) -> Iterator[str]:
    """An URL, for as long as the database is there."""
    name = f"test_{uuid.uuid4().hex}"
    postgres.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    yield postgres.url(name)
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty_sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'data' / 'mailsettings.db'}"


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file for all tests of this process, to copy: building it takes longer than most tests."""
    file = tmp_path_factory.mktemp("migrated") / "data" / "mailsettings.db"
    migrations.migrate(f"sqlite:///{file}")
    return file


@pytest.fixture
def sqlite_url(empty_sqlite_url: str, migrated_sqlite: Path) -> str:
    file = sqlite_file(empty_sqlite_url)
    make_private(file)
    shutil.copyfile(migrated_sqlite, file)
    return empty_sqlite_url


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
