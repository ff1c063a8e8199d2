"""The line of messages that wait for a connection: first come, first served."""

import asyncio
from collections import deque
from contextlib import suppress

from mailsettings.relay.outgoing.server_connection import ServerConnection
from mailsettings.relay.replies import Refused

Waiter = asyncio.Future[ServerConnection]


class Line:
    """Waiters in the order of arrival. A cancelled waiter may stay for a moment, and counts no more."""

    def __init__(self) -> None:
        self._waiters: deque[Waiter] = deque()

    def __len__(self) -> int:
        return len(self._waiters)

    @property
    def is_empty(self) -> bool:
        """Whether no message waits."""
        while self._waiters and self._waiters[0].done():
            self._waiters.popleft()
        return not self._waiters

    def join(self, *, again: bool) -> Waiter:
        """Return a new waiter; a message that tries *again* is first."""
        waiter: Waiter = asyncio.get_running_loop().create_future()
        (self._waiters.appendleft if again else self._waiters.append)(waiter)
        return waiter

    def leave(self, waiter: Waiter) -> ServerConnection | None:
        """Take *waiter* out of the line; return the connection that it got too late, if any."""
        with suppress(ValueError):
            self._waiters.remove(waiter)
        if waiter.cancel() or waiter.cancelled() or waiter.exception() is not None:
            return None
        return waiter.result()

    def serve(self, connection: ServerConnection) -> None:
        """Give *connection* to the first waiter; the line is not empty."""
        self._waiters.popleft().set_result(connection)

    def fail(self, refusal: Refused) -> None:
        """Refuse all messages in line."""
        while not self.is_empty:
            self._waiters.popleft().set_exception(Refused(refusal.reply, refusal.failure))
