"""Which metrics exist, who may read them, and which are missing while the database is away."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import pytest

from mailsettings.domain.access import OPERATOR, AccountKind, Origin, Permission, Principal
from mailsettings.domain.audit_log import Action, AuditEntry, AuditOutcome, AuditRecord
from mailsettings.domain.change import Replacement
from mailsettings.domain.connection_test import ProbeReport
from mailsettings.domain.errors import LoginRefused, PermissionDenied, StoreUnavailable, TooManyLogins
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, Sender
from mailsettings.domain.metrics import Exposition, Gauge
from mailsettings.domain.monitoring import Health, MonitoringState, WaitingEvent, days_left
from mailsettings.use_cases.connection_test_limits import ConnectionTestLimits
from mailsettings.use_cases.connection_tests import RunConnectionTests
from mailsettings.use_cases.denial_log import DenialLog
from mailsettings.use_cases.login import LogIn
from mailsettings.use_cases.mail_servers import ManageMailServers
from mailsettings.use_cases.metrics import NO_METRICS, NoMetrics, ReadMetrics
from mailsettings.use_cases.monitoring.gauges import ALL_GAUGES, StateGauges

from support.databases import LocalStore, add
from support.fakes import WORKS, NamesAsTokens, PlainPasswords, ScriptedProber

SERVER = MailServer("mail.example.org", 25, ConnectionSecurity.NONE, Sender("a@example.org"))
WATCHED = Gauge("watched", "Something that is watched.", {("works",): 2}, ("state",))


@dataclass
class Tally(NoMetrics):
    """Metrics that record every call."""

    told: list[object] = field(default_factory=list)

    def probed(self, source: str, report: ProbeReport) -> None:
        self.told.append((source, report))

    def login_failed(self, *, delayed: bool) -> None:
        self.told.append("delayed" if delayed else "wrong")

    async def exposition(self, gauges: Sequence[Gauge], accept: str = "", /) -> Exposition:
        return Exposition(repr([gauge.name for gauge in gauges]).encode(), accept)


async def watched() -> Sequence[Gauge]:
    return [WATCHED]


async def away() -> Sequence[Gauge]:
    raise StoreUnavailable


async def test_metrics_need_their_own_permission() -> None:
    everything_else = Principal("almost", frozenset(Permission) - {Permission.METRICS_READ})
    read = ReadMetrics(Tally(), [away])

    with pytest.raises(PermissionDenied, match="metrics:read"):
        await read(everything_else)


async def test_an_unavailable_source_is_left_out_and_others_stay() -> None:
    read = ReadMetrics(Tally(), [away, watched, away])

    assert await read(OPERATOR, "text/plain") == Exposition(b"['watched']", "text/plain")


async def test_the_status_listener_gets_all_metrics_as_text() -> None:
    assert await ReadMetrics(Tally(), [watched, away]).for_status() == b"['watched']"


async def test_each_connection_test_is_counted_by_its_source(local_store: LocalStore) -> None:
    store, tally = local_store, Tally()
    await ManageMailServers(store).put_default(OPERATOR, Replacement(SERVER))
    probes = RunConnectionTests(store, ScriptedProber(), ConnectionTestLimits(), DenialLog(store), tally)

    await probes.given(OPERATOR, SERVER, None)
    await probes.stored(OPERATOR, 1, None)
    await probes.stored(OPERATOR, None, None)

    assert tally.told == [("given", WORKS), ("stored", WORKS), ("stored", WORKS)]


async def test_only_failed_logins_are_counted(local_store: LocalStore) -> None:
    store, tally = local_store, Tally()
    log_in = LogIn(store, PlainPasswords(), NamesAsTokens(), DenialLog(store), 3600, meter=tally)

    for _ in range(5):
        with pytest.raises(LoginRefused):
            await log_in(AccountKind.USER, "nobody", "wrong", Origin())
    with pytest.raises(TooManyLogins):
        await log_in(AccountKind.USER, "nobody", "wrong", Origin())

    assert tally.told == ["wrong"] * 5 + ["delayed"]


async def test_without_metrics_nothing_is_counted() -> None:
    NO_METRICS.probed("given", WORKS)
    NO_METRICS.login_failed(delayed=False)

    assert (await ReadMetrics(NO_METRICS)(OPERATOR)).content == b""


async def keep(store: LocalStore, server_id: int, seconds_ago: float, *, ends_at: float | None) -> float:
    """Store a check of a server, which failed unless its certificate is known. Return the database's time."""
    async with store.writing() as work:
        now = await work.monitoring.now()
        since, checked_at, works = now - seconds_ago - 60, now - seconds_ago, ends_at is not None
        await work.monitoring.save(
            MonitoringState(server_id, 1, works, None, None, since, checked_at, certificate_ends_at=ends_at)
        )
    return now


