"""A repeated request with its key gets the first answer and does nothing; a refused request may be repeated."""

import asyncio
import logging
from dataclasses import replace

import pytest
from sqlalchemy import delete, update

from mailsettings.domain.access import Origin, Permission, Principal
from mailsettings.domain.audit_log import AuditOutcome
from mailsettings.domain.change import Replacement
from mailsettings.domain.connection_test import FailureCode, ProbeReport, ProbeStage
from mailsettings.domain.errors import (
    IdempotencyKeyReused,
    MailServerNotFound,
    OutcomeUnknown,
    PermissionDenied,
    RequestInProgress,
    StoreUnavailable,
    TooManyProbes,
)
from mailsettings.domain.findings import failure
from mailsettings.domain.idempotency import IdempotencyKey
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, Sender
from mailsettings.store.idempotency import SQLIdempotency
from mailsettings.store.tables import idempotency_keys, probe_admissions
from mailsettings.use_cases.connection_test_limits import ConnectionTestLimits
from mailsettings.use_cases.connection_tests import RunConnectionTests
from mailsettings.use_cases.denial_log import DenialLog
from mailsettings.use_cases.idempotency import RETRY_AFTER_SECONDS
from mailsettings.use_cases.mail_servers import ManageMailServers

from support.databases import LocalStore, records, stored_in
from support.fakes import WORKS, ScriptedProber
from support.timeouts import GUARD_SECONDS

ALICE = Principal("alice", frozenset(Permission), Origin("192.0.2.1"))
BOB = replace(ALICE, name="bob")
SERVER = MailServer("mail.example.org", 25, ConnectionSecurity.NONE, Sender("a@example.org"))
WANTED = Replacement(SERVER)
LIMITS = ConnectionTestLimits(max_concurrent_per_caller=1, max_per_minute_per_caller=2, deadline_seconds=15)
FAILED = ProbeReport((), failure(FailureCode.HOST_NOT_FOUND, ProbeStage.RESOLVE))


def idempotency_key() -> IdempotencyKey:
    """The same request under the same key, as each new arrival of it."""
    return IdempotencyKey("key", b"request")


@pytest.fixture
def store(local_store: LocalStore) -> LocalStore:
    return local_store


@pytest.fixture
def probes(store: LocalStore, prober: ScriptedProber) -> RunConnectionTests:
    return RunConnectionTests(store, prober, LIMITS, DenialLog(store))


async def outcomes(store: LocalStore) -> list[str]:
    return [record.outcome for record in await records(store)]


async def test_a_repeated_create_is_done_and_audited_once(store: LocalStore) -> None:
    keep, first, again = ManageMailServers(store), idempotency_key(), idempotency_key()
    ids = [await keep.create(ALICE, WANTED, each) for each in (first, again)]
    others = [await keep.create(BOB, WANTED, idempotency_key()), await keep.create(ALICE, WANTED)]

    assert (ids, others) == ([1, 1], [2, 3])
    assert (first.replayed, again.replayed) == (False, True)
    assert await outcomes(store) == [AuditOutcome.DONE] * 3


async def test_another_request_with_the_same_key_is_refused(store: LocalStore) -> None:
    keep = ManageMailServers(store)
    await keep.create(ALICE, WANTED, idempotency_key())
    with pytest.raises(IdempotencyKeyReused):
        await keep.create(ALICE, WANTED, IdempotencyKey("key", b"another"))

    assert [stored.id for stored in await stored_in(store)] == [1]
    assert await outcomes(store) == [AuditOutcome.DONE, AuditOutcome.REFUSED]


@pytest.mark.parametrize("report", [WORKS, FAILED], ids=["works", "failed"])
async def test_a_repeated_test_runs_once_and_reports_the_same(
    probes: RunConnectionTests, store: LocalStore, prober: ScriptedProber, report: ProbeReport
) -> None:
    prober.report = report
    first = await probes.given(ALICE, SERVER, "to@example.org", idempotency_key())
    prober.report = ProbeReport((), milliseconds=99)
    again = idempotency_key()

    assert first == await probes.given(ALICE, SERVER, "to@example.org", again) == report
    assert again.replayed
    assert len(prober.asked) == 1
    assert await outcomes(store) == [
        AuditOutcome.BEGUN,
        AuditOutcome.FAILED if report is FAILED else AuditOutcome.DONE,
    ]


async def test_repeat_is_answered_although_the_test_limit_is_reached(
    probes: RunConnectionTests, prober: ScriptedProber
) -> None:
    await probes.given(ALICE, SERVER, None, idempotency_key())
    await probes.given(ALICE, SERVER, None)
    with pytest.raises(TooManyProbes):
        await probes.given(ALICE, SERVER, None, IdempotencyKey("new", b"request"))

    assert await probes.given(ALICE, SERVER, None, idempotency_key()) == prober.report


