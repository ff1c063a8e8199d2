"""Connections to PostgreSQL: a limit on how long the server may be silent, and a check of idle connections.

The server's own time limits have no effect when it is frozen or cut off. TCP's limits apply only to lost packets,
and the machine of a frozen server keeps acknowledging them.
"""

import asyncio
import time
from typing import Any, TypeVar

import psycopg
from psycopg import AsyncConnection, waiting
from psycopg.abc import PQGen
from psycopg.errors import ConnectionTimeout
from sqlalchemy import Engine, event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

POLL_SECONDS = 0.1
MAX_SILENT_POLLS = 24
"""How many polls in a row may find no data. Polls and not seconds: a pause of this process is not the server's."""

MAX_IDLE_SECONDS = 5
"""A connection that was idle for longer is tested by a statement before it is used."""

Value = TypeVar("Value")


class TimeLimitedConnection(AsyncConnection[Any]):
    """A connection that closes at once when the server stays silent or the waiting task is cancelled."""

    async def wait(
        self,
        gen: PQGen[Value],
        interval: float = POLL_SECONDS,
        timeout: float | None = None,  # noqa: ASYNC109  # the driver's own method
    ) -> Value:
        """Return the result of *gen*. Raises `ConnectionTimeout` for a silent server.

        The driver itself would ask the server to cancel, and wait for the answer. PostgreSQL then reports a COMMIT
        that waits for a standby as done, although no standby has it.
        """
        try:
            heard = _unless_silent(gen)
            return await waiting.wait_async(heard, self.pgconn.socket, min(interval, POLL_SECONDS), timeout)
        except (asyncio.CancelledError, ConnectionTimeout):
            self.pgconn.finish()
            raise


def _unless_silent(gen: PQGen[Value]) -> PQGen[Value]:
    silent = 0
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            silent = 0 if ready else silent + 1
            if silent >= MAX_SILENT_POLLS:
                raise ConnectionTimeout("the server says nothing")
            wanted = gen.send(ready)
    except StopIteration as end:
        value: Value = end.value
        return value


def replace_dead_connections(engine: Engine) -> None:
    """Replace pooled connections that ended while they were idle, so that no transaction fails because of them.

    A test of each connection before its use would cost a round trip for each transaction. The socket shows without
    a round trip that the server ended a connection; it does not show a network that drops connections in silence.
    """

    def require_alive(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
        returned_at = record.info.pop(_RETURNED_AT, None)
        if returned_at is None:
            return  # a new connection
        try:
            _require_open(connection.driver_connection)
            if time.monotonic() - returned_at > MAX_IDLE_SECONDS:
                engine.dialect.do_ping(connection)
        except psycopg.Error:
            raise InvalidatePoolError from None

    def note_return(_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info[_RETURNED_AT] = time.monotonic()

    event.listen(engine, "checkout", require_alive)
    event.listen(engine, "checkin", note_return)


_RETURNED_AT = "mailsettings_returned_at"


def _require_open(connection: AsyncConnection[Any]) -> None:
    """Raise the driver's error if the server has ended the connection."""
    # The first call may read only the server's last message, and the second the end.
    connection.pgconn.consume_input()
    connection.pgconn.consume_input()