async def told_by(gauges: StateGauges) -> dict[str, dict[tuple[str, ...], float]]:
    return {gauge.name: dict(gauge.values) for gauge in await gauges()}


async def test_without_servers_events_and_backups_dates_are_unknown(local_store: LocalStore) -> None:
    told = await told_by(StateGauges(local_store))

    assert {name: values for name, values in told.items() if values} == {
        "monitored_servers": dict.fromkeys([(each.value,) for each in Health], 0),
        "monitoring_active": {(): 0},
        "monitoring_interval_seconds": {(): 0},
        "webhook_waiting_events": {(): 0},
    }
    assert {*told} | {"mail_server_info"} == {name for name, *_ in ALL_GAUGES}


async def test_gauges_name_each_mail_server_by_its_id(local_store: LocalStore) -> None:
    for _ in range(3):
        await add(local_store, SERVER)
    now = await keep(local_store, 1, 100, ends_at=2_000_000_000.0)
    await keep(local_store, 2, 400, ends_at=None)

    told = await told_by(StateGauges(local_store, 900))

    assert told["mail_server_failing"] == {("1",): 0, ("2",): 1, ("3",): 0}
    assert told["mail_server_certificate_days_left"] == {("1",): days_left(2_000_000_000.0, now)}
    assert told["certificate_days_left"] == {(): days_left(2_000_000_000.0, now)}
    assert told["mail_server_last_check_timestamp_seconds"].keys() == {("1",), ("2",)}
    assert told["monitoring_last_check_timestamp_seconds"][()] == pytest.approx(now - 100, abs=5)
    assert told["monitoring_oldest_check_timestamp_seconds"][()] == pytest.approx(now - 400, abs=5)
    assert told["monitoring_interval_seconds"] == {(): 900}


async def test_days_left_of_secrets_may_be_negative(local_store: LocalStore) -> None:
    await add(local_store, SERVER)
    async with local_store.writing() as work:
        await work.monitoring.set_secret_expiry(1, date(2020, 1, 1))

    told = await told_by(StateGauges(local_store))

    assert told["mail_server_secret_days_left"][("1",)] < 0
    assert told["secret_days_left"][()] < 0


async def test_only_a_setting_shows_names_and_hosts(local_store: LocalStore) -> None:
    await ManageMailServers(local_store).put_default(OPERATOR, Replacement(SERVER))

    told = await told_by(StateGauges(local_store, with_names=True))
    ((labels, value),) = told["mail_server_info"].items()

    assert (labels[0], labels[2], value) == ("1", "mail.example.org", 1)
    assert "mail.example.org" not in str(await told_by(StateGauges(local_store)))


async def test_waiting_events_are_counted_from_the_oldest(local_store: LocalStore) -> None:
    async with local_store.writing() as work:
        for number in (1, 2, 3):
            await work.outbox.add(WaitingEvent(f"msg_{number}", 5000.0 - number, "{}"))

    told = await told_by(StateGauges(local_store))

    assert told["webhook_waiting_events"] == {(): 3}
    assert told["webhook_oldest_event_timestamp_seconds"] == {(): 4997.0}


async def test_only_a_finished_backup_counts(local_store: LocalStore) -> None:
    async def note(outcome: AuditOutcome) -> AuditEntry:
        async with local_store.writing() as work:
            record = AuditRecord("operator", Origin(), Action.BACKUP_MAKE, "1f", outcome, {})
            return await work.audit.append(record)

    await note(AuditOutcome.BEGUN)
    before = await told_by(StateGauges(local_store))
    done = await note(AuditOutcome.DONE)
    await note(AuditOutcome.BEGUN)
    after = await told_by(StateGauges(local_store))

    assert before["last_backup_timestamp_seconds"] == {}
    assert after["last_backup_timestamp_seconds"] == {(): datetime.fromisoformat(done.at).timestamp()}
