"""Migrations: one way to a schema, on both databases, however many start at once."""

import subprocess
import sys

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from mailsettings.store import engine, migrations
from mailsettings.store.tables import metadata

TABLES = {
    *("accounts", "alembic_version", "audit_entries", "audit_head", "idempotency_keys", "leases"),
    *("login_failures", "mail_server_versions", "mail_servers", "probe_admissions", "schema_support"),
    *("sealed_keys", "sealing_keys", "watch_states", "webhook_events"),
}


def tables(url: str) -> set[str]:
    database = engine.sync_engine(url)
    with database.connect() as connection:
        found = set(inspect(connection).get_table_names())
    database.dispose()
    return found


def test_the_tables_in_the_code_are_those_that_the_migrations_make(database_url: str) -> None:
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


def test_many_may_migrate_at_once(empty_url: str) -> None:
    """Case 40."""
    program = f"from mailsettings.store import migrations; migrations.migrate({empty_url!r})"
    processes = [subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) for _ in range(4)]
    said = [process.communicate(timeout=60)[1] for process in processes]

    assert said == [b""] * 4
    assert tables(empty_url) == TABLES


def test_a_migration_that_fails_half_way_leaves_nothing(empty_url: str) -> None:
    """The last table is there already, so the migration fails after it has made the others."""
    if engine.is_sqlite(empty_url):
        engine.make_private(engine.sqlite_file(empty_url))
    database = engine.sync_engine(empty_url)
    with database.begin() as connection:
        connection.execute(text("CREATE TABLE sealing_keys (x INTEGER)"))
    database.dispose()

    with pytest.raises(Exception, match=r"DuplicateTable|not available"):
        migrations.migrate(empty_url)

    assert tables(empty_url) == {"sealing_keys"}


def test_an_outdated_database_is_told(empty_url: str) -> None:
    if engine.is_sqlite(empty_url):
        engine.make_private(engine.sqlite_file(empty_url))

    with pytest.raises(migrations.SchemaOutdated, match="mailsettings migrate"):
        migrations.require_current(empty_url)


def test_a_database_of_a_newer_program_is_refused_and_left_alone(database_url: str) -> None:
    migrations.require_current(database_url)
    database = engine.sync_engine(database_url)
    with database.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.dispose()

    with pytest.raises(migrations.SchemaNewer):
        migrations.require_current(database_url)
    with pytest.raises(migrations.SchemaNewer):
        migrations.migrate(database_url)
