"""Tells whether a cached value is current. No read is older than an acknowledged write, of any process.

1. The *data version* moves with every commit that changes a cached value: on SQLite it is `PRAGMA data_version`,
   which the database moves; on PostgreSQL the row in `data_version`, which triggers move for each writer.
2. A data version never comes back, so two reads that saw the same data version saw the same data. On PostgreSQL it
   has random numbers: a standby that lost commits, or a restored dump, cannot count up to a lost data version.
3. A value is cached with the data version of its own snapshot (PostgreSQL), or with a data version that was read
   before the value (SQLite). So while that data version is current, the value is what a new read would return.
4. A read asks for the data version after it began, and returns a cached value only with the newest answer: a value
   that was current at some time after the read began, and so contains each write acknowledged before.
5. At most one question is under way, so the newest answer is never older than the answer that a read waited for.
6. A request (`Moment`) may use an answer to any question that was asked after it arrived, since each of its reads
   may show any time after that. A write by this process ends that, so that a request reads what it wrote.
7. Reads of one key with one data version share a load: the load began when that data version was current, so its
   value is no older than the data version, and by 4 that is enough for each of the reads.
8. Without an answer there is no value: the read fails.
"""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Hashable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from mailsettings.domain.access import Moment

Key = TypeVar("Key")
Value = TypeVar("Value")

Version = Hashable
"""A data version."""


class DataVersion(Protocol):
    """Where data versions come from: an SQLite file, or PostgreSQL."""

    in_snapshots: bool
    """Whether each snapshot shows its data version, so that a value is loaded together with it."""
    newest: Version | None
    """The answer to the last question; None if the database gave none, so that no value can be cached."""

    async def ask(self) -> None:
        """Set `newest` to an answer to a question sent after this call. Raises `StoreUnavailable`."""

    def close(self) -> None:
        """Close the connection."""


class Freshness:
    """Confirms cached values with the newest data version."""

    def __init__(self, data_version: DataVersion) -> None:
        self.in_snapshots = data_version.in_snapshots
        self._data_version = data_version
        self._written = 0
        self._asked_at = float("-inf")
        self._written_then = 0

    def note_write(self) -> None:
        """Note that this process wrote, or may have written."""
        self._written += 1

    async def confirm(self, moment: Moment | None) -> Version | None:
        """Return the data version at a time after *moment*, or after this call. Raises `StoreUnavailable`.

        On SQLite it never suspends.
        """
        if moment is None or moment.arrived >= self._asked_at or self._written != self._written_then:
            asked_at, written = time.perf_counter(), self._written
            await self._data_version.ask()
            if asked_at > self._asked_at:
                self._asked_at, self._written_then = asked_at, written
        return self._data_version.newest


class SQLiteDataVersion:
    """Watches one database file through a connection of its own that never writes.

    `PRAGMA data_version` changes whenever another connection, of this or another process, commits.
    """

    in_snapshots = False

    def __init__(self, file: Path) -> None:
        self.newest: Version | None = None
        self._file = file
        self._connection: sqlite3.Connection | None = None
        self._opened = 0

    async def ask(self) -> None:
        """Read the number at once, which takes microseconds.

        It never waits, because it runs on the event loop: with a locked file the value is loaded instead.
        """
        try:
            (number,) = (self._connection or self._open()).execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            self.close()
        else:
            # With the number of the connection, because each connection counts from its own start.
            self.newest = self._opened, number

    def close(self) -> None:
        """Close the connection; the next question opens another."""
        self.newest = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        self._opened += 1
        # Read-only, so it never creates a missing file.
        address = f"{self._file.absolute().as_uri()}?mode=ro"
        self._connection = sqlite3.connect(address, timeout=0, uri=True)
        return self._connection


class CachedValues(Generic[Key, Value]):
    """The newest values by key, at most *max_values* of them and *max_bytes* in all; the oldest leave first.

    *load* returns a value and the data version of its snapshot, if the snapshot shows any. *size_of* estimates the
    bytes of a value. Each read of an unchanged value returns the same object.
    """

    def __init__(
        self,
        freshness: Freshness,
        load: Callable[[Key], Awaitable[tuple[Value, Version | None]]],
        size_of: Callable[[Value], int],
        max_values: int = 1024,
        max_bytes: int = 4 * 1024 * 1024,
    ) -> None:
        self._freshness = freshness
        self._load = load
        self._size_of = size_of
        self._max_values = max_values
        self._max_bytes = max_bytes
        self._version: Version | None = None
        self._kept: dict[Key, Value] = {}
        self._loading: dict[Key, asyncio.Task[Value]] = {}
        self._bytes = 0

    async def get(self, key: Key, moment: Moment | None = None) -> Value:
        """Return the current value in the database. Raises `StoreUnavailable`."""
        version = await self._freshness.confirm(moment)
        if version != self._version:
            self._version, self._kept, self._loading, self._bytes = version, {}, {}, 0
        elif key in self._kept:
            return self._kept[key]
        if version is None:
            value, _ = await self._load(key)
            return value
        # Shielded: a caller that goes away must not end the load for the others.
        return await asyncio.shield(self._loading.get(key) or self._begin(key, version))

    def _begin(self, key: Key, version: Version) -> asyncio.Task[Value]:
        under_way = self._loading

        def end(task: asyncio.Task[Value]) -> None:
            under_way.pop(key, None)
            # Otherwise asyncio logs the error of a load that every caller has left.
            _ = task.cancelled() or task.exception()

        under_way[key] = task = asyncio.create_task(self._load_and_keep(key, version))
        task.add_done_callback(end)
        return task

    async def _load_and_keep(self, key: Key, version: Version) -> Value:
        value, seen = await self._load(key)
        if not self._freshness.in_snapshots:
            seen = version  # read before the value
        # Another read may have got a newer answer while the value was loaded.
        return self._keep(key, value) if seen is not None and seen == self._version else value

    def _keep(self, key: Key, value: Value) -> Value:
        """Keep the value and return it, or the equal value that another read kept meanwhile."""
        if key in self._kept:
            return self._kept[key]
        self._kept[key] = value
        self._bytes += self._size_of(value)
        while self._bytes > self._max_bytes or len(self._kept) > self._max_values:
            self._bytes -= self._size_of(self._kept.pop(next(iter(self._kept))))
        return value
