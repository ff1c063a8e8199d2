"""Checks on schedule: by one process, told once, and never after the lease is lost."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text

from mailsettings.domain.access import OPERATOR, Principal
from mailsettings.domain.audit_log import Action
from mailsettings.domain.connection_test import FailureCode, ProbeFailure, ProbeReport, ProbeStage
from mailsettings.domain.errors import InvalidSetting, MailServerNotFound, PermissionDenied, StoreUnavailable
from mailsettings.domain.mail_server import (
    ConnectionSecurity,
    MailServer,
    NoAuthentication,
    PasswordAuthentication,
    Sender,
)
from mailsettings.domain.monitoring import RETRY_DELAYS_SECONDS, Health, WaitingEvent
from mailsettings.domain.values import Secret
from mailsettings.store import coordination, engine
from mailsettings.store.database import SQLStore
from mailsettings.store.encryption.sealing import Sealer
from mailsettings.store.transaction import Transaction
from mailsettings.use_cases.lease import Lease, LeaseLost
from mailsettings.use_cases.metrics import NoMetrics
from mailsettings.use_cases.monitoring.checks import MAX_CONCURRENT_CHECKS, ScheduledChecks
from mailsettings.use_cases.monitoring.outbox import EventDelivery
from mailsettings.use_cases.monitoring.service import LEASE_NAME, MonitoringService
from mailsettings.use_cases.monitoring.status import MonitoringStatus

from support.canary import Canary, text_of
from support.databases import KEY, all_of
from support.fakes import WORKS, ScriptedProber
from support.timeouts import GUARD_SECONDS, scaled

SERVER = MailServer("mail.example.org", 25, ConnectionSecurity.NONE, Sender("a@b.example"))
REFUSED = ProbeFailure(FailureCode.CONNECTION_REFUSED, ProbeStage.CONNECT, "canary-title", "canary-explanation")
FAILS = ProbeReport((), REFUSED)
INTERVAL = 3600


@dataclass
class RecordingWebhookSender:
    """Accepts each event, or fails with a given problem."""

    problem: str | None = None
    told: list[WaitingEvent] = field(default_factory=list)

    async def deliver(self, event: WaitingEvent) -> str | None:
        self.told.append(event)
        return self.problem


@dataclass
class Counted(NoMetrics):
    found: list[Health] = field(default_factory=list)
    deliveries: list[bool] = field(default_factory=list)

    def checked(self, found: Health) -> None:
        self.found.append(found)

    def delivered(self, *, taken: bool) -> None:
        self.deliveries.append(taken)


@dataclass
class Duty:
    """A monitoring process that a test drives step by step."""

    store: SQLStore
    url: str
    prober: ScriptedProber
    meter: Counted
    lease: Lease
    monitoring: ScheduledChecks

    async def check(self, *reports: ProbeReport) -> None:
        """One check after the other, as if the time between them had gone by."""
        for self.prober.report in reports:
            sql(
                self.url,
                f"UPDATE watch_states SET checked_at = checked_at - {INTERVAL}, since = since - {INTERVAL}",
            )
            assert await self.monitoring.check_due()

    async def waiting(self) -> list[dict[str, object]]:
        async with self.store.reading() as view:
            return [json.loads(event.body) for event in await view.outbox.due(100)]

    async def entries(
        self, action: Action = Action.MAIL_SERVER_MONITORING
    ) -> list[tuple[str | None, str, object]]:
        async with self.store.reading() as view:
            entries = await view.audit.entries(0, 1000)
        records = [entry.record for entry in entries if entry.record.action == action]
        return [(record.actor, record.outcome, record.details) for record in records]


def sql(url: str, statement: str) -> None:
    database = engine.sync_engine(url)
    with database.begin() as connection:
        connection.execute(text(statement))
    database.dispose()


def ends_of_leases(url: str) -> list[float]:
    database = engine.sync_engine(url)
    with database.begin() as connection:
        ends = [float(end) for end in connection.execute(text("SELECT until FROM leases")).scalars()]
    database.dispose()
    return ends


async def add(store: SQLStore, count: int = 1, server: MailServer = SERVER) -> None:
    async with store.writing() as work:
        for _ in range(count):
            await work.mail_servers.add(server)


@pytest.fixture
async def duty(store: SQLStore, database_url: str) -> Duty:
    prober, meter, lease = ScriptedProber(), Counted(), Lease(store, LEASE_NAME)
    monitoring = ScheduledChecks(store, prober, lease, INTERVAL, has_webhook=True, meter=meter)
    assert await lease._taken() is not None  # noqa: SLF001  # what its loop begins with
    return Duty(store, database_url, prober, meter, lease, monitoring)


async def test_a_failure_is_recorded_once_in_logs_and_outbox(duty: Duty, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "mailsettings.monitoring")
    await add(duty.store)
    await duty.check(WORKS, FAILS, FAILS, FAILS, WORKS, WORKS)

    subject = {"id": 1, "version": 1, "host": "mail.example.org", "port": 25}
    why = {"stage": "connect", "code": "connection_refused"}
    assert [(one["type"], one["data"]) for one in await duty.waiting()] == [
        ("mail_server.failing", subject | why),
        ("mail_server.recovered", subject),
    ]
    assert await duty.entries() == [("watch", "failed", why), ("watch", "done", {})]
    lines = [record for record in caplog.records if hasattr(record, "event")]
    assert [record.getMessage() for record in lines] == [
        "mail server 1 fails at the stage connect: connection_refused",
        "mail server 1 works again",
    ]
    assert [record.mail_server for record in lines] == [subject | why, subject]  # type: ignore[attr-defined]  # extra
    assert "canary" not in f"{await duty.waiting()} {await duty.entries()} {[*map(text_of, caplog.records)]}"
    assert duty.meter.found == [
        *(Health.WORKING, Health.UNCONFIRMED, Health.FAILING, Health.FAILING, Health.WORKING, Health.WORKING)
    ]


async def test_checks_send_no_mail_and_write_few_entries(duty: Duty) -> None:
    await add(duty.store, 3)
    await duty.check(*[WORKS] * 5)

    assert len(duty.prober.asked) == 15
    assert {recipient for _, recipient in duty.prober.asked} == {None}
    assert (await duty.entries(), await duty.waiting()) == ([], [])


async def test_without_a_webhook_no_event_waits(duty: Duty) -> None:
    await add(duty.store)
    duty.monitoring = ScheduledChecks(duty.store, duty.prober, duty.lease, INTERVAL, has_webhook=False)
    await duty.check(FAILS, FAILS)

    assert len(await duty.entries()) == 1
    assert await duty.waiting() == []


async def test_a_result_for_changed_or_removed_settings_is_discarded(duty: Duty) -> None:
    await add(duty.store, 2)
    duty.prober.hold = asyncio.Event()
    checking = asyncio.create_task(duty.monitoring.check_due())
    await until(lambda: has_asked(duty.prober, 2))
    async with duty.store.writing() as work:
        await work.mail_servers.replace(1, replace(SERVER, port=587))
        await work.mail_servers.delete(2)
    duty.prober.hold.set()
    await checking

    async with duty.store.reading() as view:
        assert [(one.server_id, one.health) for one in await view.monitoring.list()] == [(1, Health.UNCHECKED)]
        assert await view.monitoring.due(INTERVAL, 60, 10) == [1]


async def test_a_server_removed_before_its_check_is_not_checked(duty: Duty) -> None:
    await add(duty.store, MAX_CONCURRENT_CHECKS + 1)
    duty.prober.hold = asyncio.Event()
    checking = asyncio.create_task(duty.monitoring.check_due())
    await until(lambda: has_asked(duty.prober, MAX_CONCURRENT_CHECKS))
    async with duty.store.writing() as work:
        await work.mail_servers.delete(MAX_CONCURRENT_CHECKS + 1)
    duty.prober.hold.set()
    await checking

    assert len(duty.prober.asked) == MAX_CONCURRENT_CHECKS


async def test_unwritten_result_is_found_again_by_a_later_check(
    duty: Duty, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(duty.store)
    duty.monitoring = ScheduledChecks(
        duty.store, duty.prober, duty.lease, INTERVAL, has_webhook=True, pause_seconds=0.05
    )
    with monkeypatch.context() as patch:
        patch.setattr(duty.store, "writing", never)
        assert await duty.monitoring.check_due()
    assert duty.meter.found == []
    await until(duty.monitoring.check_due)

    async with duty.store.reading() as view:
        assert [one.health for one in await view.monitoring.list()] == [Health.WORKING]


async def test_an_event_that_finds_the_outbox_full_is_logged(
    duty: Duty, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await add(duty.store)
    monkeypatch.setattr(coordination, "MAX_WAITING_EVENTS", 0)
    await duty.check(FAILS, FAILS)

    assert "Too many events wait for the webhook; only the log reports mail_server.failing." in caplog.text
    assert "mail server 1 fails at the stage connect" in caplog.text
    assert len(await duty.entries()) == 1


async def test_a_bounded_number_of_checks_runs_at_once(duty: Duty) -> None:
    await add(duty.store, 3 * MAX_CONCURRENT_CHECKS)
    together, at_once = asyncio.Barrier(MAX_CONCURRENT_CHECKS), [0]

    class Crowd:
        async def probe(self, server: MailServer, recipient: str | None, listener: object = None) -> ProbeReport:
            at_once.append(at_once[-1] + 1)
            await together.wait()
            at_once.append(at_once[-1] - 1)
            return WORKS

    async with asyncio.timeout(GUARD_SECONDS):
        await ScheduledChecks(duty.store, Crowd(), duty.lease, INTERVAL, has_webhook=True).check_due()

    assert (max(at_once), len(at_once)) == (MAX_CONCURRENT_CHECKS, 6 * MAX_CONCURRENT_CHECKS + 1)


async def test_a_stalled_holder_that_lost_its_lease_writes_nothing(duty: Duty) -> None:
    await add(duty.store)
    duty.prober.hold = asyncio.Event()
    checking = asyncio.create_task(duty.monitoring.check_due())
    await until(lambda: has_asked(duty.prober))
    sql(duty.url, "UPDATE leases SET until = until - 3600")
    duty.prober.hold.set()
    with pytest.raises(ExceptionGroup) as lost:
        await checking

    assert lost.group_contains(LeaseLost)
    async with duty.store.reading() as view:
        assert (await view.monitoring.list())[0].health is Health.UNCHECKED


async def test_an_unexpected_error_is_logged_once_with_its_traceback(
    duty: Duty, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await add(duty.store)
    await add(duty.store, 1, replace(SERVER, host="bad.example.org"))
    good, message = duty.prober.probe, "canary"

    async def probe(server: MailServer, recipient: str | None, listener: object = None) -> ProbeReport:
        if server.host.startswith("bad"):
            raise ValueError(message)
        return await good(server, recipient)

    monkeypatch.setattr(duty.prober, "probe", probe)
    assert await duty.monitoring.check_due()
    assert not await duty.monitoring.check_due()

    async with duty.store.reading() as view:
        assert [one.health for one in await view.monitoring.list()] == [Health.WORKING, Health.UNCHECKED]
    (said,) = [message for message in caplog.messages if "unexpected" in message]
    assert said.startswith("The check of mail server 2 failed unexpectedly.\nTraceback (most recent call last):")
    assert f'File "{__file__}"' in said
    assert said.endswith("ValueError")
    assert "canary" not in caplog.text


async def test_expiry_of_a_secret_is_announced_with_its_days(duty: Duty) -> None:
    server = replace(SERVER, authentication=PasswordAuthentication("a", Secret("canary-17")))
    await add(duty.store, 1, server)
    day = (datetime.now(UTC) + timedelta(days=5)).date()
    await MonitoringStatus(duty.store).set_secret_expiry(OPERATOR, 1, day)
    await duty.check(WORKS, WORKS)

    (event,) = await duty.waiting()
    assert event["type"] == "mail_server.secret_expiring"
    assert isinstance(event["data"], dict)
    assert (event["data"]["days_left"], event["data"]["expires_at"]) == (4, f"{day}T00:00:00Z")
    details = {"secret ends on": {"before": None, "after": str(day)}}
    assert await duty.entries(Action.MAIL_SERVER_SECRET_EXPIRY) == [("operator", "done", details)]
    assert "canary" not in f"{event} {await duty.entries(Action.MAIL_SERVER_SECRET_EXPIRY)}"


async def test_a_reader_sees_the_health_of_each_server(duty: Duty) -> None:
    await add(duty.store, 2)
    await duty.check(WORKS)
    status = MonitoringStatus(duty.store)

    assert [one.health for one in await status.list(OPERATOR)] == [Health.WORKING] * 2


async def test_secret_expiry_needs_write_permission_and_a_stored_secret(store: SQLStore) -> None:
    status = MonitoringStatus(store)
    with pytest.raises(MailServerNotFound):
        await status.set_secret_expiry(OPERATOR, None, date(2030, 1, 1))
    await add(store, 1, replace(SERVER, authentication=NoAuthentication()))
    with pytest.raises(InvalidSetting):
        await status.set_secret_expiry(OPERATOR, 1, date(2030, 1, 1))
    with pytest.raises(PermissionDenied):
        await status.set_secret_expiry(Principal("nobody", frozenset()), 1, None)
    with pytest.raises(PermissionDenied):
        await status.list(Principal("nobody", frozenset()))


async def deliver(duty: Duty, webhook_sender: RecordingWebhookSender) -> bool:
    delivery = EventDelivery(duty.store, webhook_sender, duty.lease, meter=duty.meter)
    return await delivery.deliver_due()


async def put(duty: Duty, attempts: int = 0) -> None:
    async with duty.store.writing() as work:
        await work.outbox.add(WaitingEvent("msg_1", await work.outbox.now(), '{"a":1}', attempts))


async def test_a_delivered_event_is_not_sent_again(duty: Duty) -> None:
    await put(duty)
    webhook_sender = RecordingWebhookSender()

    assert await deliver(duty, webhook_sender)
    assert not await deliver(duty, webhook_sender)
    assert [one.id for one in webhook_sender.told] == ["msg_1"]
    assert duty.meter.deliveries == [True]


async def test_undelivered_event_is_retried_with_its_id_then_dropped(
    duty: Duty, caplog: pytest.LogCaptureFixture
) -> None:
    await put(duty)
    webhook_sender = RecordingWebhookSender("the answer has the status 500")
    for _ in range(len(RETRY_DELAYS_SECONDS) + 1):
        assert await deliver(duty, webhook_sender)
        assert not await deliver(duty, webhook_sender)
        sql(duty.url, "UPDATE webhook_events SET next_at = next_at - 100000")

    assert not await deliver(duty, webhook_sender)
    assert {(one.id, one.body) for one in webhook_sender.told} == {("msg_1", '{"a":1}')}
    assert len(webhook_sender.told) == len(RETRY_DELAYS_SECONDS) + 1
    last = caplog.records[-1]
    words = "msg_1 was not delivered and is given up after 10 attempts: the answer has the status 500."
    assert (last.levelno, last.getMessage()) == (logging.ERROR, words)


async def test_event_delivery_that_lost_the_lease_changes_nothing(duty: Duty) -> None:
    await put(duty)
    sql(duty.url, "UPDATE leases SET until = until - 3600")

    with pytest.raises(LeaseLost):
        await deliver(duty, RecordingWebhookSender())
    assert len(await duty.waiting()) == 1


@asynccontextmanager
async def replicas(url: str, count: int, prober: ScriptedProber) -> AsyncIterator[list[MonitoringService]]:
    stores = [SQLStore(url, Sealer(KEY)) for _ in range(count)]
    yield [MonitoringService(store, prober, INTERVAL, lease_seconds=3, pause_seconds=0.05) for store in stores]
    for store in stores:
        await store.close()


async def until(found: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(GUARD_SECONDS):
        while True:
            if await found():
                return
            await asyncio.sleep(0.02)


async def test_one_of_three_replicas_checks_and_another_takes_over(store: SQLStore, database_url: str) -> None:
    await add(store, 4)
    prober = ScriptedProber()

    async def all_checked() -> bool:
        async with store.reading() as view:
            return (await view.monitoring.summary()).servers[Health.WORKING] == len(
                await all_of(view.mail_servers)
            )

    async with replicas(database_url, 3, prober) as (first, second, third):
        async with second.running(), third.running():
            async with first.running():
                await until(all_checked)
            assert len(prober.asked) == 4
            await add(store, 3)
            await until(all_checked)
        async with store.reading() as view:
            has_leader = (await view.monitoring.summary()).has_leader

    assert (len(prober.asked), has_leader) == (7, False)


async def test_the_service_finds_events_and_sends_them(store: SQLStore) -> None:
    server = replace(SERVER, authentication=PasswordAuthentication("a", Secret("canary-17")))
    await add(store, 1, server)
    await MonitoringStatus(store).set_secret_expiry(OPERATOR, 1, date(2020, 1, 1))
    webhook_sender = RecordingWebhookSender()

    async def told() -> bool:
        return bool(webhook_sender.told)

    async with MonitoringService(store, ScriptedProber(), INTERVAL, webhook_sender, pause_seconds=0.05).running():
        await until(told)
    assert json.loads(webhook_sender.told[0].body)["type"] == "mail_server.secret_expiring"


async def test_a_lost_lease_ends_the_work_a_renewed_continues(
    store: SQLStore, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mailsettings.monitoring")
    ended, seen = asyncio.Event(), set[float]()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def renewed() -> bool:
        seen.update(ends_of_leases(database_url))
        return len(seen) > 1

    keeping = asyncio.create_task(Lease(store, LEASE_NAME, scaled(4.5)).while_held(work))
    await until(renewed)
    assert not ended.is_set()
    sql(database_url, "UPDATE leases SET holder = 'other', until = until + 3600")
    async with asyncio.timeout(GUARD_SECONDS):
        await ended.wait()
    await until(lambda: says(caplog, "This process stopped the scheduled checks"))
    keeping.cancel()
    await asyncio.wait({keeping})

    async with store.writing() as held:
        assert await held.leases.holds(LEASE_NAME, "other")


async def test_an_unexpected_error_is_logged_and_monitoring_goes_on(
    store: SQLStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await add(store)
    prober, stumbles = ScriptedProber(), [ValueError("canary")]
    reading = store.reading

    def stumbling() -> AbstractAsyncContextManager[Transaction]:
        if stumbles:
            raise stumbles.pop()
        return reading()

    monkeypatch.setattr(store, "reading", stumbling)
    async with MonitoringService(store, prober, INTERVAL, lease_seconds=0.6, pause_seconds=0.05).running():
        await until(lambda: has_asked(prober))

    (said,) = [message for message in caplog.messages if "unexpected" in message]
    assert said.startswith("Scheduled checks failed unexpectedly; retrying.\nTraceback")
    assert f'File "{__file__}"' in said
    assert "canary" not in caplog.text


@pytest.mark.parametrize("answer_is_lost", [False, True])
async def test_a_lease_taken_during_shutdown_is_released(
    store: SQLStore, monkeypatch: pytest.MonkeyPatch, answer_is_lost: bool
) -> None:
    writing, taking, may_commit = store.writing, asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def slow() -> AsyncIterator[object]:
        first = not taking.is_set()
        async with writing() as work:
            yield work
            taking.set()
            await may_commit.wait()
        if first and answer_is_lost:
            raise StoreUnavailable

    async def work() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(store, "writing", slow)
    keeping = asyncio.create_task(Lease(store, LEASE_NAME).while_held(work))
    await taking.wait()
    keeping.cancel()
    may_commit.set()
    await asyncio.wait({keeping})

    assert keeping.cancelled()
    assert not await has_leader(store)


async def test_a_running_check_is_cancelled_at_shutdown(store: SQLStore) -> None:
    await add(store)
    prober = ScriptedProber(hold=asyncio.Event())
    monitoring = MonitoringService(store, prober, INTERVAL)
    async with asyncio.timeout(GUARD_SECONDS), monitoring.running():
        await until(lambda: has_asked(prober))

    async with store.reading() as view:
        assert not (await view.monitoring.summary()).has_leader


async def test_cancelling_monitoring_at_any_moment_never_blocks_writers(store: SQLStore) -> None:
    await add(store, MAX_CONCURRENT_CHECKS)
    """A lock that is left behind keeps writers waiting until they give up with `StoreUnavailable`."""
    prober = ScriptedProber()
    for number in range(12):
        async with MonitoringService(store, prober, 60, lease_seconds=3, pause_seconds=0.001).running():
            await asyncio.sleep(number * 0.007)  # each time at another point of its work
        await add(store)


async def test_monitoring_waits_for_an_unavailable_database(
    store: SQLStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    prober, writing, away = ScriptedProber(), store.writing, asyncio.Event()

    @asynccontextmanager
    async def sometimes_away() -> AsyncIterator[object]:
        if away.is_set():
            raise StoreUnavailable
        async with writing() as work:
            yield work

    monkeypatch.setattr(store, "writing", sometimes_away)
    async with MonitoringService(store, prober, INTERVAL, lease_seconds=2, pause_seconds=0.05).running():
        await until(lambda: has_leader(store))
        away.set()
        await until(lambda: lacks(store))
        away.clear()
        await add(store)
        await until(lambda: has_asked(prober))

    assert [record.getMessage() for record in caplog.records].count(
        "The database is away; scheduled checks continue when it is back."
    ) == 1


async def has_leader(store: SQLStore) -> bool:
    async with store.reading() as view:
        return (await view.monitoring.summary()).has_leader


async def says(caplog: pytest.LogCaptureFixture, words: str) -> bool:
    return words in caplog.text


@asynccontextmanager
async def never() -> AsyncIterator[None]:
    raise StoreUnavailable
    yield


async def lacks(store: SQLStore) -> bool:
    return not await has_leader(store)


async def has_asked(prober: ScriptedProber, times: int = 1) -> bool:
    return len(prober.asked) >= times


async def test_no_secret_leaves_in_an_event(duty: Duty, canary: Canary) -> None:
    await add(duty.store, 1, replace(SERVER, authentication=PasswordAuthentication("a", Secret(canary.secret))))
    await MonitoringStatus(duty.store).set_secret_expiry(OPERATOR, 1, date(2020, 1, 1))
    await duty.check(FAILS, FAILS, WORKS)

    assert len(await duty.waiting()) == 3
    canary.assert_nowhere(json.dumps(await duty.waiting()), repr(await duty.entries()))
