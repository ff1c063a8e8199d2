"""Warnings that an attack could repeat a thousand times a second."""

import logging
import time

WARNING_INTERVAL_SECONDS = 10


class RateLimitedLog:
    """Logs a warning at once, and then at most one in ten seconds, which says how many were left out."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._last = float("-inf")
        self._skipped_until = 0

    def warning(self, message: str, *arguments: object) -> None:
        """Log *message*, or count it."""
        now = time.monotonic()
        if now - self._last < WARNING_INTERVAL_SECONDS:
            self._skipped_until += 1
            return
        more = (
            f" This happened {self._skipped_until} more times since the last such line."
            if self._skipped_until
            else ""
        )
        self._log.warning(message + more, *arguments)
        self._last, self._skipped_until = now, 0
