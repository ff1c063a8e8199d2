"""How many connection tests may run: in this process, and for each principal."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mailsettings.domain.access import Principal
from mailsettings.domain.connection_test import USAGE_WINDOW_SECONDS, Usage
from mailsettings.domain.errors import TooManyProbes
from mailsettings.use_cases.idempotency import RETRY_AFTER_SECONDS

MAX_CONCURRENT_RECORDS = 2
"""Concurrent transactions of connection tests in a process; the database has one writer at a time anyway.

When a thousand tests arrive or end together, they would use every connection of the pool, and readers would wait
behind all of them. A semaphore admits waiting tasks in the order of their arrival.
"""
MARGIN_SECONDS = 30
"""Time beyond the deadline of a test to record its start and its end."""


@dataclass(frozen=True, slots=True)
class ConnectionTestLimits:
    """`max_concurrent` in this process; the limits per caller for each principal, in all processes together.

    No test takes longer than `deadline_seconds`.
    """

    max_concurrent: int = 16
    max_concurrent_per_caller: int = 4
    max_per_minute_per_caller: int = 30
    deadline_seconds: float = 15

    @property
    def max_seconds(self) -> float:
        """The age at which a test without a recorded end counts as ended, because its process must have died."""
        return self.deadline_seconds + MARGIN_SECONDS

    def require_capacity(self, usage: Usage) -> None:
        """Raise `TooManyProbes` if a principal that has *usage* may have no more now."""
        if usage.running >= self.max_concurrent_per_caller:
            raise too_many_running()
        if usage.begun >= self.max_per_minute_per_caller:
            wait = int(USAGE_WINDOW_SECONDS - usage.oldest_seconds) + 1
            raise TooManyProbes("You started too many connection tests within a minute.", wait)


class ConnectionTestSlots:
    """Admits connection tests to this process, or refuses them before they do anything.

    The limit per principal is the same as in the database. The tests in this process are part of those, so this
    check never refuses a test that the database would accept; it only keeps waiting tests from taking the slots of
    others.
    """

    def __init__(self, limits: ConnectionTestLimits) -> None:
        self._limits = limits
        self._running: Counter[str] = Counter()

    def require_slot(self, caller: Principal) -> None:
        """Raise `TooManyProbes` if `admit` would."""
        if self._running.total() >= self._limits.max_concurrent:
            raise TooManyProbes("Too many connection tests are running.", RETRY_AFTER_SECONDS)
        if self._running[caller.name] >= self._limits.max_concurrent_per_caller:
            raise too_many_running()

    @contextmanager
    def admit(self, caller: Principal) -> Iterator[None]:
        """Count one test of *caller* while the block runs. Raises `TooManyProbes`."""
        # No await between this check and the count, so no other task can take the slot in between.
        self.require_slot(caller)
        self._running[caller.name] += 1
        try:
            yield
        finally:
            self._running[caller.name] -= 1
            self._running += Counter()  # removes the callers at zero


def too_many_running() -> TooManyProbes:
    """Return the error for a principal at its limit of running tests."""
    return TooManyProbes("You have too many connection tests running.", RETRY_AFTER_SECONDS)
