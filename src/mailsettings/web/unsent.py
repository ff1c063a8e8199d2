"""How long a client may let its answer wait."""

from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable

MIN_READ_BYTES = 128 * 1024
"""Of an answer that waits to be taken, within the time for it."""


class ResponseDeadline:
    """A client has *seconds* of waiting for each `MIN_READ_BYTES` bytes, whatever the answer is made of."""

    def __init__(
        self, loop: AbstractEventLoop, seconds: float, unsent: Callable[[], int], give_up: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._seconds = seconds
        self._unsent = unsent
        self._give_up = give_up
        self._timer: TimerHandle | None = None
        self._begun_at = 0.0
        self._sent = 0  # bytes, some of which may wait
        self._start_again()

    def add(self, size: int) -> None:
        """Count so many bytes that are sent."""
        self._sent += size

    def begin(self) -> None:
        """Count the time from now on, if it is not counted already."""
        if self._timer is None:
            self._begun_at = self._loop.time()
            self._timer = self._loop.call_later(max(0, self._left), self._over)

    def end(self) -> None:
        """Count it no more: the client has taken everything so far."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._left -= self._loop.time() - self._begun_at
            self._has_taken_enough()

    def reset(self) -> None:
        """Give the client the whole time again, for the next answer."""
        self.end()
        self._start_again()

    def _start_again(self) -> None:
        self._left = self._seconds
        self._sent = 0

    def _has_taken_enough(self) -> bool:
        unsent = self._unsent()
        if unsent and self._sent - unsent < MIN_READ_BYTES:
            return False
        if self._sent - unsent >= MIN_READ_BYTES:
            self._left = self._seconds
            self._sent = unsent
        return True

    def _over(self) -> None:
        self._timer = None
        self._left = 0
        if not self._has_taken_enough():
            self._give_up()
        elif self._unsent():
            self.begin()
