"""Bringing a database to our schema, or telling how it differs. Alembic does the work, in one transaction."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from mailsettings.store import engine
from mailsettings.store.failures import away_as_unavailable

_PACKAGED = Path(__file__).with_name("alembic")
_CHECKOUT = Path(__file__).parents[3] / "alembic"


class SchemaError(Exception):
    """Base: the database is not in the state this program needs; `str()` is one sentence."""


class SchemaOutdated(SchemaError):
    """The database lacks migrations."""

    def __init__(self) -> None:
        super().__init__("The database is not up to date; run: mailsettings migrate")


class SchemaNewer(SchemaError):
    """The database has migrations that this program does not know."""

    def __init__(self) -> None:
        super().__init__("The database was made by a newer version of mailsettings; use that one.")


def migrate(url: str) -> None:
    """Apply what is missing; however many programs try at once, one does. Raises `SchemaNewer`."""
    if engine.is_sqlite(url):
        with away_as_unavailable():
            engine.make_private(engine.sqlite_file(url))
    with _connection(url) as connection:
        _require_known(connection)
        command.upgrade(alembic_config(connection), "head")


def require_current(url: str) -> None:
    """Raises `SchemaOutdated` or `SchemaNewer`."""
    with _connection(url) as connection:
        _require_known(connection)
        if _revision(connection) != _scripts().get_current_head():
            raise SchemaOutdated


def alembic_config(connection: Connection) -> Config:
    """Alembic's configuration, without a file; `alembic/env.py` takes the connection out of it."""
    config = Config()
    config.set_main_option("script_location", str(_PACKAGED if _PACKAGED.exists() else _CHECKOUT))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


@contextmanager
def _connection(url: str) -> Iterator[Connection]:
    """A connection whose transaction has the writer's lock, so that migrations wait for one another."""
    database = engine.sync_engine(url)
    try:
        with away_as_unavailable(), database.connect() as connected:
            connection = connected.execution_options(**engine.WRITES)
            with connection.begin():
                yield connection
    finally:
        database.dispose()


def _require_known(connection: Connection) -> None:
    revision = _revision(connection)
    if revision is not None and revision not in {script.revision for script in _scripts().walk_revisions()}:
        raise SchemaNewer


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(_PACKAGED if _PACKAGED.exists() else _CHECKOUT))
