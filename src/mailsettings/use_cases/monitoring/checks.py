"""Checks every stored mail server on schedule and announces changes. A check sends no mail.

The result of a check, its audit entry and its event for the webhook are one transaction. A check writes an audit
entry only if the server changed from working to failing or back.
"""

import asyncio
import json
import logging
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

from mailsettings.domain.access import MONITORING
from mailsettings.domain.audit_log import Action, AuditOutcome, AuditRecord
from mailsettings.domain.errors import StoreUnavailable
from mailsettings.domain.mail_server import StoredMailServer
from mailsettings.domain.monitoring import (
    CheckResult,
    EventType,
    MonitoringEvent,
    WaitingEvent,
    check_result,
    evaluate,
)
from mailsettings.store.database import SQLStore
from mailsettings.store.transaction import Transaction
from mailsettings.use_cases.lease import Lease, LeaseLost, outline, repeat_forever, shielded
from mailsettings.use_cases.mail_server_changes import target
from mailsettings.use_cases.metrics import NO_METRICS
from mailsettings.use_cases.ports import Meter, Prober

MAX_CONCURRENT_CHECKS = 4
CHECKS_PER_BATCH = 64
CONFIRM_SECONDS = 60
"""The time between a first failure and the check that confirms it; a restart of a server is over by then."""
PAUSE_SECONDS = 5.0
_log = logging.getLogger("mailsettings.monitoring")


class ScheduledChecks:
    """Scheduled checks; each server is due once in *interval* seconds. *has_webhook*: events go to the outbox."""

    def __init__(  # noqa: PLR0913  # each is one line in the composition root
        self,
        store: SQLStore,
        prober: Prober,
        lease: Lease,
        interval: int,
        *,
        has_webhook: bool,
        meter: Meter = NO_METRICS,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        self._store = store
        self._prober = prober
        self._lease = lease
        self._interval = interval
        self._has_webhook = has_webhook
        self._meter = meter
        self._pause_seconds = pause_seconds
        self._turns = asyncio.Semaphore(MAX_CONCURRENT_CHECKS)
        self._skipped_until: dict[int, float] = {}

    async def run(self) -> None:
        """Run until cancelled or until the lease is lost."""
        await repeat_forever(self.check_due, self._pause_seconds)

    async def check_due(self) -> bool:
        """Check the servers that are due; return whether any was. Raises `StoreUnavailable`, `LeaseLost`."""
        due = await shielded(self._due())
        async with asyncio.TaskGroup() as group:
            for server_id in due:
                group.create_task(self._check_in_turn(server_id))
        return bool(due)

    async def _due(self) -> list[int]:
        moment = time.monotonic()
        self._skipped_until = {one: until for one, until in self._skipped_until.items() if until > moment}
        again_after = min(CONFIRM_SECONDS, self._interval)
        async with self._store.reading() as view:
            due = await view.monitoring.due(
                self._interval, again_after, CHECKS_PER_BATCH + len(self._skipped_until)
            )
        return [server_id for server_id in due if server_id not in self._skipped_until]

    async def _check_in_turn(self, server_id: int) -> None:
        async with self._turns:
            try:
                await self._check(server_id)
            except LeaseLost:
                raise
            except StoreUnavailable:
                self._skip_for(server_id, self._pause_seconds)
            except Exception as error:  # noqa: BLE001  # an error with one server must not stop the others
                _log.error("The check of mail server %d failed unexpectedly.\n%s", server_id, outline(error))
                self._skip_for(server_id, self._interval)

    async def _check(self, server_id: int) -> None:
        stored = await shielded(self._stored(server_id))
        if stored is not None and stored.enabled:
            # Without a recipient the test stops before it sends mail.
            report = await self._prober.probe(stored.server, None)
            await shielded(self._record(stored, check_result(stored, report)))

    async def _stored(self, server_id: int) -> StoredMailServer | None:
        async with self._store.reading() as view:
            return await view.mail_servers.find(server_id)

    async def _record(self, stored: StoredMailServer, result: CheckResult) -> None:
        async with self._lease.writing() as work:
            if await work.monitoring.version_of(stored.id) != stored.version:
                return  # changed or removed meanwhile: the result is not about the stored settings
            before = await work.monitoring.state(stored.id)
            now = await work.monitoring.now()
            state, events = evaluate(before, result, await work.monitoring.secret_expiry(stored.id), now)
            await work.monitoring.save(state)
            for event in events:
                await self._note(work, event, now)
        self._meter.checked(state.health)
        for event in events:
            log_event(event)

    async def _note(self, work: Transaction, event: MonitoringEvent, now: float) -> None:
        if event.type in {EventType.FAILING, EventType.RECOVERED}:
            await work.audit.append(_audit_record(event))
        if self._has_webhook:
            waiting = WaitingEvent(f"msg_{uuid.uuid4().hex}", now, webhook_body(event, now))
            if not await work.outbox.add(waiting):
                _log.error("Too many events wait for the webhook; only the log reports %s.", event.type)

    def _skip_for(self, server_id: int, seconds: float) -> None:
        self._skipped_until[server_id] = time.monotonic() + seconds


def webhook_body(event: MonitoringEvent, now: float) -> str:
    """Return the body for the webhook: type, timestamp and data, as Standard Webhooks proposes."""
    moment = _iso(now)
    return json.dumps({"type": event.type, "timestamp": moment, "data": dict(_data(event))}, separators=(",", ":"))


def _data(event: MonitoringEvent) -> Iterator[tuple[str, object]]:
    """Return only names and numbers: no text that a mail server sent, and no secret."""
    result = event.result
    yield from {
        "id": result.server_id,
        "version": result.version,
        "host": result.host,
        "port": result.port,
    }.items()
    if event.type in {EventType.FAILING, EventType.RELAY_LOGIN_REFUSED}:
        yield from {"stage": result.stage, "code": result.code}.items()
    if event.ends_at is not None:
        yield from {"expires_at": _iso(event.ends_at), "days_left": event.days_left}.items()


def _audit_record(event: MonitoringEvent) -> AuditRecord:
    is_failing = event.type is EventType.FAILING
    details = {"code": event.result.code, "stage": event.result.stage} if is_failing else {}
    outcome = AuditOutcome.FAILED if is_failing else AuditOutcome.DONE
    return AuditRecord(
        MONITORING.name,
        MONITORING.origin,
        Action.MAIL_SERVER_MONITORING,
        target(event.result.server_id),
        outcome,
        details,
    )


def log_event(event: MonitoringEvent) -> None:
    """Write a line to the program's log with the same fields as the data of the webhook."""
    result = event.result
    words = {
        EventType.FAILING: f"fails at the stage {result.stage}: {result.code}",
        EventType.RECOVERED: "works again",
        EventType.CERTIFICATE_EXPIRING: f"has a certificate with {event.days_left} days left",
        EventType.SECRET_EXPIRING: f"has a secret with {event.days_left} days left",
        EventType.RELAY_LOGIN_REFUSED: f"refuses the login of the relay, so devices cannot send: {result.code}",
        EventType.RELAY_LOGIN_RECOVERED: "accepts the login of the relay again",
    }
    is_good = event.type in {EventType.RECOVERED, EventType.RELAY_LOGIN_RECOVERED}
    level = logging.INFO if is_good else logging.WARNING
    extra = {"event": str(event.type), "mail_server": dict(_data(event))}
    _log.log(level, "mail server %d %s", result.server_id, words[event.type], extra=extra)


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
