"""Checks that keys and database belong together: before the first start, and before anything is sealed.

The table `sealing_keys` has a row for each key that ever sealed in this database, with a check text that only that
key opens. The row of a dropped key stays, with an empty check. So every program knows, whatever its key file says,
that it must not seal with that key again. See docs/decisions/0006-keys-that-change-while-we-run.md.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, insert, inspect, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.domain.errors import SecretUnreadable
from mailsettings.store import database_url, engine
from mailsettings.store.database_errors import translate_database_errors
from mailsettings.store.encryption.key_file import KeySource, LiveKeys
from mailsettings.store.encryption.sealing import SEALED_COLUMNS, SealedColumn, Sealer, key_id_of
from mailsettings.store.private_file import KeyFileUnusable
from mailsettings.store.tables import encryption_keys

DROPPED_KEY_CHECK = b""
"""The check of a key that was dropped."""

_CHECK = "this key is the right one"
_log = logging.getLogger(__name__)


class WrongKey(Exception):
    """The keys do not fit the database; `str()` is one sentence."""

    def __init__(self, problem: str = "") -> None:
        super().__init__(
            problem
            or "The secrets in this database were sealed with another key; put back the key file that it was "
            "written with."
        )


def require_matching_keys(url: str, ring: LiveKeys) -> None:
    """Create the key file for a new database, or check that it fits the existing one, before anything is written.

    Raises `WrongKey`, `KeyFileUnusable`, `DatabaseFileExposed`, `StoreUnavailable`.
    """
    database_url.require_private_file(url)
    if database_url.is_sqlite(url) and not database_url.sqlite_file(url).exists():
        ring.file.create()
        ring.newest()
        return
    with _connection(url) as connection:
        # In this order, because a concurrent first start creates the file before it commits any secret.
        if _has_secrets(connection) and ring.file.mark() is None:
            raise WrongKey(_without_file(ring.file.path))
        ring.file.create()
        require_known_key(connection, ring.newest())
        require_needed_keys(connection, ring.newest())


def needs_keys(url: str) -> bool:
    """Return whether the database has secrets, which need a key file; write nothing. Raises `StoreUnavailable`."""
    with _connection(url) as connection:
        return _has_secrets(connection)


def require_needed_keys(connection: Connection, sealer: Sealer) -> None:
    """Raise `WrongKey` if secrets need a key that the database knows and the key file lacks."""
    live = {key for key, check in key_checks(connection).items() if check != DROPPED_KEY_CHECK}
    missing = sorted((_keys_in_use(connection) & live) - sealer.key_ids)
    if missing:
        raise WrongKey(f"The key {missing[0]} is missing, and secrets in this database need it; put it back.")


def require_known_key(connection: Connection, sealer: Sealer) -> None:
    """Raise `WrongKey` unless one of the keys sealed in this database before, or no key ever did."""
    live = {key: check for key, check in key_checks(connection).items() if check != DROPPED_KEY_CHECK}
    known = (
        {key for key, check in live.items() if _opens(sealer, key, check)} if live else _keys_in_use(connection)
    )
    if (live or known) and not known & sealer.key_ids:
        raise WrongKey


def is_registered(connection: Connection, sealer: Sealer) -> bool:
    """Return whether the key that seals is in the database, so that `register_key` has nothing to write."""
    check = key_checks(connection).get(sealer.key_id, DROPPED_KEY_CHECK)
    return check != DROPPED_KEY_CHECK and _opens(sealer, sealer.key_id, check)


def register_key(connection: Connection, sealer: Sealer) -> None:
    """Register the key that seals in the database. Raises `WrongKey`. Requires the writer's lock."""
    key = sealer.key_id
    check = connection.execute(
        select(encryption_keys.c.sealed_check).where(encryption_keys.c.key_id == key)
    ).scalar()
    if check == DROPPED_KEY_CHECK:
        raise WrongKey(f"The key {key} was dropped and nothing may be sealed with it; put a newer key last.")
    if check is None or not _opens(sealer, key, check):
        require_known_key(connection, sealer)
    if check is None:
        sealed = sealer.seal(_CHECK, _place(key))
        connection.execute(insert(encryption_keys).values(key_id=key, sealed_check=sealed))


async def sealer_for_writing(connection: AsyncConnection, source: KeySource) -> Sealer:
    """Return the sealer for a transaction with the writer's lock; it only opens if the keys do not fit."""
    try:
        sealer = source.newest()
        await connection.run_sync(register_key, sealer)
    except (KeyFileUnusable, WrongKey) as problem:
        _log.error("Nothing can be sealed: %s", problem)
        return source.known().opening_only()
    return sealer


def key_checks(connection: Connection) -> dict[str, bytes]:
    """Return the check of each key that the database knows; none before the first migration."""
    if not inspect(connection).has_table(encryption_keys.name):
        return {}
    return {row.key_id: row.sealed_check for row in connection.execute(select(encryption_keys))}


def _has_secrets(connection: Connection) -> bool:
    return bool(key_checks(connection) or _keys_in_use(connection))


def _keys_in_use(connection: Connection) -> set[str]:
    """Return the ids of the keys that stored secrets need."""
    return {
        key
        for column in SEALED_COLUMNS
        if _column_exists(connection, column)
        for key in _keys_in_column(connection, column)
    }


def _keys_in_column(connection: Connection, column: SealedColumn) -> set[str]:
    found = connection.execute(select(column.start).where(column.sealed.is_not(None)).distinct())
    return {key for sealed in found.scalars() if (key := key_id_of(sealed)) is not None}


def _column_exists(connection: Connection, column: SealedColumn) -> bool:
    inspector = inspect(connection)
    if not inspector.has_table(column.table.name):
        return False
    return column.sealed.name in {found["name"] for found in inspector.get_columns(column.table.name)}


def _opens(sealer: Sealer, key: str, check: bytes) -> bool:
    try:
        return sealer.open(check, _place(key)) == _CHECK
    except SecretUnreadable:
        return False


def _place(key: str) -> str:
    return f"sealing_keys|{key}|sealed_check"


def _without_file(path: Path) -> str:
    return f"There is no key file {path}, but this database holds secrets that need it; put it back."


@contextmanager
def _connection(url: str) -> Iterator[Connection]:
    database = engine.sync_engine(url)
    try:
        with translate_database_errors(), database.connect() as connection:
            yield connection
    finally:
        database.dispose()
