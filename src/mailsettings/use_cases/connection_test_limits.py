"""How many connection tests may run: together, for each principal together, and for each in a minute.

A test makes connections and sends mail on request; unlimited, it is a port scanner and a mail bomb. What each
principal has is counted by the store, for all processes. How many run together is counted here, in each: it keeps
this process from using up its own memory and sockets, of which others have their own.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mailsettings.domain.access import Principal
from mailsettings.domain.connection_test import USAGE_WINDOW_SECONDS, Usage
from mailsettings.domain.errors import TooManyProbes

RETRY_AFTER_SECONDS = 5
"""When to come back if tests are still running; most are over by then."""
MARGIN_SECONDS = 30
"""Beyond the deadline of a test, for writing down that it began and how it ended."""


@dataclass(frozen=True, slots=True)
class ConnectionTestLimits:
    """`at_once` in this process; the limits per caller for each principal, in all processes together.

    No test takes longer than `deadline_seconds`.
    """

    at_once: int = 16
    max_concurrent_per_caller: int = 4
    max_per_minute_per_caller: int = 30
    deadline_seconds: float = 15

    @property
    def max_seconds(self) -> float:
        """After which a test whose end is not written down has no process any more that could do so."""
        return self.deadline_seconds + MARGIN_SECONDS

    def require_capacity(self, share: Usage) -> None:
        """Raise `TooManyProbes` if a principal that has *share* may have no more now."""
        if share.running >= self.max_concurrent_per_caller:
            raise too_many_running()
        if share.begun >= self.max_per_minute_per_caller:
            wait = int(USAGE_WINDOW_SECONDS - share.oldest_seconds) + 1
            raise TooManyProbes("You started too many connection tests within a minute.", wait)


class ConnectionTestSlots:
    """Lets connection tests into this process, or refuses them before they have done anything.

    Of each principal as many as may run anywhere: those that run here are among them, so that nobody is refused
    here whom the store would let in, and nobody who waits for its answer takes the places of others.
    """

    def __init__(self, limits: ConnectionTestLimits) -> None:
        self._limits = limits
        self._running: Counter[str] = Counter()

    @contextmanager
    def admit(self, caller: Principal) -> Iterator[None]:
        """Count one test of *caller* while the block runs. Raises `TooManyProbes`."""
        if self._running.total() >= self._limits.at_once:
            raise TooManyProbes("Too many connection tests are running.", RETRY_AFTER_SECONDS)
        if self._running[caller.name] >= self._limits.max_concurrent_per_caller:
            raise too_many_running()
        self._running[caller.name] += 1
        try:
            yield
        finally:
            self._running[caller.name] -= 1
            self._running += Counter()  # which drops those at nought


def too_many_running() -> TooManyProbes:
    """As many of one principal run as may."""
    return TooManyProbes("You have too many connection tests running.", RETRY_AFTER_SECONDS)
