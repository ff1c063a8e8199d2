"""A database that several tests use is like new for each of them."""

import psycopg
import pytest

from support.postgres import Postgres
from support.recycled_databases import RecycledDatabases

CONTENT = """
    SELECT (SELECT json_agg(t) FROM schema_support t)::text, (SELECT json_agg(t) FROM alembic_version t)::text,
           (SELECT count(*) FROM leases), nextval(pg_get_serial_sequence('mail_servers', 'id'))
"""


@pytest.fixture
def databases(postgres: Postgres) -> RecycledDatabases:
    return RecycledDatabases(postgres, "migrated")


def execute(url: str, statement: str) -> tuple[object, ...]:
    with psycopg.connect(url) as connection:
        cursor = connection.execute(statement.encode())
        return (cursor.fetchone() or ()) if cursor.description else ()


def test_rows_and_sequences_are_restored(databases: RecycledDatabases) -> None:
    with databases.lend() as first:
        before = execute(first, CONTENT)
        execute(first, "DELETE FROM alembic_version; DELETE FROM schema_support")
        execute(first, "INSERT INTO leases (name, holder, until) VALUES ('a', 'b', 1)")
    with databases.lend() as second:
        after = execute(second, CONTENT)

    assert (first, before) == (second, after)


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE other ()",
        "ALTER TABLE leases ADD COLUMN other int",
        "ALTER TABLE leases ALTER COLUMN holder DROP NOT NULL",
        "DROP INDEX ix_audit_entries_actor",
        "CREATE FUNCTION other() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "TRUNCATE leases",
    ],
)
def test_a_database_with_a_changed_schema_is_dropped(databases: RecycledDatabases, change: str) -> None:
    with databases.lend() as first:
        execute(first, change)
    with databases.lend() as second:
        pass

    assert first != second


def test_a_connection_of_the_last_test_is_ended(databases: RecycledDatabases) -> None:
    with databases.lend() as first:
        forgotten = psycopg.connect(first)
    with databases.lend() as second, pytest.raises(psycopg.OperationalError):
        forgotten.execute("SELECT 1")
    forgotten.close()

    assert first == second
