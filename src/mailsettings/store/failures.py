"""From the database's own errors to ours, without a word of the statement or its values."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from mailsettings.domain.errors import StoreUnavailable


class StatementRejected(Exception):
    """The database refused a statement: a mistake of ours. PostgreSQL's own text repeats the whole row."""


@contextmanager
def translate_database_errors() -> Iterator[None]:
    """Raise `StoreUnavailable` for a database that is away, busy, full or damaged, `StatementRejected` else."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout, OSError):
        raise StoreUnavailable from None
    except DBAPIError as error:
        # The bare class is what SQLite has for a file that is damaged, or no database at all.
        if error.connection_invalidated or type(error) is DatabaseError:
            raise StoreUnavailable from None
        raise StatementRejected(type(error.orig).__name__) from None
