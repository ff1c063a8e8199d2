"""Report that a mail server refuses the relay's login, and that it accepts the login again.

Devices cannot repair that, and their users do not see why; so the administrator hears of it by the log, the
metrics and the webhook. Each relay reports for itself, once for each refusal and once for its end.
"""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from mailsettings.domain.connection_test import ProbeFailure
from mailsettings.domain.mail_server import StoredMailServer
from mailsettings.domain.monitoring import CheckResult, EventType, MonitoringEvent, WaitingEvent
from mailsettings.store.database import SQLStore
from mailsettings.use_cases.lease import repeat_forever, shielded
from mailsettings.use_cases.monitoring.checks import log_event, webhook_body

MAX_UNWRITTEN_EVENTS = 256
"""Events that wait for the database; more are in the log only."""
PAUSE_SECONDS = 1.0
_log = logging.getLogger("mailsettings.relay")


class RelayAlerts:
    """Hears of each login, and calls *count* with whether it was accepted.

    With *has_webhook*, events go to the outbox.
    """

    def __init__(
        self,
        store: SQLStore,
        count: Callable[[bool], None],
        *,
        has_webhook: bool,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        self._store = store
        self._count = count
        self._has_webhook = has_webhook
        self._pause_seconds = pause_seconds
        self._refused: dict[int, None] = {}
        self._unwritten: list[MonitoringEvent] = []

    def refused(self, server: StoredMailServer, found: ProbeFailure) -> None:
        """Note that *server* refused the stored login; only the first of several refusals is an event."""
        self._count(False)  # noqa: FBT003  # see the constructor
        if server.id not in self._refused:
            self._refused[server.id] = None
            self._add(EventType.RELAY_LOGIN_REFUSED, server, found)

    def accepted(self, server: StoredMailServer) -> None:
        """Note that *server* accepted the login; an event if it refused the login before."""
        self._count(True)  # noqa: FBT003  # see the constructor
        if server.id in self._refused:
            del self._refused[server.id]
            self._add(EventType.RELAY_LOGIN_RECOVERED, server, None)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write events to the outbox during the block."""
        task = asyncio.create_task(repeat_forever(self._write_all, self._pause_seconds))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    def _add(self, kind: EventType, server: StoredMailServer, found: ProbeFailure | None) -> None:
        event = MonitoringEvent(kind, _result(server, found))
        log_event(event)
        if self._has_webhook and len(self._unwritten) < MAX_UNWRITTEN_EVENTS:
            self._unwritten.append(event)

    async def _write_all(self) -> bool:
        """Write what waits; return False, because nothing more is due at once. Raises `StoreUnavailable`."""
        if events := list(self._unwritten):
            await shielded(self._write(events))
            del self._unwritten[: len(events)]
        return False

    async def _write(self, events: Sequence[MonitoringEvent]) -> None:
        async with self._store.writing() as work:
            now = await work.outbox.now()
            for event in events:
                waiting = WaitingEvent(f"msg_{uuid.uuid4().hex}", now, webhook_body(event, now))
                if not await work.outbox.add(waiting):
                    _log.error("Too many events wait for the webhook; only the log reports %s.", event.type)


def _result(server: StoredMailServer, found: ProbeFailure | None) -> CheckResult:
    stage, code = (None, None) if found is None else (str(found.stage), str(found.code))
    return CheckResult(server.id, server.version, server.server.host, server.server.port, stage, code)
