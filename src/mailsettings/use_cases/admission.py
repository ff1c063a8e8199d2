"""How many connection tests may run: together, for each principal together, and for each in a minute.

A test makes connections and sends mail on request; unlimited, it is a port scanner and a mail bomb. Counted in
this process alone.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mailsettings.domain.access import Principal
from mailsettings.domain.errors import TooManyProbes

WINDOW_SECONDS = 60
BUSY_SECONDS = 5
"""When to come back if tests are still running; most are over by then."""


@dataclass(frozen=True, slots=True)
class ProbeLimits:
    """`at_once` in this process, `at_once_each` and `per_minute_each` for each principal."""

    at_once: int = 16
    at_once_each: int = 4
    per_minute_each: int = 30


class Admission:
    """Lets connection tests in, or refuses them before they have done anything."""

    def __init__(self, limits: ProbeLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._running: Counter[str] = Counter()
        self._begun: dict[str, deque[float]] = {}

    @contextmanager
    def admit(self, caller: Principal) -> Iterator[None]:
        """Count one test of *caller* while the block runs. Raises `TooManyProbes`."""
        now = self._clock()
        self._require_room(caller.name)
        self._require_pace(caller.name, now)
        self._running[caller.name] += 1
        self._begun.setdefault(caller.name, deque()).append(now)
        try:
            yield
        finally:
            self._running[caller.name] -= 1
            self._running += Counter()  # which drops those at nought

    def _require_room(self, name: str) -> None:
        if self._running.total() >= self._limits.at_once:
            raise TooManyProbes("Too many connection tests are running.", BUSY_SECONDS)
        if self._running[name] >= self._limits.at_once_each:
            raise TooManyProbes("Too many connection tests of yours are running.", BUSY_SECONDS)

    def _require_pace(self, name: str, now: float) -> None:
        self._forget_before(now - WINDOW_SECONDS)
        begun = self._begun.get(name, deque())
        if len(begun) >= self._limits.per_minute_each:
            wait = int(begun[0] + WINDOW_SECONDS - now) + 1
            raise TooManyProbes("Too many connection tests of yours within a minute.", wait)

    def _forget_before(self, moment: float) -> None:
        for name, begun in list(self._begun.items()):
            while begun and begun[0] <= moment:
                begun.popleft()
            if not begun:
                del self._begun[name]
