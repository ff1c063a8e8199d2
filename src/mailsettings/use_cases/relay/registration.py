"""A relay makes itself known to the processes that share its database, while it runs."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from mailsettings.domain.errors import StoreUnavailable
from mailsettings.domain.listening import RelayListener, RunningRelay
from mailsettings.store.database import SQLStore
from mailsettings.use_cases.lease import shielded

LIFETIME_SECONDS = 30.0
LEAVE_TIMEOUT_SECONDS = 2.0

_log = logging.getLogger("mailsettings.relay")


class RelayRegistration:
    """The row of the relay *holder*, which listens at *listeners*; *certificate* returns its certificate."""

    def __init__(
        self,
        store: SQLStore,
        holder: str,
        listeners: Sequence[RelayListener],
        certificate: Callable[[], str | None] = lambda: None,
        lifetime_seconds: float = LIFETIME_SECONDS,
    ) -> None:
        self._store = store
        self._holder = holder
        self._listeners = tuple(listeners)
        self._certificate = certificate
        self._lifetime_seconds = lifetime_seconds
        self._is_away = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Renew the row during the block, from its start; delete it at the end."""
        await self._renew()
        task = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})
            with suppress(StoreUnavailable, TimeoutError):
                async with asyncio.timeout(LEAVE_TIMEOUT_SECONDS):
                    await shielded(self._leave())

    async def _keep(self) -> None:
        while True:
            # A third of the lifetime leaves two more attempts before the row expires.
            await asyncio.sleep(self._lifetime_seconds / 3)
            await self._renew()

    async def _renew(self) -> None:
        try:
            await shielded(self._write())
        except StoreUnavailable:
            if not self._is_away:
                _log.warning("The database is unavailable; devices get temporary refusals until it is back.")
            self._is_away = True
            return
        if self._is_away:
            _log.info("The database is available again.")
        self._is_away = False

    async def _write(self) -> None:
        async with self._store.writing() as work:
            relay = RunningRelay(self._holder, self._listeners, self._certificate())
            await work.relays.renew(relay, self._lifetime_seconds)

    async def _leave(self) -> None:
        async with self._store.writing() as work:
            await work.relays.leave(self._holder)
