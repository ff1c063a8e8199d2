"""Migrations: one way to a schema, on both databases, however many start at once."""

import json
import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import insert, inspect, select, text

from mailsettings.store import database_url, engine, migrations
from mailsettings.store.tables import accounts, metadata

TABLES = {
    *("accounts", "alembic_version", "audit_entries", "audit_head", "data_version", "idempotency_keys"),
    *(
        "known_neighbourhoods",
        "leases",
        "login_failures",
        "mail_server_versions",
        "mail_servers",
        "probe_admissions",
        "schema_support",
    ),
    *("sealed_keys", "sealing_keys", "watch_states", "webhook_events"),
    *("device_rates", "device_test_logins", "device_uses", "devices", "message_recipients", "messages"),
    *("relay_places", "relay_waiting", "relays"),
}


def tables(url: str) -> set[str]:
    database = engine.sync_engine(url)
    with database.connect() as connection:
        found = set(inspect(connection).get_table_names())
    database.dispose()
    return found


def test_the_migrations_create_exactly_the_tables_in_the_code(database_url: str) -> None:
    database = engine.sync_engine(database_url)
    with database.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    database.dispose()

    assert differences == []


def test_up_down_and_up_again(empty_url: str) -> None:
    migrations.migrate(empty_url)
    up = tables(empty_url)
    database = engine.sync_engine(empty_url)
    with database.begin() as connection:
        command.downgrade(migrations.alembic_config(connection), "base")
    database.dispose()
    down = tables(empty_url)
    migrations.migrate(empty_url)

    assert (up, down, tables(empty_url)) == (TABLES, {"alembic_version"}, TABLES)


def test_a_migration_waits_longer_for_another_than_a_request(
    empty_sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_SECONDS", 0)
    file = database_url.sqlite_file(empty_sqlite_url)
    engine.make_private(file)
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    done = threading.Timer(0.5, lambda: other.execute("COMMIT"))
    done.start()
    migrations.migrate(empty_sqlite_url)
    done.join()
    other.close()

    assert tables(empty_sqlite_url) == TABLES


def test_a_failed_migration_leaves_nothing(empty_url: str) -> None:
    """The last table is there already, so the migration fails after it has made the others."""
    if database_url.is_sqlite(empty_url):
        engine.make_private(database_url.sqlite_file(empty_url))
    database = engine.sync_engine(empty_url)
    with database.begin() as connection:
        connection.execute(text("CREATE TABLE sealing_keys (x INTEGER)"))
    database.dispose()

    with pytest.raises(Exception, match=r"DuplicateTable|not available"):
        migrations.migrate(empty_url)

    assert tables(empty_url) == {"sealing_keys"}


def test_an_outdated_database_is_reported(empty_url: str) -> None:
    if database_url.is_sqlite(empty_url):
        engine.make_private(database_url.sqlite_file(empty_url))

    with pytest.raises(migrations.SchemaOutdated, match="mailsettings migrate"):
        migrations.require_current(empty_url)


def put(url: str, *statements: str) -> None:
    """Change the database behind the program's back."""
    database = engine.sync_engine(url)
    with database.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    database.dispose()


NEWER = "UPDATE alembic_version SET version_num = '9999'"
HEAD = str(ScriptDirectory(str(Path(__file__).parents[2] / "alembic")).get_current_head())


def works_with(text: str) -> str:
    return f"UPDATE schema_support SET works_with = '{text}'"


def test_a_newer_compatible_database_is_accepted_unchanged(database_url: str) -> None:
    put(database_url, NEWER, works_with(f'["0001", "{HEAD}"]'))
    before = tables(database_url)

    migrations.require_current(database_url)
    migrations.migrate(database_url)

    assert tables(database_url) == before


@pytest.mark.parametrize(
    "support",
    [
        works_with('["0001", "9998"]'),
        works_with("[]"),
        works_with(HEAD),
        works_with(f'{{"{HEAD}": true}}'),
        works_with(""),
        "DELETE FROM schema_support",
        "DROP TABLE schema_support",
    ],
    ids=lambda statement: statement.removeprefix("UPDATE schema_support SET "),
)
def test_an_incompatible_newer_database_is_refused_unchanged(database_url: str, support: str) -> None:
    migrations.require_current(database_url)
    put(database_url, support, NEWER)

    with pytest.raises(migrations.SchemaNewer):
        migrations.require_current(database_url)
    with pytest.raises(migrations.SchemaNewer):
        migrations.migrate(database_url)


def test_the_newest_file_is_the_head_that_alembic_knows() -> None:
    """The head is read from the names of the files, so that a command need not import Alembic."""
    folder = Path(__file__).parents[2] / "alembic"

    assert migrations.head() == ScriptDirectory(str(folder)).get_current_head()


ALL_OF_0008 = ["manage-system-settings", "view-audit-log", "view-metrics"]
NEW_IN_0009 = ["manage-accounts", "manage-devices", "manage-keys", "view-messages"]


def test_people_with_all_permissions_get_the_new_ones(empty_url: str) -> None:
    """As the first account has; neither a client, nor a person without one of the earlier permissions."""
    before = {
        "admin": ("user", ALL_OF_0008),
        "oracle": ("user", ["bi-service-administrator", "view-audit-log", "view-mail-settings", "view-metrics"]),
        "auditor": ("user", ["view-audit-log", "view-mail-settings", "view-metrics"]),
        "script": ("client", ALL_OF_0008),
    }
    if database_url.is_sqlite(empty_url):
        engine.make_private(database_url.sqlite_file(empty_url))
    database = engine.sync_engine(empty_url)
    with database.begin() as connection:
        config = migrations.alembic_config(connection)
        command.upgrade(config, "0008")
        for name, (kind, grants) in before.items():
            row = {"name": name, "kind": kind, "password_hash": "x", "grants": json.dumps(grants)}
            connection.execute(insert(accounts).values(created_at=datetime(2026, 11, 21, tzinfo=UTC), **row))
        command.upgrade(config, "0009")
        rows = connection.execute(select(accounts.c.name, accounts.c.grants)).all()
    database.dispose()

    stored = {name: json.loads(grants) for name, grants in rows}
    gained = {name: sorted(set(stored[name]) - set(grants)) for name, (_, grants) in before.items()}
    assert gained == {"admin": NEW_IN_0009, "oracle": NEW_IN_0009, "auditor": [], "script": []}
    assert all(set(stored[name]) >= set(grants) for name, (_, grants) in before.items())
