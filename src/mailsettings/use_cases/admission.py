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
from mailsettings.domain.errors import TooManyProbes
from mailsettings.domain.share import WINDOW_SECONDS, Share

BUSY_SECONDS = 5
"""When to come back if tests are still running; most are over by then."""
MARGIN_SECONDS = 30
"""Beyond the deadline of a test, for writing down that it began and how it ended."""


@dataclass(frozen=True, slots=True)
class ProbeLimits:
    """`at_once` in this process; `at_once_each` and `per_minute_each` for each principal, in all together.

    No test takes longer than `deadline_seconds`.
    """

    at_once: int = 16
    at_once_each: int = 4
    per_minute_each: int = 30
    deadline_seconds: float = 15

    @property
    def longest_seconds(self) -> float:
        """After which a test whose end is not written down has no process any more that could do so."""
        return self.deadline_seconds + MARGIN_SECONDS

    def require_room(self, share: Share) -> None:
        """Raise `TooManyProbes` if a principal that has *share* may have no more now."""
        if share.running >= self.at_once_each:
            raise too_many_running()
        if share.begun >= self.per_minute_each:
            wait = int(WINDOW_SECONDS - share.oldest_seconds) + 1
            raise TooManyProbes("Too many connection tests of yours within a minute.", wait)


class Admission:
    """Lets connection tests into this process, or refuses them before they have done anything.

    Of each principal as many as may run anywhere: those that run here are among them, so that nobody is refused
    here whom the store would let in, and nobody who waits for its answer takes the places of others.
    """

    def __init__(self, limits: ProbeLimits) -> None:
        self._limits = limits
        self._running: Counter[str] = Counter()

    @contextmanager
    def admit(self, caller: Principal) -> Iterator[None]:
        """Count one test of *caller* while the block runs. Raises `TooManyProbes`."""
        if self._running.total() >= self._limits.at_once:
            raise TooManyProbes("Too many connection tests are running.", BUSY_SECONDS)
        if self._running[caller.name] >= self._limits.at_once_each:
            raise too_many_running()
        self._running[caller.name] += 1
        try:
            yield
        finally:
            self._running[caller.name] -= 1
            self._running += Counter()  # which drops those at nought


def too_many_running() -> TooManyProbes:
    """As many of one principal run as may."""
    return TooManyProbes("Too many connection tests of yours are running.", BUSY_SECONDS)
