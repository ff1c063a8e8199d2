"""From the database's own errors to `StoreUnavailable`, without a word of the statement or its values."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from mailsettings.domain.errors import StoreUnavailable


@contextmanager
def away_as_unavailable() -> Iterator[None]:
    """Raise `StoreUnavailable` for a database that is away, busy or full; let mistakes of ours through."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout, OSError):
        raise StoreUnavailable from None
    except DBAPIError as error:
        if error.connection_invalidated:
            raise StoreUnavailable from None
        raise
