"""The limits of the relay for its clients, and the callbacks that count what it does."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

MAX_HEADER_BYTES = 64 * 1024
MAX_RECEIVED_FIELDS = (
    50  # RFC 5321 6.3 names at least 100 for servers that deliver; a relay next to devices sees few
)
MAX_DISCARDED_BYTES = 256 * 1024 * 1024
"""So much of a refused message is read before the connection is closed."""
MIN_BYTES_PER_SECOND = 4000
"""The average pace of content, after the head start: that of a modem."""
MAX_ERRORS = 10
MAX_COMMANDS_BEFORE_LOGIN = 30
MAX_REFUSED_LOGINS = 3
MAX_REFUSED_MAILS = 120
"""In a minute, for each device: a MAIL that is refused counts towards no rate, but fills the logs."""


@dataclass(frozen=True, slots=True)
class RelayLimits:
    """The configurable limits; sizes in bytes.

    A client has `login_timeout_seconds` from the connection to the login, and then `command_timeout_seconds`
    for each command (RFC 5321 4.5.3.2). A client that holds a place loses it after `silence_timeout_seconds`
    without a byte, after `envelope_timeout_seconds` without DATA, and if it sends content too slowly after
    `content_head_start_seconds`.
    """

    max_message_bytes: int = 36_700_160
    max_connections: int = 4096
    max_connections_per_address: int = 512
    command_timeout_seconds: float = 300
    login_timeout_seconds: float = 60
    silence_timeout_seconds: float = 10
    envelope_timeout_seconds: float = 120
    content_head_start_seconds: float = 30


def _ignore(*_arguments: object) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """Callbacks for metrics.

    `connections` gets the number of open connections when it changes, `refused_connection` the reason of a
    refused connection (`total`, `address`, `network`), `login` whether a login was accepted.
    """

    connections: Callable[[int], None] = _ignore
    refused_connection: Callable[[str], None] = _ignore
    login: Callable[[bool], None] = _ignore


class RefusedMails:
    """Counts the refused MAIL commands of each device in the current minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._minute = 0
        self._counts: Counter[int] = Counter()

    def count(self, device_id: int) -> int:
        """Count a refusal, and return the number of those in this minute."""
        minute = int(self._clock() // 60)
        if minute != self._minute:
            self._minute, self._counts = minute, Counter()
        self._counts[device_id] += 1
        return self._counts[device_id]
