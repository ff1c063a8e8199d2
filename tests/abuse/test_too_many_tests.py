"""A caller with many connection tests gets a few, and other callers keep theirs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mailsettings.store.transaction import Transaction
from mailsettings.use_cases.denial_log import MAX_ENTRIES_PER_CALLER

from support.canary import Canary
from support.databases import LocalStore
from support.fakes import ScriptedProber
from support.request_bodies import checkmarx_test
from support.service import LIMITS, MAIL_SERVER, SMTP_SETTINGS, Caller, client_of

REQUESTS = 1000


@pytest.fixture
def store(local_store: LocalStore) -> LocalStore:
    """Who may test does not depend on where the settings are kept."""
    return local_store


async def test_of_a_thousand_tests_of_one_caller_few_run(
    api: Caller, prober: ScriptedProber, canary: Canary
) -> None:
    """Case 35."""
    path, body = f"{SMTP_SETTINGS}/testconnection", checkmarx_test(canary.secret)
    answers = [await api.send("POST", path, json=body) for _ in range(REQUESTS)]
    other = await api("tester").send("POST", path, json=body)
    shown = await api.send("GET", SMTP_SETTINGS)
    stored = await api.send("POST", f"{MAIL_SERVER}/actions/test", json={})

    assert [answer.status_code for answer in answers[: LIMITS.max_per_minute_per_caller]] == [
        200
    ] * LIMITS.max_per_minute_per_caller
    refused = answers[LIMITS.max_per_minute_per_caller :]
    assert {answer.status_code for answer in refused} == {429}
    assert all(1 <= int(answer.headers["Retry-After"]) <= 61 for answer in refused)
    assert (other.status_code, shown.status_code) == (200, 200)
    assert stored.status_code == 404  # nothing is stored, which is no test
    assert len(prober.asked) == LIMITS.max_per_minute_per_caller + 1
    canary.assert_nowhere(*{answer.content for answer in answers})


class Counting(LocalStore):
    """Counts the attempts to write."""

    writes = 0

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Transaction]:
        self.writes += 1
        async with super().writing() as work:
            yield work


async def test_refused_tests_write_only_a_limited_number_of_entries(sqlite_url: str) -> None:
    """Case 35: writers of all processes take turns, so each of them holds up all others."""
    store = Counting(sqlite_url)
    async with store.writing() as work:  # at another process
        for _ in range(LIMITS.max_per_minute_per_caller):
            await work.probe_admissions.end(await work.probe_admissions.begin("tester"))
    store.writes = 0
    async with client_of(store, ScriptedProber()) as api:
        path, body = f"{SMTP_SETTINGS}/testconnection", checkmarx_test("a password")
        answers = [await api("tester").send("POST", path, json=body) for _ in range(10 * MAX_ENTRIES_PER_CALLER)]

    await store.close()

    assert {answer.status_code for answer in answers} == {429}
    assert store.writes == MAX_ENTRIES_PER_CALLER
