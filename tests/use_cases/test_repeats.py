"""A request that is sent again under its key is answered again and does nothing; what was refused may be tried."""

import asyncio
import logging
from dataclasses import replace

import pytest

from mailsettings.domain.access import Origin, Permission, Principal
from mailsettings.domain.audit import AuditOutcome
from mailsettings.domain.errors import (
    MailServerNotFound,
    OutcomeUnknown,
    PermissionDenied,
    RequestRepeatedDifferently,
    StillBeingAnswered,
    StoreUnavailable,
    TooManyProbes,
)
from mailsettings.domain.findings import failure
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, Sender
from mailsettings.domain.once import Once
from mailsettings.domain.probe import FailureCode, ProbeReport, ProbeStage
from mailsettings.domain.replacement import Replacement
from mailsettings.use_cases.admission import BUSY_SECONDS, ProbeLimits
from mailsettings.use_cases.connection_test import ProbeMailServers
from mailsettings.use_cases.mail_servers import KeepMailServers
from mailsettings.use_cases.turned_away import TurnedAway

from fakes import WORKS, InMemoryStore, ScriptedProber
from patience import GUARD_SECONDS

ALICE = Principal("alice", frozenset(Permission), Origin("192.0.2.1"))
BOB = replace(ALICE, name="bob")
SERVER = MailServer("mail.example.org", 25, ConnectionSecurity.NONE, Sender("a@example.org"))
WANTED = Replacement(SERVER)
LIMITS = ProbeLimits(at_once_each=1, per_minute_each=2, deadline_seconds=15)
FAILED = ProbeReport((), failure(FailureCode.HOST_NOT_FOUND, ProbeStage.RESOLVE))


def once() -> Once:
    """The same request under the same key, as each new arrival of it."""
    return Once("key", b"request")


@pytest.fixture
def store() -> InMemoryStore:
    return InMemoryStore()


@pytest.fixture
def probes(store: InMemoryStore, prober: ScriptedProber) -> ProbeMailServers:
    return ProbeMailServers(store, prober, LIMITS, TurnedAway(store))


def outcomes(store: InMemoryStore) -> list[str]:
    return [record.outcome for record in store.audit.records]


async def test_a_mail_server_is_created_once_and_told_of_once(store: InMemoryStore) -> None:
    keep, first, again = KeepMailServers(store), once(), once()
    ids = [await keep.create(ALICE, WANTED, each) for each in (first, again)]
    others = [await keep.create(BOB, WANTED, once()), await keep.create(ALICE, WANTED)]

    assert (ids, others) == ([1, 1], [2, 3])
    assert (first.repeated, again.repeated) == (False, True)
    assert outcomes(store) == [AuditOutcome.DONE] * 3


async def test_another_request_under_the_same_key_is_refused_and_changes_nothing(store: InMemoryStore) -> None:
    keep = KeepMailServers(store)
    await keep.create(ALICE, WANTED, once())
    with pytest.raises(RequestRepeatedDifferently):
        await keep.create(ALICE, WANTED, Once("key", b"another"))

    assert list(store.mail_servers.rows) == [1]
    assert outcomes(store) == [AuditOutcome.DONE, AuditOutcome.REFUSED]


@pytest.mark.parametrize("report", [WORKS, FAILED], ids=["works", "failed"])
async def test_a_test_is_made_once_and_its_report_told_again(
    probes: ProbeMailServers, store: InMemoryStore, prober: ScriptedProber, report: ProbeReport
) -> None:
    prober.report = report
    first = await probes.given(ALICE, SERVER, "to@example.org", once())
    prober.report = ProbeReport((), milliseconds=99)
    again = once()

    assert first == await probes.given(ALICE, SERVER, "to@example.org", again) == report
    assert again.repeated
    assert len(prober.asked) == 1
    assert outcomes(store) == [AuditOutcome.BEGUN, AuditOutcome.FAILED if report is FAILED else AuditOutcome.DONE]


async def test_a_repeat_is_answered_although_a_new_test_would_be_one_too_many(
    probes: ProbeMailServers, prober: ScriptedProber
) -> None:
    await probes.given(ALICE, SERVER, None, once())
    await probes.given(ALICE, SERVER, None)
    with pytest.raises(TooManyProbes):
        await probes.given(ALICE, SERVER, None, Once("new", b"request"))

    assert await probes.given(ALICE, SERVER, None, once()) == prober.report


