"""Databases of PostgreSQL for several tests, restored after each.

To copy a database and to drop it takes a tenth of a second, longer than most tests; to restore its rows takes a
fraction of that. A database is dropped instead if its schema changed or its server was away.
"""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from support.postgres import Postgres

Rows = Sequence[tuple[Any, ...]]

_TABLES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
_SEQUENCES = "SELECT relname FROM pg_class WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace"
# Each change of a schema adds, removes or replaces a row of a catalog.
_CATALOGS: Sequence[LiteralString] = (
    *("pg_attribute", "pg_class", "pg_constraint", "pg_index", "pg_namespace", "pg_proc", "pg_trigger"),
    *("pg_db_role_setting", "pg_extension"),
)
_SCHEMA: LiteralString = " UNION ALL ".join(
    f"SELECT '{name}', count(*), max(xmin::text::bigint) FROM {name}" for name in _CATALOGS
)


def new_database(postgres: Postgres, template: str) -> Iterator[str]:
    """An URL, for as long as the database is there."""
    name = f"test_{uuid.uuid4().hex}"
    postgres.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    yield postgres.url(name)
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


@dataclass(frozen=True)
class _Original:
    """The catalogs of a new database, and the statements that restore its rows and sequences."""

    schema: Rows
    restoring: bytes


class RecycledDatabases:
    """Copies of *template* on one server."""

    def __init__(self, postgres: Postgres, template: str) -> None:
        self._postgres = postgres
        self._template = template
        self._free: list[tuple[str, _Original]] = []

    @contextmanager
    def lend(self) -> Iterator[str]:
        """Yield the URL of a database that is like new."""
        name, original = self._free.pop() if self._free else self._copy()
        yield self._postgres.url(name)
        with suppress(psycopg.Error):
            if self._is_restored(name, original):
                self._free.append((name, original))
                return
        self._postgres.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _copy(self) -> tuple[str, _Original]:
        name = f"test_{uuid.uuid4().hex}"
        self._postgres.execute(f"CREATE DATABASE {name} TEMPLATE {self._template} STRATEGY FILE_COPY")
        with psycopg.connect(self._postgres.url(name), autocommit=True) as connection:
            return name, _read(connection)

    def _is_restored(self, name: str, original: _Original) -> bool:
        """Restore the rows; return False if the schema has changed."""
        with psycopg.connect(self._postgres.url(name)) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid != pg_backend_pid()"
            )
            if connection.execute(_SCHEMA).fetchall() != original.schema:
                return False
            connection.execute(original.restoring)
        return True


def _read(connection: psycopg.Connection) -> _Original:
    connection.execute("SET TimeZone = 'UTC'")
    tables = [name for (name,) in connection.execute(_TABLES)]
    sequences = [name for (name,) in connection.execute(_SEQUENCES)]
    parts = [
        SQL("SET LOCAL session_replication_role = replica"),  # without triggers and foreign keys
        *(SQL("DELETE FROM {}").format(Identifier(name)) for name in tables),
        *(part for name in tables for part in _inserts(connection, name)),
        *(_setval(connection, name) for name in sequences),
    ]
    return _Original(connection.execute(_SCHEMA).fetchall(), SQL("; ").join(parts).as_string(connection).encode())


def _inserts(connection: psycopg.Connection, table: str) -> Iterator[Composed]:
    rows = connection.execute(SQL("SELECT * FROM {}").format(Identifier(table)))
    for row in rows:
        values = SQL(", ").join(map(Literal, row))
        yield SQL("INSERT INTO {} OVERRIDING SYSTEM VALUE VALUES ({})").format(Identifier(table), values)


def _setval(connection: psycopg.Connection, sequence: str) -> Composed:
    state = connection.execute(SQL("SELECT last_value, is_called FROM {}").format(Identifier(sequence))).fetchone()
    return SQL("SELECT setval({}, {}, {})").format(Literal(sequence), *map(Literal, state or ()))
