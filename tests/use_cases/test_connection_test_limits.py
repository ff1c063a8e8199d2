"""Limits of connection tests: at once, for each caller at once, for each in a minute."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager

import pytest

from mailsettings.domain.access import Permission, Principal
from mailsettings.domain.connection_test import USAGE_WINDOW_SECONDS, Usage
from mailsettings.domain.errors import TooManyProbes
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, Sender
from mailsettings.store.transaction import Transaction
from mailsettings.use_cases.connection_test_limits import (
    MARGIN_SECONDS,
    MAX_CONCURRENT_RECORDS,
    ConnectionTestLimits,
    ConnectionTestSlots,
)
from mailsettings.use_cases.connection_tests import RunConnectionTests
from mailsettings.use_cases.denial_log import DenialLog
from mailsettings.use_cases.idempotency import RETRY_AFTER_SECONDS

from support.databases import LocalStore
from support.fakes import ScriptedProber

ALICE, BOB, CAROL = (Principal(name, frozenset(Permission)) for name in ("alice", "bob", "carol"))
YOURS = "You have too many connection tests running. Try again in 5 seconds."


def begin(admission: ConnectionTestSlots, caller: Principal, stack: ExitStack) -> None:
    stack.enter_context(admission.admit(caller))


def test_the_limit_of_one_caller_does_not_affect_others() -> None:
    admission = ConnectionTestSlots(
        ConnectionTestLimits(max_concurrent=10, max_concurrent_per_caller=2, max_per_minute_per_caller=100)
    )
    with ExitStack() as running:
        begin(admission, ALICE, running)
        begin(admission, ALICE, running)
        with pytest.raises(TooManyProbes) as refused:
            begin(admission, ALICE, running)
        begin(admission, BOB, running)

    assert (str(refused.value), refused.value.retry_after_seconds) == (YOURS, RETRY_AFTER_SECONDS)
    with ExitStack() as running:
        begin(admission, ALICE, running)


def test_all_callers_together_have_a_limit() -> None:
    admission = ConnectionTestSlots(
        ConnectionTestLimits(max_concurrent=2, max_concurrent_per_caller=2, max_per_minute_per_caller=100)
    )
    with ExitStack() as running:
        begin(admission, ALICE, running)
        begin(admission, BOB, running)
        with pytest.raises(TooManyProbes) as refused:
            begin(admission, CAROL, running)

    assert str(refused.value) == "Too many connection tests are running. Try again in 5 seconds."


def test_a_failed_test_frees_its_slot() -> None:
    admission = ConnectionTestSlots(
        ConnectionTestLimits(max_concurrent=1, max_concurrent_per_caller=1, max_per_minute_per_caller=100)
    )
    with pytest.raises(ZeroDivisionError), admission.admit(ALICE):
        raise ZeroDivisionError
    with admission.admit(BOB):
        pass


def test_no_memory_is_kept_for_idle_callers() -> None:
    admission = ConnectionTestSlots(ConnectionTestLimits())
    for number in range(1000):
        with admission.admit(Principal(f"caller {number}", frozenset(Permission))):
            pass

    assert not admission._running  # noqa: SLF001  # nothing else can tell that memory is bounded


def test_tests_on_other_replicas_count_for_the_limit() -> None:
    limits = ConnectionTestLimits(max_concurrent=1, max_concurrent_per_caller=2, max_per_minute_per_caller=100)
    limits.require_capacity(Usage(running=1))
    with pytest.raises(TooManyProbes) as refused:
        limits.require_capacity(Usage(running=2))

    assert (str(refused.value), refused.value.retry_after_seconds) == (YOURS, RETRY_AFTER_SECONDS)


@pytest.mark.parametrize(("oldest", "wait"), [(0, 61), (29.5, 31), (30, 31), (59.9, 1), (-60, 121)])
def test_the_limit_per_minute_ends_with_the_oldest_test(oldest: float, wait: int) -> None:
    limits = ConnectionTestLimits(max_concurrent=9, max_concurrent_per_caller=9, max_per_minute_per_caller=2)
    limits.require_capacity(Usage(begun=1, oldest_seconds=oldest))
    with pytest.raises(TooManyProbes) as refused:
        limits.require_capacity(Usage(begun=2, oldest_seconds=oldest))

    sentence = f"You started too many connection tests within a minute. Try again in {wait} seconds."
    assert (str(refused.value), refused.value.retry_after_seconds) == (sentence, wait)
    assert oldest + wait > USAGE_WINDOW_SECONDS


def test_a_test_counts_until_its_deadline_plus_a_margin() -> None:
    assert ConnectionTestLimits(deadline_seconds=7).max_seconds == 7 + MARGIN_SECONDS


class CountingStore(LocalStore):
    """Counts the transactions that are open at the same moment."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.open = self.most_open = 0

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        with self._counting():
            async with super().reading() as view:
                yield view

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Transaction]:
        with self._counting():
            async with super().writing() as work:
                yield work

    @contextmanager
    def _counting(self) -> Iterator[None]:
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            yield
        finally:
            self.open -= 1


async def test_tests_that_arrive_together_leave_the_database_to_readers(sqlite_url: str) -> None:
    store = CountingStore(sqlite_url)
    limits = ConnectionTestLimits(100, 100, 100)
    tests = RunConnectionTests(store, ScriptedProber(), limits, DenialLog(store))
    server = MailServer("mail.example.org", 25, ConnectionSecurity.NONE, Sender("a@example.org"))
    reports = await asyncio.gather(*(tests.given(ALICE, server, None) for _ in range(30)))
    await store.close()

    assert [report.succeeded for report in reports] == [True] * 30
    assert store.most_open == MAX_CONCURRENT_RECORDS
