"""What an error of a database driver means: the driver's cause in one line, its code, and what to do.

libpq passes on no SQLSTATE of an error about a connection, so `_CONNECTION` knows it by the text of the server
(PostgreSQL's `auth.c` and `postinit.c`). An unknown text, such as a translated one, keeps its cause.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from mailsettings.domain.errors import StoreUnavailable

MAX_CAUSE_LENGTH = 300
INSUFFICIENT_PRIVILEGE = "42501"


@dataclass(frozen=True, slots=True)
class DatabaseProblem:
    """Why the database cannot be used: the driver's *cause*, its *code*, and what to do about it.

    With *only_writes*, the database still answers questions. With *ended*, an open connection ended, and the next
    attempt to open one tells the cause.
    """

    cause: str
    advice: str
    code: str = ""
    only_writes: bool = False
    ended: bool = False

    def __str__(self) -> str:
        code = f" ({self._kind_of_code}{self.code})" if self.code else ""
        return f"{self.cause}{code}. {self.advice}"

    @property
    def _kind_of_code(self) -> str:
        return "" if self.code.startswith("SQLITE_") else "SQLSTATE "


class DatabaseUnavailable(StoreUnavailable):
    """The database does not answer, with the *problem* for the operator; `str()` is for callers."""

    def __init__(self, problem: DatabaseProblem) -> None:
        super().__init__()
        self.problem = problem

    @property
    def explanation(self) -> str:
        """The sentences for the operator."""
        return explanation_of(self.problem)


def explanation_of(problem: DatabaseProblem) -> str:
    """Return the sentences about *problem* for the operator, without URL and password."""
    if problem.code == INSUFFICIENT_PRIVILEGE:
        return f"The database lacks a right for this role: {problem}"
    return f"The database {'cannot be written' if problem.only_writes else 'is not available'}: {problem}"


class StatementRejected(Exception):
    """The database rejected a statement, which is a bug.

    The original text is dropped, because it repeats the whole row; the names in the error stay.
    """


@contextmanager
def translate_database_errors() -> Iterator[None]:
    """Raise `DatabaseUnavailable` for a database that is away, busy, full or damaged, else `StatementRejected`."""
    try:
        yield
    except (DBAPIError, PoolTimeout, OSError, sqlite3.Error, psycopg.Error) as error:
        # The chain would repeat the row in a traceback. What an operator needs of it is in the new error.
        raise translated(error) from None


def translated(error: Exception) -> DatabaseUnavailable | StatementRejected:
    """Return what *error* of a driver, of SQLAlchemy or of the system means."""
    original = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    if _is_away(error, original):
        return DatabaseUnavailable(problem_of(original))
    return StatementRejected(_names_in(original))


def _is_away(error: Exception, original: BaseException) -> bool:
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    if isinstance(original, psycopg.Error) and original.sqlstate == INSUFFICIENT_PRIVILEGE:
        return True
    if isinstance(original, psycopg.Error) and original.sqlstate is None and _is_without_statement(error):
        return True
    if isinstance(error, OperationalError | InterfaceError | PoolTimeout | OSError):
        return True
    if isinstance(original, psycopg.OperationalError | psycopg.InterfaceError | sqlite3.OperationalError):
        return True
    # SQLite raises the bare class for a file that is damaged or not a database.
    return type(error) is DatabaseError or type(original) is sqlite3.DatabaseError


def _is_without_statement(error: Exception) -> bool:
    """Return whether the error is about a connection, such as an unknown parameter of the URL."""
    return not isinstance(error, DBAPIError) or error.statement is None


def problem_of(error: BaseException) -> DatabaseProblem:
    """Return the cause in *error*, and what to do about it."""
    match error:
        case psycopg.Error():
            return _of_postgresql(error)
        case sqlite3.Error():
            return _of_sqlite(error)
        case PoolTimeout():
            return POOL_EXHAUSTED
        case TimeoutError():
            return NO_CONNECTION
        case OSError():
            place = f"{error.filename}: " if error.filename else ""
            return DatabaseProblem(_bounded(f"{place}{error.strerror or type(error).__name__}"), _CHECK_FILE)
        case _:
            return DatabaseProblem(type(error).__name__, _CHECK_URL)


_URL = "MAILSETTINGS_DATABASE_URL"
_CHECK_URL = f"Check {_URL} and the database server."
_CHECK_HOST = f"Check that the database server runs, and host and port in {_URL}."
_CHECK_FILE = "Check the path, its owner and its mode."
_GRANT = f"Grant the role the rights that docs/databases.md lists, or name another role in {_URL}."
_FEWER = "Raise max_connections of the server, or lower MAILSETTINGS_DATABASE_POOL_SIZE."
_RESTARTS = "Check whether the server restarts, or an administrator ends its connections."
_POOLER = "Behind PgBouncer, set MAILSETTINGS_DATABASE_POOLER=transaction; docs/databases.md has the details."
_WAIT = "Wait until the server is ready."
_TRUST = "Check the file of sslrootcert: it must hold the authority that signed the server's certificate."
_PRIMARY = f"Name the primary in {_URL}, or all servers of the cluster."

NO_CONNECTION = DatabaseProblem("no connection within the time limit", _CHECK_HOST)
POOL_EXHAUSTED = DatabaseProblem(
    "all connections of the pool are in use",
    "Raise MAILSETTINGS_DATABASE_POOL_SIZE, or start more processes of the service.",
)
WRITERS_WAIT = DatabaseProblem(
    "the writers before this one took too long", "Check the load and the disk of the database server."
)
SILENT = DatabaseProblem("the server says nothing", _CHECK_HOST)
STANDBY = DatabaseProblem("the server is a standby", _PRIMARY)


@dataclass(frozen=True, slots=True)
class _Known:
    pattern: str
    advice: str
    code: str = ""


_ENDED = _Known(
    "closed the connection|connection (is|has been) closed|consuming input|connection is lost", _RESTARTS
)
_CONNECTION = (
    _ENDED,
    _Known("password authentication failed", f"Check user name and password in {_URL}.", "28P01"),
    _Known("no password supplied", f"Give a password in {_URL}, or a password file with passfile=.", "28P01"),
    _Known("no pg_hba.conf entry", "Allow this user, database and address in the server's pg_hba.conf.", "28000"),
    _Known('role ".*" does not exist', f"Create the role, or correct the user name in {_URL}.", "28000"),
    _Known('role ".*" is not permitted to log in', "Give the role the right LOGIN.", "28000"),
    _Known('database ".*" does not exist', f"Create the database, or correct its name in {_URL}.", "3D000"),
    _Known("permission denied for database", _GRANT, INSUFFICIENT_PRIVILEGE),
    _Known("too many (clients|connections)|remaining connection slots", _FEWER, "53300"),
    _Known("system is (starting up|shutting down|in recovery)|not yet accepting", _WAIT, "57P03"),
    _Known("unsupported startup parameter", _POOLER, "08P01"),
    _Known("unrecognized configuration parameter", f"Remove it from `options` in {_URL}.", "42704"),
    _Known("resolve host|translate host name", f"Check the host in {_URL}, and the DNS of this machine."),
    _Known("does not match host name", f"Use a name of the certificate as host in {_URL}."),
    _Known("root certificate|certificate verify failed", _TRUST),
    _Known("does not support SSL", "Turn TLS on at the server, or lower sslmode."),
    _Known("is not in hot standby mode", f"Correct target_session_attrs in {_URL}."),
    _Known("hot standby mode|read-only", _PRIMARY),
    _Known("invalid .* value|invalid connection option|invalid integer", f"Correct the parameter in {_URL}."),
    _Known("refused|timeout expired|No such file|No route|unreachable|says nothing", _CHECK_HOST),
)
"""What libpq and the server say about a connection, by regular expressions."""

_BY_SQLSTATE = {
    INSUFFICIENT_PRIVILEGE: _GRANT,
    "25006": f"{_PRIMARY} A role or a database may also be set to read only.",
    "53100": "Make room on the disk of the database server.",
    "57P01": _RESTARTS,
    "57P03": _WAIT,
    "57014": "Check the load and the disk of the database server.",
    "55P03": "Another program holds a lock on the table; check pg_locks.",
}
_ENDS = {"57P01", "57P02", "57P05", "08003", "08006"}
_ONLY_WRITES = {"25006", "53100", INSUFFICIENT_PRIVILEGE}


def _of_postgresql(error: psycopg.Error) -> DatabaseProblem:
    state = error.sqlstate
    if state is None:
        text = _driver_text(str(error))
        known = next((known for known in _CONNECTION if re.search(known.pattern, text)), _Known("", _CHECK_URL))
        return DatabaseProblem(text, known.advice, known.code, ended=known is _ENDED)
    # Not the rest of the message: its detail may repeat the row.
    cause = _bounded(error.diag.message_primary or type(error).__name__)
    advice = _BY_SQLSTATE.get(state, "Look into the log of the database server.")
    return DatabaseProblem(cause, advice, state, state in _ONLY_WRITES, state in _ENDS)


def _of_sqlite(error: sqlite3.Error) -> DatabaseProblem:
    name = getattr(error, "sqlite_errorname", "")  # errors of Python's module itself have none
    only_writes = name.startswith(("SQLITE_READONLY", "SQLITE_FULL"))
    return DatabaseProblem(_bounded(str(error)), _sqlite_advice(name), name, only_writes=only_writes)


def _sqlite_advice(name: str) -> str:
    if name.startswith("SQLITE_FULL"):
        return "Make room on the disk."
    if name.startswith("SQLITE_BUSY"):
        return "Another program holds the database file; end it."
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return "The file is damaged or belongs to another program; restore a backup."
    return "Check the database file, its owner and its mode."


def _driver_text(text: str) -> str:
    """Return the last line about a connection without its frame; further lines are hints and other attempts."""
    line = text.strip().partition("\n")[0]
    return _bounded(re.sub(r"^(connection failed|connection is bad): |FATAL: +", "", line))


def _bounded(text: str) -> str:
    """Return *text* as one line without a full stop; quoted parts with an @ may be pieces of a password."""
    line = re.sub(r"""(["'])[^"']*@[^"']*\1""", r"\1…\1", " ".join(text.split()))
    line = re.sub(r'(invalid \w+ value): ".*', r"\1", line)  # a value of the URL
    line = re.sub(r"[a-z+]+://\S+", "…", line).rstrip(".")
    return line if len(line) <= MAX_CAUSE_LENGTH else f"{line[: MAX_CAUSE_LENGTH - 1]}…"


def _names_in(error: BaseException) -> str:
    """Return the class and the code of an error, and the names of the rule that it broke; no values."""
    if not isinstance(error, psycopg.Error):
        return f"{type(error).__name__} {getattr(error, 'sqlite_errorname', '')}".strip()
    diag = error.diag
    named = (("table", diag.table_name), ("column", diag.column_name), ("constraint", diag.constraint_name))
    names = "".join(f", {kind} {name}" for kind, name in named if name)
    return f"{type(error).__name__} (SQLSTATE {error.sqlstate}){names}"
