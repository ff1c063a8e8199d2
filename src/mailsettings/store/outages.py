"""Logs the outages of the database in a running service: one warning when one begins, one line when it ends.

A restart passes through several causes in a second, and only the first is logged. A cause that takes the place of
another for longer is logged too; otherwise a password that was changed at a restart would stay hidden.
"""

import logging
import time
from collections.abc import Callable

from mailsettings.store.database_errors import DatabaseProblem, explanation_of

MIN_INTERVAL_SECONDS = 10
"""Between two warnings about one outage, and about one cause that comes and goes."""

_log = logging.getLogger("mailsettings.database")


class Outages:
    """Whether the database works, as the transactions of one process find it.

    Commands print the cause instead, so nothing is logged before `start_logging`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._logs = False
        self.problem: DatabaseProblem | None = None
        """Why the database cannot be used; None while it can."""
        self._began = 0.0
        self._only_writes = False
        self._is_told = False
        self._warned: DatabaseProblem | None = None
        self._warned_at = float("-inf")

    def start_logging(self) -> None:
        """Log the outages from now on."""
        self._logs = True

    def failed(self, problem: DatabaseProblem) -> None:
        """Note that a transaction could not use the database."""
        begins, before, self.problem = self.problem is None, self.problem, problem
        if begins:
            self._began, self._is_told, self._only_writes = self._clock(), False, True
        self._only_writes = self._only_writes and problem.only_writes
        if problem.ended and not (before and before.ended):
            return  # the next attempt tells the cause
        if self._is_news(problem, begins=begins or not self._is_told):
            self._warn(problem)

    def answered(self, *, by_write: bool = False) -> None:
        """Note that the database answered a question, or committed a write."""
        if self.problem is None or (self._only_writes and not by_write):
            return
        if self.problem.ended and not self._is_told and self._is_news(self.problem, begins=True):
            self._warn(self.problem)
        self.problem = None
        if self._logs and self._is_told:
            _log.info("The database is available again, after %.1f s.", self._clock() - self._began)

    def _is_news(self, problem: DatabaseProblem, *, begins: bool) -> bool:
        is_recent = self._clock() - self._warned_at < MIN_INTERVAL_SECONDS
        is_same = problem == self._warned
        return not (is_recent and is_same) if begins else not (is_recent or is_same)

    def _warn(self, problem: DatabaseProblem) -> None:
        self._is_told, self._warned, self._warned_at = True, problem, self._clock()
        if self._logs:
            _log.warning("%s", explanation_of(problem))