async def test_a_test_that_ends_while_its_repeat_is_let_in_is_not_made_again(
    probes: ProbeMailServers, store: InMemoryStore, prober: ScriptedProber, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await probes.given(ALICE, SERVER, None, once())
    asked, earlier = [], store.repeats.earlier

    async def not_yet_at_first(caller: str, request: Once) -> object:
        asked.append(request)
        return None if len(asked) == 1 else await earlier(caller, request)

    monkeypatch.setattr(store.repeats, "earlier", not_yet_at_first)

    assert await probes.given(ALICE, SERVER, None, once()) == first
    assert len(prober.asked) == 1


async def test_a_stored_server_that_is_gone_by_now_is_no_reason_not_to_repeat_its_report(
    probes: ProbeMailServers, store: InMemoryStore, prober: ScriptedProber
) -> None:
    keep = KeepMailServers(store)
    await keep.create(ALICE, WANTED)
    reports = [await probes.stored(ALICE, None, None, once())]
    await keep.delete_default(ALICE)
    reports.append(await probes.stored(ALICE, None, None, once()))

    assert reports == [WORKS, WORKS]
    assert len(prober.asked) == 1


class Announcing(ScriptedProber):
    def __init__(self) -> None:
        super().__init__(hold=asyncio.Event())
        self.begun = asyncio.Event()

    async def probe(self, server: MailServer, recipient: str | None) -> ProbeReport:
        self.begun.set()
        return await super().probe(server, recipient)


async def test_a_repeat_meanwhile_is_told_to_come_back(store: InMemoryStore) -> None:
    prober = Announcing()
    probes = ProbeMailServers(store, prober, LIMITS, TurnedAway(store))
    first = asyncio.create_task(probes.given(ALICE, SERVER, None, once()))
    await prober.begun.wait()
    async with asyncio.timeout(GUARD_SECONDS):
        with pytest.raises(StillBeingAnswered) as refused:
            await probes.given(ALICE, SERVER, None, once())
    assert prober.hold is not None
    prober.hold.set()

    assert await first == await probes.given(ALICE, SERVER, None, once())
    assert refused.value.retry_after_seconds == BUSY_SECONDS
    assert store.audit.records[1].details == {"problem": "StillBeingAnswered"}
    assert len(prober.asked) == 1


class Crash(BaseException):
    """What ends a process cannot be caught by what it was about to do."""


class Crashing(ScriptedProber):
    async def probe(self, server: MailServer, recipient: str | None) -> ProbeReport:
        raise Crash


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (0, StillBeingAnswered),
        (44, StillBeingAnswered),
        (45, OutcomeUnknown),
        (-44, StillBeingAnswered),
        (-46, OutcomeUnknown),
    ],
)
async def test_one_whose_process_died_is_never_made_again_under_its_key(
    store: InMemoryStore, prober: ScriptedProber, age: float, expected: type[Exception]
) -> None:
    """A clock that was put back makes it begin in the future, which does not keep it running."""
    with pytest.raises(Crash):
        await ProbeMailServers(store, Crashing(), LIMITS, TurnedAway(store)).given(ALICE, SERVER, None, once())
    store.repeats.age_seconds = age
    with pytest.raises(expected):
        await ProbeMailServers(store, prober, LIMITS, TurnedAway(store)).given(ALICE, SERVER, None, once())

    assert prober.asked == []


class GoesAway(ScriptedProber):
    def __init__(self, store: InMemoryStore) -> None:
        super().__init__()
        self.store = store

    async def probe(self, server: MailServer, recipient: str | None) -> ProbeReport:
        self.store.away = True
        return await super().probe(server, recipient)


async def test_a_test_whose_end_cannot_be_written_down_is_answered_and_not_made_again(
    store: InMemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    prober = GoesAway(store)
    probes = ProbeMailServers(store, prober, LIMITS, TurnedAway(store))
    with caplog.at_level(logging.ERROR):
        report = await probes.given(ALICE, SERVER, None, once())
    store.away = False
    with pytest.raises(StillBeingAnswered):
        await probes.given(ALICE, SERVER, None, once())

    assert report == WORKS
    assert len(prober.asked) == 1
    assert len(caplog.messages) == 1


async def test_what_was_refused_is_not_remembered(
    probes: ProbeMailServers, store: InMemoryStore, prober: ScriptedProber
) -> None:
    store.away = True
    with pytest.raises(StoreUnavailable):
        await probes.stored(ALICE, None, None, once())
    store.away = False
    with pytest.raises(MailServerNotFound):
        await probes.stored(ALICE, None, None, once())
    await KeepMailServers(store).create(ALICE, WANTED)
    for _ in range(LIMITS.per_minute_each):
        await probes.stored(ALICE, None, None)
    with pytest.raises(TooManyProbes):
        await probes.stored(ALICE, None, None, once())
    store.probe_admissions.rows.clear()
    accepted = once()

    assert await probes.stored(ALICE, None, None, accepted) == WORKS
    assert not accepted.repeated


async def test_who_may_not_do_it_any_more_is_told_nothing_of_the_first_time(
    probes: ProbeMailServers, store: InMemoryStore
) -> None:
    await probes.given(ALICE, SERVER, None, once())
    await KeepMailServers(store).create(ALICE, WANTED, Once("other", b""))
    nobody = replace(ALICE, permissions=frozenset())

    with pytest.raises(PermissionDenied):
        await probes.given(nobody, SERVER, None, once())
    with pytest.raises(PermissionDenied):
        await KeepMailServers(store).create(nobody, WANTED, Once("other", b""))


async def test_what_came_of_something_else_is_no_answer(store: InMemoryStore) -> None:
    await store.repeats.remember("alice", once(), WORKS)

    with pytest.raises(RequestRepeatedDifferently):
        await KeepMailServers(store).create(ALICE, WANTED, once())


def test_a_key_and_its_request_do_not_show() -> None:
    assert repr(Once("canary", b"canary")) == "Once(repeated=False)"
