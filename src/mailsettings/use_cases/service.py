"""Facts about the service itself, for its administrators: its settings, its database, and monitoring."""

from collections.abc import Sequence

from mailsettings.domain.access import Permission, Principal
from mailsettings.domain.service import DatabaseVersion, EffectiveSetting, MonitoringFacts, WaitingDelivery
from mailsettings.store.database import SQLStore
from mailsettings.store.monitoring import LEASE_NAME


class DescribeService:
    """Reads facts about the service; *settings* are the effective settings of this process."""

    def __init__(
        self,
        store: SQLStore,
        settings: Sequence[EffectiveSetting],
        interval_seconds: int | None,
        *,
        has_webhook: bool,
    ) -> None:
        self._store = store
        self._settings = settings
        self._interval_seconds = interval_seconds
        self._has_webhook = has_webhook

    async def database(self) -> DatabaseVersion:
        """Return the version of the database; every caller may know it. Raises `StoreUnavailable`."""
        return await self._store.version()

    def settings(self, caller: Principal) -> Sequence[EffectiveSetting]:
        """Return all settings without secrets. Raises `PermissionDenied`."""
        caller.require(Permission.MAIL_SERVERS_WRITE)
        return self._settings

    async def monitoring(self, caller: Principal) -> MonitoringFacts:
        """Return the state of monitoring. Raises `PermissionDenied`."""
        caller.require(Permission.MAIL_SERVERS_READ)
        async with self._store.reading() as view:
            return MonitoringFacts(
                self._interval_seconds,
                self._has_webhook,
                await view.leases.of(LEASE_NAME),
                await view.monitoring.summary(),
                await view.outbox.counts(),
            )

    async def deliveries(self, caller: Principal, after: str, limit: int) -> Sequence[WaitingDelivery]:
        """Return at most *limit* events that wait for the webhook, after the id *after*.

        Raises `PermissionDenied`.
        """
        caller.require(Permission.MAIL_SERVERS_READ)
        async with self._store.reading() as view:
            return await view.outbox.waiting(after, limit)
