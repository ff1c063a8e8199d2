"""A caller ends a connection test before its report: the test stops, frees its place, and is in the audit log."""

import asyncio
from dataclasses import replace

import pytest

from mailsettings.domain.access import Origin, Permission, Principal
from mailsettings.domain.connection_test import ProbeBegun, ProbeProgress
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, Sender
from mailsettings.use_cases.connection_test_limits import ConnectionTestLimits
from mailsettings.use_cases.connection_tests import RunConnectionTests
from mailsettings.use_cases.denial_log import DenialLog
from mailsettings.use_cases.idempotency import RETRY_AFTER_SECONDS

from support.databases import LocalStore, records
from support.fakes import WORKS, ScriptedProber

ALICE = Principal("alice", frozenset(Permission), Origin("192.0.2.1"))
SERVER = MailServer("mail.example.org", 25, ConnectionSecurity.NONE, Sender("a@example.org"))
ONE_EACH = ConnectionTestLimits(max_concurrent_per_caller=1)


@pytest.fixture
def probes(local_store: LocalStore, prober: ScriptedProber) -> RunConnectionTests:
    return RunConnectionTests(local_store, prober, ONE_EACH, DenialLog(local_store))


async def test_a_listener_gets_each_stage_of_its_own_test(probes: RunConnectionTests) -> None:
    events: list[ProbeProgress] = []

    await probes.given(ALICE, SERVER, None, listener=events.append)
    await probes.given(ALICE, SERVER, None)

    assert events == [ProbeBegun(tuple(stage.stage for stage in WORKS.stages)), *WORKS.stages]


async def test_a_cancelled_test_frees_its_place(
    probes: RunConnectionTests, prober: ScriptedProber, local_store: LocalStore
) -> None:
    begun, prober.hold = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(probes.given(ALICE, SERVER, None, listener=lambda _event: begun.set()))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    prober.hold = None
    again = await probes.given(replace(ALICE), SERVER, None)

    assert again.succeeded
    outcomes = [(each.outcome, each.details.get("problem")) for each in await records(local_store)]
    assert ("failed", "cancelled by the caller") in outcomes


async def test_a_cancellation_without_a_database_is_in_the_log(
    probes: RunConnectionTests, prober: ScriptedProber, local_store: LocalStore, caplog: pytest.LogCaptureFixture
) -> None:
    begun, prober.hold = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(probes.given(ALICE, SERVER, None, listener=lambda _event: begun.set()))
    await begun.wait()
    local_store.away = True
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert "The cancellation of a connection test could not be written to the audit log." in caplog.messages


async def test_a_caller_at_its_limit_waits_for_a_place(
    probes: RunConnectionTests, prober: ScriptedProber, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    begun, prober.hold = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(probes.given(ALICE, SERVER, None, listener=lambda _event: begun.set()))
    await begun.wait()

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        assert prober.hold is not None
        prober.hold.set()
        await running

    monkeypatch.setattr("mailsettings.use_cases.connection_tests.asyncio.sleep", sleep)
    await probes.has_capacity(ALICE)

    assert waits == [RETRY_AFTER_SECONDS]
