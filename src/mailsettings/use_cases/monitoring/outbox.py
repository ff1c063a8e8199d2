"""Delivers events from the outbox to the webhook: at least once, with growing delays, for a limited time."""

import asyncio
import logging
from collections.abc import Sequence

from mailsettings.domain.monitoring import WaitingEvent, next_attempt
from mailsettings.store.database import SQLStore
from mailsettings.use_cases.lease import Lease, repeat_forever, shielded
from mailsettings.use_cases.metrics import NO_METRICS
from mailsettings.use_cases.ports import Meter, WebhookSender

MAX_CONCURRENT_DELIVERIES = 4
PAUSE_SECONDS = 2.0
_log = logging.getLogger("mailsettings.webhook")


class EventDelivery:
    """Hands waiting events to *webhook_sender*, a few at once."""

    def __init__(
        self,
        store: SQLStore,
        webhook_sender: WebhookSender,
        lease: Lease,
        *,
        meter: Meter = NO_METRICS,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        self._store = store
        self._webhook_sender = webhook_sender
        self._lease = lease
        self._meter = meter
        self._pause_seconds = pause_seconds

    async def run(self) -> None:
        """Run until cancelled or until the lease is lost."""
        await repeat_forever(self.deliver_due, self._pause_seconds)

    async def deliver_due(self) -> bool:
        """Try to deliver the events that are due; return whether any was.

        Raises `StoreUnavailable`, `LeaseLost`.
        """
        due = await shielded(self._due())
        # No transaction is open meanwhile: a slow receiver must not hold up writers.
        problems = await asyncio.gather(*(self._webhook_sender.deliver(event) for event in due))
        for event, problem in zip(due, problems, strict=True):
            self._meter.delivered(taken=problem is None)
            await shielded(self._settle(event, problem))
        return bool(due)

    async def _due(self) -> Sequence[WaitingEvent]:
        async with self._store.reading() as view:
            return await view.outbox.due(MAX_CONCURRENT_DELIVERIES)

    async def _settle(self, event: WaitingEvent, problem: str | None) -> None:
        async with self._lease.writing() as work:
            next_at = None if problem is None else next_attempt(event, await work.outbox.now())
            if next_at is None:
                await work.outbox.remove(event.id)
            else:
                await work.outbox.postpone(event, next_at)
        _log_outcome(event, problem, gives_up=next_at is None)


def _log_outcome(event: WaitingEvent, problem: str | None, *, gives_up: bool) -> None:
    attempts = event.attempts + 1
    if problem is None:
        _log.info("%s was delivered at attempt %d.", event.id, attempts)
    elif gives_up:
        _log.error("%s was not delivered and is given up after %d attempts: %s.", event.id, attempts, problem)
    else:
        _log.warning("%s was not delivered at attempt %d: %s.", event.id, attempts, problem)
