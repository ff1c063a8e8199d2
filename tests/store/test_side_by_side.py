"""The previous version and this version on one database: each reads what the other writes.

The previous program is represented by its tables, as its last migration made them, and by its statements.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import (
    CheckConstraint,
    Column,
    Engine,
    ForeignKeyConstraint,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    delete,
    insert,
    select,
    update,
)

from mailsettings.domain.access import Account, Credentials
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, PasswordAuthentication, Sender
from mailsettings.domain.values import Secret
from mailsettings.store import database_url, engine, migrations
from mailsettings.store.database import SQLStore
from mailsettings.store.encryption.sealing import Sealer
from mailsettings.store.tables import schema_support

from support.databases import KEY, all_of

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SENDER = Sender("a@example.org")


@pytest.fixture
def database(empty_url: str) -> Iterator[Engine]:
    if database_url.is_sqlite(empty_url):
        engine.make_private(database_url.sqlite_file(empty_url))
    made = engine.sync_engine(empty_url)
    yield made
    made.dispose()


@pytest.fixture
def previous(database: Engine) -> MetaData:
    """The tables of the previous program; the database has the current schema."""
    tables = MetaData()
    with database.begin() as connection:
        config = migrations.alembic_config(connection)
        command.upgrade(config, "head-1")
        tables.reflect(connection)
        command.upgrade(config, "head")
    return tables


def test_a_schema_supports_the_program_before_it(database: Engine, previous: MetaData) -> None:
    with database.connect() as connection:
        scripts = ScriptDirectory.from_config(migrations.alembic_config(connection))
        (head,) = scripts.get_revisions("head")
        written = connection.scalars(select(schema_support.c.works_with)).one()

    assert head.down_revision in json.loads(written)


def test_a_schema_requires_nothing_of_the_program_before_it(database: Engine, previous: MetaData) -> None:
    """Nothing that it names is gone, and what it does not name can be left out."""
    now = MetaData()
    now.reflect(database)
    pairs = [(table, now.tables[table.name]) for table in previous.sorted_tables]
    changed = [
        f"{before.name}.{column.name}"
        for before, after in pairs
        for column in before.columns
        if described(column) != described(after.columns.get(column.name))
    ]
    asked = [
        f"{after.name}.{column.name}"
        for before, after in pairs
        for column in after.columns
        if column.name not in before.columns and not column.nullable and column.server_default is None
    ]
    stricter = [after.name for before, after in pairs if rules(after, before) - rules(before, before)]

    assert (changed, asked, stricter) == ([], [], [])


def described(column: Column[Any] | None) -> tuple[str, bool | None] | None:
    return None if column is None else (str(column.type), column.nullable)


def rules(table: Table, before: Table) -> set[str]:
    """What refuses a row of a program that knows the columns of *before*; empty columns are never equal."""
    kinds = (CheckConstraint, ForeignKeyConstraint, PrimaryKeyConstraint, UniqueConstraint)
    constraints = [str(each.name) for each in table.constraints if isinstance(each, kinds)]
    known = set(before.columns.keys())
    indexes = [each for each in table.indexes if each.unique and set(each.columns.keys()) <= known]
    return {*constraints, *(str(index.name) for index in indexes)}


class PreviousProgram:
    """What it does to mail servers and accounts."""

    def __init__(self, database: Engine, tables: MetaData) -> None:
        self._database = database
        self._servers, self._accounts = tables.tables["mail_servers"], tables.tables["accounts"]

    def _write(self, statement: Any) -> Any:
        with self._database.connect() as connected:
            connection = connected.execution_options(**engine.WRITE_OPTIONS)
            with connection.begin():
                done = connection.execute(statement)
                return done.scalar_one() if done.returns_rows else None

    def hosts(self) -> dict[int, str]:
        with self._database.connect() as connection:
            return {row.id: row.host for row in connection.execute(select(self._servers))}

    def names(self) -> set[str]:
        with self._database.connect() as connection:
            return {row.name for row in connection.execute(select(self._accounts))}

    def add(self, host: str) -> int:
        row = {"version": 1, "is_default": False, "host": host, "port": 25, "security": "none"}
        row |= {"sender_address": "a@example.org", "authentication": "none", "created_at": NOW, "updated_at": NOW}
        return int(self._write(insert(self._servers).values(row).returning(self._servers.c.id)))

    def replace(self, server_id: int, host: str) -> None:
        changed = {"host": host, "version": self._servers.c.version + 1, "updated_at": NOW}
        self._write(update(self._servers).where(self._servers.c.id == server_id).values(changed))

    def delete(self, server_id: int) -> None:
        self._write(delete(self._servers).where(self._servers.c.id == server_id))

    def add_account(self, name: str) -> None:
        row = {"name": name, "password_hash": "x", "grants": "[]", "created_at": NOW}
        self._write(insert(self._accounts).values(row))


class ThisProgram:
    """The same."""

    def __init__(self, store: SQLStore) -> None:
        self._store = store

    async def hosts(self) -> dict[int, str]:
        async with self._store.reading() as view:
            return {stored.id: stored.server.host for stored in await all_of(view.mail_servers)}

    async def names(self) -> set[str]:
        async with self._store.reading() as view:
            return {account.name for account in await view.accounts.list()}

    async def add(self, host: str) -> int:
        async with self._store.writing() as work:
            return await work.mail_servers.add(self._server(host), "somebody")

    async def replace(self, server_id: int, host: str) -> None:
        async with self._store.writing() as work:
            await work.mail_servers.replace(server_id, self._server(host), "somebody")

    async def delete(self, server_id: int) -> None:
        async with self._store.writing() as work:
            await work.mail_servers.delete(server_id)

    async def add_account(self, name: str) -> None:
        async with self._store.writing() as work:
            await work.accounts.add(Credentials(Account(name, frozenset()), "x", "y"))

    def _server(self, host: str) -> MailServer:
        login = PasswordAuthentication("u", Secret("canary-77aa01"))
        return MailServer(host, 587, ConnectionSecurity.STARTTLS, SENDER, login)


async def test_each_program_reads_at_once_what_the_other_writes(
    database: Engine, previous: MetaData, empty_url: str
) -> None:
    store = SQLStore(empty_url, Sealer(KEY))
    old, new = PreviousProgram(database, previous), ThisProgram(store)
    expected: dict[int, str] = {}
    for number in range(3):
        by_new = await new.add(f"new-{number}")
        by_old = old.add(f"old-{number}")
        doomed = [await new.add("doomed"), old.add("doomed")]
        old.replace(by_new, f"new-{number}-by-old")
        await new.replace(by_old, f"old-{number}-by-new")
        old.delete(doomed[0])
        await new.delete(doomed[1])
        old.add_account(f"old-{number}")
        await new.add_account(f"new-{number}")
        expected |= {by_new: f"new-{number}-by-old", by_old: f"old-{number}-by-new"}

        assert old.hosts() == await new.hosts() == expected
    assert old.names() == await new.names() == {f"{who}-{number}" for who in ("old", "new") for number in range(3)}
    await store.close()
