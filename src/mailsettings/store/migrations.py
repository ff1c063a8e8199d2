"""Migrates a database to this program's schema, or reports how it differs. Alembic runs in one transaction."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, inspect, select, text

from mailsettings.store import database_url, engine
from mailsettings.store.database_errors import translate_database_errors
from mailsettings.store.tables import schema_support

if TYPE_CHECKING:
    from alembic.config import Config

_LOCK_TIMEOUT_SECONDS = 60
_PACKAGED = Path(__file__).with_name("alembic")
_CHECKOUT = Path(__file__).parents[3] / "alembic"


class SchemaError(Exception):
    """Base: the database is not in the state this program needs; `str()` is one sentence."""


class SchemaOutdated(SchemaError):
    """The database lacks migrations: it has *revision*, None if it is empty."""

    def __init__(self, revision: str | None) -> None:
        has = f"has schema {revision}" if revision else "is empty"
        super().__init__(
            f"The database is not up to date: it {has}, and this version of mailsettings needs schema {head()}. "
            "To migrate it, run: mailsettings migrate"
        )


class SchemaNewer(SchemaError):
    """The database has migrations that this program does not know and cannot work with."""

    def __init__(self) -> None:
        super().__init__("The database was made by a newer version of mailsettings; use that version.")


def migrate(url: str) -> None:
    """Apply the missing migrations; of several programs at once only one does. Raises `SchemaNewer`.

    A newer schema that works with this program stays as it is.
    """
    if database_url.is_sqlite(url):
        with translate_database_errors():
            engine.make_private(database_url.sqlite_file(url))
    with _connection(url) as connection:
        if not _is_ahead(connection):
            from alembic import command  # noqa: PLC0415  # takes a third of a second, which only migrations need

            command.upgrade(alembic_config(connection), "head")


def exists(url: str) -> bool:
    """Return whether any migration was applied; do not create a missing file. Raises `StoreUnavailable`."""
    if database_url.is_sqlite(url) and not database_url.sqlite_file(url).exists():
        return False
    database = engine.sync_engine(url)
    try:
        with translate_database_errors(), database.connect() as connection:
            return revision(connection) is not None
    finally:
        database.dispose()


def require_current(url: str) -> None:
    """Raise `SchemaOutdated` or `SchemaNewer` unless the schema works with this program; migrate nothing."""
    database = engine.sync_engine(url)
    try:
        with translate_database_errors(), database.connect() as connection:
            if revision(connection) == head():
                return
    finally:
        database.dispose()
    with _connection(url) as connection:  # after a migration that runs now
        if not _is_ahead(connection) and (found := revision(connection)) != head():
            raise SchemaOutdated(found)


def head() -> str:
    """Return the newest revision that this program knows."""
    return _known()[-1]


def revision(connection: Connection) -> str | None:
    """Return the revision of the database; None before the first migration."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def alembic_config(connection: Connection) -> "Config":
    """Return Alembic's configuration without a file; `alembic/env.py` reads the connection from it."""
    from alembic.config import Config  # noqa: PLC0415  # as above

    config = Config()
    config.set_main_option("script_location", str(_folder()))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


@contextmanager
def _connection(url: str) -> Iterator[Connection]:
    """Open a connection with a transaction that has the writer's lock, so that migrations wait for one another."""
    database = engine.sync_engine(url)
    try:
        with translate_database_errors(), database.connect() as connected:
            _wait_for_lock(connected)
            connection = connected.execution_options(**engine.WRITE_OPTIONS)
            with connection.begin():
                _do_not_wait_for_readers(connection)
                yield connection
    finally:
        database.dispose()


def _do_not_wait_for_readers(connection: Connection) -> None:
    """Give up on a table that a backup reads; otherwise all other queries would queue behind the migration."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL lock_timeout = '2s'")


def _wait_for_lock(connection: Connection) -> None:
    """Wait for other migrations as long as on PostgreSQL, which is longer than requests wait."""
    if connection.dialect.name == "sqlite":
        # Bypass SQLAlchemy, which would begin a transaction and wait for its lock before this statement.
        driver: Any = connection.connection.dbapi_connection
        driver.execute(f"PRAGMA busy_timeout = {_LOCK_TIMEOUT_SECONDS * 1000}")


def _is_ahead(connection: Connection) -> bool:
    """Return whether it has newer migrations. Raises `SchemaNewer` if they do not work with this program.

    The newest migration lists the programs it works with, each by the last migration that it knows. See
    docs/decisions/0009-expand-then-contract.md.
    """
    found = revision(connection)
    if found is None or found in _known():
        return False
    if head() not in _supported(connection):
        raise SchemaNewer
    return True


def _supported(connection: Connection) -> Sequence[object]:
    if not inspect(connection).has_table(schema_support.name):
        return ()
    written = connection.scalar(select(schema_support.c.works_with))
    try:
        supported = json.loads(written or "")
    except ValueError:
        return ()
    return supported if isinstance(supported, list) else ()


def _known() -> Sequence[str]:
    """Return the revisions that this program knows, oldest first: the numbers at the start of the file names."""
    return sorted(path.name.partition("_")[0] for path in (_folder() / "versions").glob("[0-9]*_*.py"))


def _folder() -> Path:
    return _PACKAGED if _PACKAGED.exists() else _CHECKOUT
