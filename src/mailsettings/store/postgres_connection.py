"""The driver's connection to PostgreSQL, which waits for a silent server no longer than callers wait for us.

The server's own time limits are worth nothing when it is frozen or cut off, and TCP's count only where packets get
lost: the machine of a frozen server goes on acknowledging them.
"""

import asyncio
from typing import Any, TypeVar

from psycopg import AsyncConnection, waiting
from psycopg.abc import PQGen
from psycopg.errors import ConnectionTimeout

POLL_SECONDS = 0.1
MAX_SILENT_POLLS = 24
"""How many looks in a row may find nothing. Looks and not seconds: a pause of ours is no silence of the server."""

Value = TypeVar("Value")


class TimeLimitedConnection(AsyncConnection[Any]):
    """A connection that is closed at once when the server stays silent, or when nobody waits for it any more."""

    async def wait(
        self,
        gen: PQGen[Value],
        interval: float = POLL_SECONDS,
        timeout: float | None = None,  # noqa: ASYNC109  # the driver's own method
    ) -> Value:
        """What *gen* comes to. Raises `ConnectionTimeout` for a server that says nothing.

        The driver itself would ask the server to cancel, and wait for that. Of a COMMIT that waits for a standby
        PostgreSQL then says that it was done, although no standby has it.
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
