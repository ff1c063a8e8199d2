"""Warnings that an attack could repeat a thousand times a second."""

import logging
import time

PAUSE_SECONDS = 10


class SeldomLog:
    """Logs a warning at once, and then at most one in ten seconds, which says how many were left out."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._last = float("-inf")
        self._left_out = 0

    def warning(self, message: str, *arguments: object) -> None:
        """Log *message*, or count it."""
        now = time.monotonic()
        if now - self._last < PAUSE_SECONDS:
            self._left_out += 1
            return
        more = f" This happened {self._left_out} more times since the last such line." if self._left_out else ""
        self._log.warning(message + more, *arguments)
        self._last, self._left_out = now, 0
