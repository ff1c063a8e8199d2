"""Which metrics exist, who may read them, and which are missing while the database is away."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import pytest

from mailsettings.domain.access import OPERATOR, AccountKind, Origin, Permission, Principal
from mailsettings.domain.change import Replacement
from mailsettings.domain.connection_test import ProbeReport
from mailsettings.domain.errors import LoginRefused, PermissionDenied, StoreUnavailable, TooManyLogins
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, Sender
from mailsettings.domain.metrics import Gauge
from mailsettings.domain.monitoring import Health, MonitoringSummary
from mailsettings.use_cases.connection_test_limits import ConnectionTestLimits
from mailsettings.use_cases.connection_tests import RunConnectionTests
from mailsettings.use_cases.denial_log import DenialLog
from mailsettings.use_cases.login import LogIn
from mailsettings.use_cases.mail_servers import ManageMailServers
from mailsettings.use_cases.metrics import NO_METRICS, NoMetrics, ReadMetrics
from mailsettings.use_cases.monitoring_status import MonitoringGauges, MonitoringStatus, gauges

from support.databases import LocalStore
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

    async def exposition(self, gauges: Sequence[Gauge], /) -> bytes:
        return repr([gauge.name for gauge in gauges]).encode()


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
    assert await ReadMetrics(Tally(), [away, watched, away])(OPERATOR) == b"['watched']"


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

    assert await ReadMetrics(NO_METRICS)(OPERATOR) == b""


NOW = 1_795_000_000.0
SUMMARY = MonitoringSummary(
    NOW,
    {Health.WORKING: 4, Health.FAILING: 1, Health.UNCONFIRMED: 0, Health.UNCHECKED: 0},
    certificate_ends_at=NOW + 12.5 * 86400,
    secret_ends_on=None,
    checked_at=NOW - 5,
    has_leader=True,
)


class Known(MonitoringStatus):
    """As if this were in the database."""

    def __init__(self) -> None:
        pass

    async def summary(self) -> MonitoringSummary:
        return SUMMARY


async def test_monitoring_gauges_cover_all_servers_and_omit_unknown_dates() -> None:
    told = {gauge.name: dict(gauge.values) for gauge in await MonitoringGauges(Known())()}

    assert told == {
        "monitored_servers": {("working",): 4, ("failing",): 1, ("unconfirmed",): 0, ("unchecked",): 0},
        "certificate_days_left": {(): 12},
        "secret_days_left": {},
        "monitoring_last_check_timestamp_seconds": {(): NOW - 5},
        "monitoring_active": {(): 1},
    }


def test_the_gauges_show_the_fewest_days_left_even_negative() -> None:
    over = replace(SUMMARY, secret_ends_on=date(2026, 11, 1))

    (left,) = [gauge for gauge in gauges(over) if gauge.name == "secret_days_left"]

    assert left.values[()] < 0
