"""What one caller has had of the connection tests, counted by all processes together."""

from dataclasses import dataclass

USAGE_WINDOW_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Usage:
    """How many of its tests run, how many began in the last minute, and how long ago the first of those did."""

    running: int = 0
    begun: int = 0
    oldest_seconds: float = 0
