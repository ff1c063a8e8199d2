"""Connection tests that were let in, in real databases: counted for all replicas, by the database's clock."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import func, select, update

from mailsettings.domain.access import Permission, Principal
from mailsettings.domain.connection_test import USAGE_WINDOW_SECONDS, ProbeReport, Usage
from mailsettings.domain.errors import RequestInProgress, TooManyProbes
from mailsettings.domain.idempotency import IdempotencyKey
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, Sender
from mailsettings.store import engine
from mailsettings.store.coordination import USAGE_KEPT_SECONDS
from mailsettings.store.database import SQLStore
from mailsettings.store.encryption.sealing import Sealer
from mailsettings.store.tables import probe_admissions as table
from mailsettings.use_cases.connection_test_limits import ConnectionTestLimits
from mailsettings.use_cases.connection_tests import RunConnectionTests
from mailsettings.use_cases.denial_log import DenialLog

from support.databases import KEY
from support.fakes import ScriptedProber

LONGEST = 45
ALICE, BOB = (Principal(name, frozenset(Permission)) for name in ("alice", "bob"))
TOO_MANY = "You have too many connection tests running. Try again in 5 seconds."
SERVER = MailServer("mail.example.org", 25, ConnectionSecurity.NONE, Sender("a@example.org"))


@pytest.fixture
async def other(store: SQLStore, database_url: str) -> AsyncIterator[SQLStore]:
    """Another replica's store; the audit log has its key, as after every start."""
    await store.register_key()
    replica = SQLStore(database_url, Sealer(KEY))
    yield replica
    await replica.close()


async def share_of(store: SQLStore, principal: str = "alice") -> Usage:
    async with store.reading() as view:
        return await view.probe_admissions.of(principal, LONGEST)


async def begin(store: SQLStore, principal: str = "alice") -> str:
    async with store.writing() as work:
        return await work.probe_admissions.begin(principal)


def age_all_by(url: str, seconds: float) -> None:
    database = engine.sync_engine(url)
    with database.begin() as connection:
        connection.execute(update(table).values(begun_at=table.c.begun_at - seconds))
    database.dispose()


async def test_every_replica_knows_the_running_tests(store: SQLStore, other: SQLStore) -> None:
    first, _ = await begin(store), await begin(other)
    running = await share_of(other)
    async with store.writing() as work:
        await work.probe_admissions.end(first)
    ended = await share_of(other)

    assert [(share.running, share.begun) for share in (running, ended)] == [(2, 2), (1, 2)]
    assert -1 < running.oldest_seconds < USAGE_WINDOW_SECONDS
    assert await share_of(other, "bob") == Usage()


async def test_test_of_a_killed_process_counts_until_its_deadline(store: SQLStore, database_url: str) -> None:
    await begin(store)
    age_all_by(database_url, LONGEST - 10)
    long = await share_of(store)
    age_all_by(database_url, 11)
    dead = await share_of(store)
    age_all_by(database_url, USAGE_WINDOW_SECONDS - LONGEST)
    over = await share_of(store)

    assert [(share.running, share.begun) for share in (long, dead, over)] == [(1, 1), (0, 1), (0, 0)]
    assert LONGEST < dead.oldest_seconds < USAGE_WINDOW_SECONDS


async def test_a_clock_set_back_blocks_callers_two_minutes_only(store: SQLStore, database_url: str) -> None:
    await begin(store)
    age_all_by(database_url, 10 - USAGE_WINDOW_SECONDS)
    soon = await share_of(store)
    age_all_by(database_url, -11)
    far = await share_of(store)

    assert ((soon.running, soon.begun), far) == ((1, 1), Usage())


@pytest.mark.parametrize("age", [USAGE_KEPT_SECONDS + 1, -USAGE_KEPT_SECONDS - 10])
async def test_tests_that_no_limit_counts_are_removed_later(
    store: SQLStore, database_url: str, age: float
) -> None:
    for name in ("alice", "bob"):
        await begin(store, name)
    age_all_by(database_url, age)
    await begin(store)
    database = engine.sync_engine(database_url)
    with database.connect() as connection:
        count = connection.execute(select(func.count()).select_from(table)).scalar_one()
    database.dispose()

    assert count == 1


def probes_of(store: SQLStore, prober: ScriptedProber, limits: ConnectionTestLimits) -> RunConnectionTests:
    return RunConnectionTests(store, prober, limits, DenialLog(store))


async def outcome(
    probes: RunConnectionTests, caller: Principal, idempotency_key: IdempotencyKey | None = None
) -> str:
    try:
        await probes.given(caller, SERVER, "to@example.org", idempotency_key)
    except (TooManyProbes, RequestInProgress) as refused:
        return str(refused)
    return "made"


class Announcing(ScriptedProber):
    """Tells that it was asked, and answers when `hold` is set."""

    def __init__(self, settled: asyncio.Queue[str]) -> None:
        super().__init__(hold=asyncio.Event())
        self.settled = settled

    async def probe(self, server: MailServer, recipient: str | None, listener: object = None) -> ProbeReport:
        self.settled.put_nowait("running")
        return await super().probe(server, recipient)


async def test_concurrent_tests_on_two_replicas_share_one_limit(store: SQLStore, other: SQLStore) -> None:
    """Case 35, of several processes."""
    settled = asyncio.Queue[str]()
    prober = Announcing(settled)
    replicas = [
        probes_of(each, prober, ConnectionTestLimits(max_concurrent_per_caller=3)) for each in (store, other)
    ]

    async def ask(replica: RunConnectionTests) -> str:
        found = await outcome(replica, ALICE)
        settled.put_nowait(found)
        return found

    asked = [asyncio.create_task(ask(replica)) for replica in replicas for _ in range(3)]
    at_once = [await settled.get() for _ in asked]
    bobs = await outcome(
        probes_of(other, ScriptedProber(), ConnectionTestLimits(max_concurrent_per_caller=3)), BOB
    )
    assert prober.hold is not None
    prober.hold.set()
    await asyncio.gather(*asked)

    assert sorted(at_once) == [TOO_MANY] * 3 + ["running"] * 3
    assert bobs == "made"
    assert (await share_of(store)).running == 0


async def test_tests_per_minute_on_two_replicas_share_one_limit(store: SQLStore, other: SQLStore) -> None:
    """Case 35, of several processes."""
    prober = ScriptedProber()
    replicas = [
        probes_of(each, prober, ConnectionTestLimits(max_per_minute_per_caller=3)) for each in (store, other)
    ]
    outcomes = [await outcome(replicas[number % 2], ALICE) for number in range(5)]
    others = [await outcome(replica, BOB) for replica in replicas]

    assert [*outcomes[:3], *others] == ["made"] * 5
    assert all(each.startswith("You started too many connection tests within a minute.") for each in outcomes[3:])
    assert len(prober.asked) == 5


async def test_a_test_sent_to_two_replicas_runs_once(store: SQLStore, other: SQLStore) -> None:
    prober = ScriptedProber(ProbeReport((), milliseconds=7))
    replicas = [probes_of(each, prober, ConnectionTestLimits()) for each in (store, other)]
    outcomes = await asyncio.gather(
        *(outcome(each, ALICE, IdempotencyKey("key", b"request")) for each in replicas * 2)
    )
    later = await replicas[1].given(ALICE, SERVER, None, IdempotencyKey("key", b"request"))

    assert len(prober.asked) == 1
    assert "made" in outcomes
    assert later == prober.report
