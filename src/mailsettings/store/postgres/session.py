"""What a session of PostgreSQL has set: roles and databases may have other defaults than this program needs.

The values go with the start of a connection, where they have precedence over those of a role or database. A pooler
that gives each transaction another session ignores them, so there each transaction sets them for itself.
"""

from collections.abc import Mapping
from typing import Any

from psycopg.pq.abc import PGconn

from mailsettings.store.database_errors import DatabaseProblem, DatabaseUnavailable

PINNED: Mapping[str, str] = {
    # An acknowledged write is on the disk, and on a synchronous standby, whatever the server's default is.
    "synchronous_commit": "on",
    "datestyle": "ISO",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
}
"""The search path is not here: it is the administrator's choice of a schema."""
LIMITS: Mapping[str, str] = {
    # The server gives up before our own wait (MAX_SILENT_POLLS) ends.
    "statement_timeout": "2200",
    "lock_timeout": "2000",
    # It soon drops the lock of a writer that was cut off, so that others can write when the network is back.
    "idle_in_transaction_session_timeout": "4000",
}
CLIENT_ENCODING = "UTF8"
_FOR_ONE_TRANSACTION = {
    "default_transaction_isolation": "transaction_isolation",
    "default_transaction_read_only": "transaction_read_only",
}


def startup_options(*groups: Mapping[str, str]) -> str:
    """Return libpq's parameter `options` for these settings."""
    merged = {name: value for group in groups for name, value in group.items()}
    return " ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in merged.items())


def local_settings(*groups: Mapping[str, str]) -> str:
    """Return statements that set these settings until the transaction ends.

    The driver's BEGIN has the isolation, which may not be set twice.
    """
    merged = {_FOR_ONE_TRANSACTION.get(name, name): value for group in groups for name, value in group.items()}
    merged.pop("transaction_isolation", None)
    return "; ".join(f"SET LOCAL {name} = '{value}'" for name, value in merged.items())


def require_unicode(connection: Any, _record: object) -> None:
    """Raise `DatabaseUnavailable` if a database cannot store every text; for SQLAlchemy's event `connect`."""
    libpq: PGconn = getattr(connection, "driver_connection", connection).pgconn
    require_encoding(libpq.parameter_status(b"server_encoding"))


def require_encoding(encoding: bytes | None) -> None:
    """Raise `DatabaseUnavailable` unless the database stores Unicode."""
    if encoding not in {b"UTF8", None}:
        raise DatabaseUnavailable(
            DatabaseProblem(
                f"its encoding is {encoding.decode(errors='replace')}, which cannot store every text",
                "Create a database with ENCODING 'UTF8' TEMPLATE template0, and move the data with "
                "pg_dump --encoding=UTF8.",
            )
        )
