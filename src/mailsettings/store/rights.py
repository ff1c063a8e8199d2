"""Which rights the role of the service lacks in the database, for `doctor`."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from mailsettings.store import database_url, engine
from mailsettings.store.database_errors import translate_database_errors
from mailsettings.store.tables import metadata

_MISSING = text(
    """
    SELECT c.relname, p.name FROM pg_class c, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p(name)
    WHERE c.relname = ANY(:tables) AND c.relkind = 'r' AND pg_table_is_visible(c.oid)
      AND NOT has_table_privilege(c.oid, p.name)
    UNION
    SELECT c.relname, 'USAGE' FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid
    WHERE pg_table_is_visible(s.seqrelid) AND NOT has_sequence_privilege(s.seqrelid, 'USAGE')
    ORDER BY 1, 2
    """
)
_MIGRATES = text("SELECT has_schema_privilege(current_schema(), 'CREATE')")


@dataclass(frozen=True, slots=True)
class DatabaseRights:
    """The encoding of the database, the rights that the role lacks, and whether it can migrate."""

    encoding: str
    missing: Sequence[str]
    migrates: bool


def rights_in(url: str) -> DatabaseRights:
    """Return what the role of *url* may do. Raises `StoreUnavailable`."""
    database = engine.sync_engine(url)
    try:
        with translate_database_errors(), database.connect() as connection:
            return _of_sqlite(connection) if database_url.is_sqlite(url) else _of_postgresql(connection)
    finally:
        database.dispose()


def _of_sqlite(connection: Connection) -> DatabaseRights:
    encoding = str(connection.scalar(text("PRAGMA encoding")))
    connection.rollback()
    # A file that cannot be written refuses this, and nothing changes.
    connection.execution_options(**engine.WRITE_OPTIONS)
    with connection.begin() as transaction:
        transaction.rollback()
    return DatabaseRights(encoding, [], migrates=True)


def _of_postgresql(connection: Connection) -> DatabaseRights:
    encoding = str(connection.scalar(text("SHOW server_encoding")))
    rows = connection.execute(_MISSING, {"tables": list(metadata.tables)})
    return DatabaseRights(
        encoding, [f"{right} on {name}" for name, right in rows], migrates=bool(connection.scalar(_MIGRATES))
    )