async def test_a_test_that_ends_during_its_repeat_runs_once(
    probes: RunConnectionTests, store: LocalStore, prober: ScriptedProber, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await probes.given(ALICE, SERVER, None, idempotency_key())
    asked, previous = [], SQLIdempotency.previous

    async def not_yet_at_first(idempotency: SQLIdempotency, caller: str, request: IdempotencyKey) -> object:
        asked.append(request)
        return None if len(asked) == 1 else await previous(idempotency, caller, request)

    monkeypatch.setattr(SQLIdempotency, "previous", not_yet_at_first)

    assert await probes.given(ALICE, SERVER, None, idempotency_key()) == first
    assert len(prober.asked) == 1


async def test_a_report_is_repeated_although_the_server_is_gone(
    probes: RunConnectionTests, store: LocalStore, prober: ScriptedProber
) -> None:
    keep = ManageMailServers(store)
    await keep.put_default(ALICE, WANTED)
    reports = [await probes.stored(ALICE, None, None, idempotency_key())]
    await keep.delete_default(ALICE)
    reports.append(await probes.stored(ALICE, None, None, idempotency_key()))

    assert reports == [WORKS, WORKS]
    assert len(prober.asked) == 1


class Announcing(ScriptedProber):
    def __init__(self) -> None:
        super().__init__(hold=asyncio.Event())
        self.begun = asyncio.Event()

    async def probe(self, server: MailServer, recipient: str | None, listener: object = None) -> ProbeReport:
        self.begun.set()
        return await super().probe(server, recipient)


async def test_a_repeat_during_the_first_request_has_to_wait(store: LocalStore) -> None:
    prober = Announcing()
    probes = RunConnectionTests(store, prober, LIMITS, DenialLog(store))
    first = asyncio.create_task(probes.given(ALICE, SERVER, None, idempotency_key()))
    await prober.begun.wait()
    async with asyncio.timeout(GUARD_SECONDS):
        with pytest.raises(RequestInProgress) as refused:
            await probes.given(ALICE, SERVER, None, idempotency_key())
    assert prober.hold is not None
    prober.hold.set()

    assert await first == await probes.given(ALICE, SERVER, None, idempotency_key())
    assert refused.value.retry_after_seconds == RETRY_AFTER_SECONDS
    assert (await records(store))[1].details == {"problem": "RequestInProgress"}
    assert len(prober.asked) == 1


class Crash(BaseException):
    """What ends a process cannot be caught by what it was about to do."""


class Crashing(ScriptedProber):
    async def probe(self, server: MailServer, recipient: str | None, listener: object = None) -> ProbeReport:
        raise Crash


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (0, RequestInProgress),
        (44, RequestInProgress),
        (45, OutcomeUnknown),
        (-44, RequestInProgress),
        (-46, OutcomeUnknown),
    ],
)
async def test_a_test_of_a_killed_process_is_never_repeated(
    store: LocalStore, prober: ScriptedProber, age: float, expected: type[Exception]
) -> None:
    """A clock that was put back makes it begin in the future, which does not keep it running."""
    with pytest.raises(Crash):
        await RunConnectionTests(store, Crashing(), LIMITS, DenialLog(store)).given(
            ALICE, SERVER, None, idempotency_key()
        )
    store.sql(update(idempotency_keys).values(created_at=idempotency_keys.c.created_at - age))
    with pytest.raises(expected):
        await RunConnectionTests(store, prober, LIMITS, DenialLog(store)).given(
            ALICE, SERVER, None, idempotency_key()
        )

    assert prober.asked == []


class GoesAway(ScriptedProber):
    def __init__(self, store: LocalStore) -> None:
        super().__init__()
        self.store = store

    async def probe(self, server: MailServer, recipient: str | None, listener: object = None) -> ProbeReport:
        self.store.away = True
        return await super().probe(server, recipient)


async def test_test_with_an_unrecorded_end_is_reported_not_repeated(
    store: LocalStore, caplog: pytest.LogCaptureFixture
) -> None:
    prober = GoesAway(store)
    probes = RunConnectionTests(store, prober, LIMITS, DenialLog(store))
    with caplog.at_level(logging.ERROR):
        report = await probes.given(ALICE, SERVER, None, idempotency_key())
    store.away = False
    with pytest.raises(RequestInProgress):
        await probes.given(ALICE, SERVER, None, idempotency_key())

    assert report == WORKS
    assert len(prober.asked) == 1
    assert len(caplog.messages) == 1


async def test_a_refusal_is_not_remembered(
    probes: RunConnectionTests, store: LocalStore, prober: ScriptedProber
) -> None:
    store.away = True
    with pytest.raises(StoreUnavailable):
        await probes.stored(ALICE, None, None, idempotency_key())
    store.away = False
    with pytest.raises(MailServerNotFound):
        await probes.stored(ALICE, None, None, idempotency_key())
    await ManageMailServers(store).put_default(ALICE, WANTED)
    for _ in range(LIMITS.max_per_minute_per_caller):
        await probes.stored(ALICE, None, None)
    with pytest.raises(TooManyProbes):
        await probes.stored(ALICE, None, None, idempotency_key())
    store.sql(delete(probe_admissions))
    accepted = idempotency_key()

    assert await probes.stored(ALICE, None, None, accepted) == WORKS
    assert not accepted.replayed


async def test_a_caller_without_permission_learns_no_earlier_result(
    probes: RunConnectionTests, store: LocalStore
) -> None:
    await probes.given(ALICE, SERVER, None, idempotency_key())
    await ManageMailServers(store).create(ALICE, WANTED, IdempotencyKey("other", b""))
    nobody = replace(ALICE, permissions=frozenset())

    with pytest.raises(PermissionDenied):
        await probes.given(nobody, SERVER, None, idempotency_key())
    with pytest.raises(PermissionDenied):
        await ManageMailServers(store).create(nobody, WANTED, IdempotencyKey("other", b""))


async def test_the_result_of_another_operation_is_not_reused(store: LocalStore) -> None:
    async with store.writing() as work:
        await work.idempotency.remember("alice", idempotency_key(), WORKS)

    with pytest.raises(IdempotencyKeyReused):
        await ManageMailServers(store).create(ALICE, WANTED, idempotency_key())


def test_key_and_request_do_not_appear_in_a_repr() -> None:
    assert repr(IdempotencyKey("canary", b"canary")) == "IdempotencyKey(replayed=False)"
