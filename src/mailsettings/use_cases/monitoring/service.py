"""The monitoring of one process: its checks and its deliveries, while it holds the lease."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mailsettings.store.database import SQLStore
from mailsettings.use_cases import lease
from mailsettings.use_cases.lease import Lease
from mailsettings.use_cases.metrics import NO_METRICS
from mailsettings.use_cases.monitoring import checks as monitoring
from mailsettings.use_cases.monitoring import outbox
from mailsettings.use_cases.monitoring.checks import ScheduledChecks
from mailsettings.use_cases.monitoring.outbox import EventDelivery
from mailsettings.use_cases.ports import Meter, Prober, WebhookSender

LEASE_NAME = "watch"


class MonitoringService:
    """Checks each server once in *interval* seconds; what is new goes to *webhook_sender* too, if there is one."""

    def __init__(  # noqa: PLR0913  # each is one line in the composition root
        self,
        store: SQLStore,
        prober: Prober,
        interval: int,
        webhook_sender: WebhookSender | None = None,
        *,
        meter: Meter = NO_METRICS,
        lease_seconds: float = lease.LEASE_SECONDS,
        pause_seconds: float = monitoring.PAUSE_SECONDS,
    ) -> None:
        self._lease = Lease(store, LEASE_NAME, lease_seconds)
        has_webhook = webhook_sender is not None
        self._checks = ScheduledChecks(
            store, prober, self._lease, interval, has_webhook=has_webhook, meter=meter, pause_seconds=pause_seconds
        )
        self._event_delivery: EventDelivery | None = None
        if webhook_sender is not None:
            pause_seconds = min(pause_seconds, outbox.PAUSE_SECONDS)
            self._event_delivery = EventDelivery(
                store, webhook_sender, self._lease, meter=meter, pause_seconds=pause_seconds
            )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run monitoring in the background during the block; cancel it at the end."""
        task = asyncio.create_task(self._lease.while_held(self._run))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._checks.run())
            if self._event_delivery is not None:
                group.create_task(self._event_delivery.run())
