"""How many requests of each principal are being answered, so that one busy client leaves room for the others."""

from collections import Counter

from mailsettings.web.request_errors import TooManyRequests


class ConcurrentRequests:
    """Counts in this process alone, for all APIs together; at most *most* of each principal."""

    def __init__(self, limit: int = 32) -> None:
        self._limit = limit
        self._running: Counter[str] = Counter()

    def enter(self, name: str) -> None:
        """Count one more of *name*. Raises `TooManyRequests`."""
        if self._running[name] >= self._limit:
            raise TooManyRequests
        self._running[name] += 1

    def leave(self, name: str) -> None:
        """Count one less."""
        self._running[name] -= 1
        if not self._running[name]:
            del self._running[name]
