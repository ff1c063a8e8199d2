"""Pauses that double: after a login that was refused, and while a mail server takes no messages."""

from collections.abc import Callable

from mailsettings.relay.replies import Refused

Clock = Callable[[], float]


class Backoff:
    """A pause of *first* seconds, then of twice as many, up to *longest*; `failures` counts those in a row."""

    def __init__(self, clock: Clock, *, first: float = 1.0, longest: float = 8.0) -> None:
        self._clock = clock
        self._first = first
        self._longest = longest
        self._until = 0.0
        self.failures = 0

    @property
    def is_on(self) -> bool:
        """Whether the pause is not over."""
        return self._clock() < self._until

    @property
    def seconds_left(self) -> float:
        """The seconds until the pause is over."""
        return max(self._until - self._clock(), 0.0)

    def extend(self) -> None:
        """Begin a pause, unless one is on: what was on its way when it began says nothing new."""
        if not self.is_on:
            self._until = self._clock() + min(self._first * 2**self.failures, self._longest)
            self.failures = min(self.failures + 1, 30)

    def reset(self) -> None:
        """End the pause after a success."""
        self._until = 0.0
        self.failures = 0


class LoginBackoff:
    """No logins after a refused login: 5 seconds, then twice as long, up to 5 minutes.

    Servers lock accounts after some refusals, and Exchange slows a client that repeats one.
    """

    def __init__(self, clock: Clock, *, first: float = 5.0, longest: float = 300.0) -> None:
        self._refused = Backoff(clock, first=first, longest=longest)
        self._unavailable = Backoff(clock, first=first, longest=first)
        self._refusal: Refused | None = None

    def extend(self, refusal: Refused, *, permanent: bool) -> None:
        """Begin a pause; a login that failed for now does not make it longer than the first."""
        (self._refused if permanent else self._unavailable).extend()
        self._refusal = refusal

    def reset(self) -> None:
        """End the pause after a login."""
        self._refused.reset()
        self._unavailable.reset()

    def require_over(self) -> None:
        """Raise the refusal that began the pause while it is on."""
        if self._refusal is not None and (self._refused.is_on or self._unavailable.is_on):
            raise Refused(self._refusal.reply, self._refusal.failure)
