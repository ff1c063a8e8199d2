"""A connection to PostgreSQL with a limit on how long the server may be silent.

The server's own time limits have no effect when it is frozen or cut off. TCP's limits apply only to lost packets,
and the machine of a frozen server keeps acknowledging them.
"""

import asyncio
from typing import Any, TypeVar

from psycopg import AsyncConnection, waiting
from psycopg.abc import PQGen
from psycopg.errors import ConnectionTimeout

POLL_SECONDS = 0.1
MAX_SILENT_POLLS = 24
"""How many polls in a row may find no data. Polls and not seconds: a pause of this process is not the server's."""

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
