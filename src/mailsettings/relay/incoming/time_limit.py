"""The time limit of a connection's waits, by one timer for all of them.

Nearly all waits end long before their limit, and a timer of the event loop for each costs as much as the wait. So
the timer of an earlier wait stays, and is set again when it goes off too early.
"""

import asyncio


class TooSlow(Exception):
    """The client did not send, or did not read, in time."""


class TimeLimit:
    """Ends one wait at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._goes_off = 0.0
        self._waiting: asyncio.Future[None] | None = None
        self._deadline = 0.0

    async def wait(self, waiting: "asyncio.Future[None]", deadline: float) -> None:
        """Wait for *waiting*. Raises `TooSlow` at *deadline*, by the clock of the event loop."""
        self._waiting, self._deadline = waiting, deadline
        if self._timer is None or self._goes_off > deadline:
            self._set()
        try:
            await waiting
        finally:
            self._waiting = None

    def end(self) -> None:
        """Stop the timer; there is no further wait."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self) -> None:
        self.end()
        self._goes_off = self._deadline
        self._timer = self._loop.call_at(self._deadline, self._go_off)

    def _go_off(self) -> None:
        self._timer = None
        if self._waiting is None or self._waiting.done():
            return
        if self._loop.time() < self._deadline:
            self._set()
        else:
            self._waiting.set_exception(TooSlow())
