"""The connections of a pool that wait for their next message."""

import asyncio

from mailsettings.relay.outgoing.server_connection import ServerConnection


class IdleConnections:
    """Keeps connections for *seconds*; a connection older than *age* seconds carries no further message."""

    def __init__(self, seconds: float, age: float) -> None:
        self._seconds = seconds
        self._age = age
        self._loop = asyncio.get_running_loop()
        self._connections: list[ServerConnection] = []
        self._sweeper: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._connections)

    def add(self, connection: ServerConnection) -> None:
        """Keep *connection*."""
        connection.idle_since = self._loop.time()
        self._connections.append(connection)
        self._sweeper = self._sweeper or self._loop.call_later(self._seconds, self._sweep)

    def take(self) -> ServerConnection | None:
        """Return the connection that was used last, so that the others can end; None without a usable one."""
        while self._connections:
            connection = self._connections.pop()
            if connection.is_open and self._loop.time() - connection.since < self._age:
                return connection
            connection.quit()
        return None

    def end(self, connection: ServerConnection) -> None:
        """Close *connection* if it is idle."""
        if connection in self._connections:
            self._connections.remove(connection)
            connection.quit()

    def discard(self, connection: ServerConnection) -> None:
        """Drop a *connection* that was closed."""
        if connection in self._connections:
            self._connections.remove(connection)

    def end_all(self) -> None:
        """Close all connections."""
        for connection in [*self._connections]:
            self.end(connection)
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    def _sweep(self) -> None:
        """Close the connections that have been idle for long, and look again when the next may be."""
        self._sweeper = None
        now = self._loop.time()
        for connection in [idle for idle in self._connections if now - idle.idle_since >= self._seconds]:
            self.end(connection)
        if self._connections:
            oldest = min(idle.idle_since for idle in self._connections)
            self._sweeper = self._loop.call_at(oldest + self._seconds, self._sweep)
