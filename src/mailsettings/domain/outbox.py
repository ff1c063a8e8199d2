"""What waits to be told elsewhere, how often that is tried, and when it is given up. Pure."""

from dataclasses import dataclass

MINUTE, HOUR = 60, 3600
# Growing as the Standard Webhooks specification proposes (its section "Deliverability and reliability").
RETRY_DELAYS_SECONDS = (
    *(5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR),
    *(10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR),
)
"""Seconds after each failed attempt; there is one attempt more than delays."""
MAX_EVENT_AGE_SECONDS = 4 * 24 * HOUR
"""Nobody wants to hear older news, however few attempts there were."""
MAX_WAITING_EVENTS = 10_000


@dataclass(frozen=True, slots=True)
class WaitingEvent:
    """A message with the id that it keeps at each attempt; `body` is what is sent, byte for byte."""

    id: str
    created_at: float
    body: str
    attempts: int = 0


def next_attempt(event: WaitingEvent, now: float) -> float | None:
    """When to try again after an attempt that has just failed; None: never.

    `event.attempts` are those before it.
    """
    if event.attempts >= len(RETRY_DELAYS_SECONDS) or now - event.created_at > MAX_EVENT_AGE_SECONDS:
        return None
    return now + RETRY_DELAYS_SECONDS[event.attempts]
