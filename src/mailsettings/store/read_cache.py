"""A cache of values that stay valid until the next commit; only for SQLite, which can check that in microseconds.

`PRAGMA data_version` on a connection changes whenever another connection, of this or another process, commits.
So a cached value equals a fresh read while the number is the one read *before* the value was loaded.
"""

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Generic, TypeVar

from mailsettings.domain.access import Credentials
from mailsettings.domain.mail_server import StoredMailServer
from mailsettings.store.transaction import Transaction

Key = TypeVar("Key")
Value = TypeVar("Value")

MAX_VALUES = 1024

Version = tuple[int, int]
"""The serial number of the connection and its data version, because each connection counts from its own start."""


class DataVersion:
    """Watches one database file through a connection of its own that never writes."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._connection: sqlite3.Connection | None = None
        self._opened = 0

    def current(self) -> Version | None:
        """Return a number that changes with every commit; None if it cannot be read now.

        It never waits, because it runs on the event loop; with a locked file the value is loaded instead.
        """
        try:
            (number,) = self._open().execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            self.close()
            return None
        return self._opened, int(number)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._opened += 1
            address = f"{self._file.absolute().as_uri()}?mode=ro"
            # Read-only, so it never creates a missing file.
            self._connection = sqlite3.connect(address, timeout=0, uri=True)
        return self._connection


class CachedValues(Generic[Key, Value]):
    """Values by key, loaded again after each commit; without a data version, loaded at each read."""

    def __init__(self, version: DataVersion | None, load: Callable[[Key], Awaitable[Value]]) -> None:
        self._version = version
        self._load = load
        self._kept: dict[Key, Value] = {}
        self._kept_of: Version | None = None

    async def get(self, key: Key) -> Value:
        """Return the current value in the database."""
        version = self._version.current() if self._version else None
        if version is None:
            return await self._load(key)
        if version != self._kept_of or len(self._kept) > MAX_VALUES:
            self._kept, self._kept_of = {}, version
        kept = self._kept
        if key not in kept:
            # Stored with the version read before the load, even if a commit happened since.
            kept[key] = await self._load(key)
        return kept[key]


class ReadCache:
    """Caches what nearly every request reads: the account of its caller, and the default mail server.

    Each value is the last committed one, but two values may be from two moments; see `SQLStore.reading` for one.
    """

    def __init__(
        self, version: DataVersion | None, reading: Callable[[], AbstractAsyncContextManager[Transaction]]
    ) -> None:
        self._reading = reading
        self._default: CachedValues[None, StoredMailServer | None] = CachedValues(version, self._read_default)
        self._accounts: CachedValues[str, Credentials | None] = CachedValues(version, self._read_account)

    async def default_mail_server(self) -> StoredMailServer | None:
        """Return the mail server that an API which knows a single server shows."""
        return await self._default.get(None)

    async def account(self, name: str) -> Credentials | None:
        """Return the account of exactly this name, with its password hash."""
        return await self._accounts.get(name)

    async def _read_default(self, _key: None) -> StoredMailServer | None:
        async with self._reading() as snapshot:
            return await snapshot.mail_servers.find_default()

    async def _read_account(self, name: str) -> Credentials | None:
        async with self._reading() as snapshot:
            return await snapshot.accounts.find(name)
