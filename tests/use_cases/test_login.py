"""Logging in: who gets a token, who has to wait, and what the audit log has of it."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import select

from mailsettings.domain.access import OPERATOR, Account, AccountKind, Origin
from mailsettings.domain.audit_log import Action, AuditOutcome
from mailsettings.domain.errors import LoginRefused, TooManyLogins
from mailsettings.domain.login_throttling import (
    ACCOUNT_FROM_NETWORK_LIMIT,
    ACCOUNT_LIMIT,
    NETWORK_LIMIT,
    LoginAttempt,
)
from mailsettings.store.tables import login_failures
from mailsettings.store.transaction import Transaction
from mailsettings.use_cases.accounts import ManageAccounts
from mailsettings.use_cases.denial_log import DenialLog
from mailsettings.use_cases.login import THROTTLED_DETAILS, UNKNOWN_ACTOR, LogIn

from support.databases import LocalStore, account, records
from support.fakes import NamesAsTokens, PlainPasswords

USER, CLIENT = AccountKind.USER, AccountKind.CLIENT
HERE, THERE = Origin("192.0.2.1", "request 1"), Origin("192.0.2.2", "request 2")


class Door:
    """A login with a clock to turn."""

    def __init__(self, store: LocalStore) -> None:
        self.now = 1_000_000.0
        self.store = store
        denial_log = DenialLog(self.store, lambda: self.now)
        self.log_in = LogIn(self.store, PlainPasswords(), NamesAsTokens(), denial_log, 3600, lambda: self.now)

    async def open(self, name: str = "alice", secret: str = "correct horse", origin: Origin = HERE) -> str:
        """`in`, `refused`, or how long to wait."""
        try:
            token = await self.log_in(USER, name, secret, origin)
        except LoginRefused:
            return "refused"
        except TooManyLogins as delayed:
            return f"{delayed.retry_after_seconds} s"
        return f"in as {token.text}"

    async def fail(self, times: int, name: str = "alice", origin: Origin = HERE) -> list[str]:
        return [await self.open(name, "wrong", origin) for _ in range(times)]


@pytest.fixture
async def door(local_store: LocalStore) -> Door:
    door = Door(local_store)
    accounts = ManageAccounts(door.store, PlainPasswords())
    await accounts.add(OPERATOR, Account("alice", frozenset({"view-mail-settings"})), "correct horse")
    await accounts.add(OPERATOR, Account("robot", frozenset(), CLIENT), "battery staple")
    return door


async def test_an_account_logs_in_only_with_its_password(door: Door) -> None:
    assert await door.open() == "in as alice"
    for name, password in [
        ("alice", "wrong"),
        ("bob", "correct horse"),
        ("ALICE", "correct horse"),
        ("", ""),
        ("a\0b", "x"),
        ("\ud800", "x"),
    ]:
        assert await door.open(name, password) == "refused"


async def test_clients_and_users_cannot_log_in_as_each_other(door: Door) -> None:
    assert await door.open("robot", "battery staple") == "refused"
    with pytest.raises(LoginRefused):
        await door.log_in(CLIENT, "alice", "correct horse", HERE)
    assert (await door.log_in(CLIENT, "robot", "battery staple", HERE)).text == "robot"


async def test_a_token_carries_the_stamp_of_its_account(door: Door) -> None:
    stamps = []

    class Issuer(NamesAsTokens):
        async def issue(self, subject, grants, lifetime_seconds, stamp=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202  # as the port
            stamps.append(stamp)
            return await super().issue(subject, grants, lifetime_seconds, stamp)

    log_in = LogIn(door.store, PlainPasswords(), Issuer(), DenialLog(door.store), 3600)
    await log_in(USER, "alice", "correct horse", HERE)

    assert stamps == [(await account(door.store, "alice")).stamp]


async def test_three_quick_logins_of_a_client_cause_no_wait(door: Door) -> None:
    assert await door.fail(3) == ["refused"] * 3
    assert await door.open() == "in as alice"


async def test_the_wait_doubles_per_failure_up_to_fifteen_minutes(door: Door) -> None:
    waits = []
    await door.fail(ACCOUNT_FROM_NETWORK_LIMIT.free_failures)
    for _ in range(10):
        [said] = await door.fail(1)
        waits.append(said)
        door.now += int(said.removesuffix(" s"))
        assert await door.fail(1) == ["refused"]

    assert waits == ["5 s", "10 s", "20 s", "40 s", "80 s", "160 s", "320 s", "640 s", "900 s", "900 s"]


@pytest.mark.parametrize("name", ["alice", "bob"], ids=["an account", "nobody"])
async def test_during_the_wait_the_right_password_is_refused_too(door: Door, name: str) -> None:
    """Case 38."""
    await door.fail(ACCOUNT_FROM_NETWORK_LIMIT.free_failures, name)

    assert await door.open(name, "correct horse") == await door.open(name, "wrong") == "5 s"


async def test_a_success_resets_the_failures_of_the_account(door: Door) -> None:
    for _ in range(5):
        await door.fail(ACCOUNT_FROM_NETWORK_LIMIT.free_failures - 1, origin=Origin())
        assert await door.open(origin=Origin()) == "in as alice"


async def test_failures_are_forgotten_after_twelve_hours(door: Door) -> None:
    await door.fail(ACCOUNT_FROM_NETWORK_LIMIT.free_failures + 3)
    door.now += ACCOUNT_FROM_NETWORK_LIMIT.forgotten_after_seconds + 1

    assert await door.fail(ACCOUNT_FROM_NETWORK_LIMIT.free_failures - 1) == ["refused"] * (
        ACCOUNT_FROM_NETWORK_LIMIT.free_failures - 1
    )
    assert len(door.store.sql(select(login_failures))) == 3


async def test_failures_count_until_exactly_twelve_hours(door: Door) -> None:
    await door.fail(ACCOUNT_FROM_NETWORK_LIMIT.free_failures)
    door.now += ACCOUNT_FROM_NETWORK_LIMIT.forgotten_after_seconds

    assert await door.fail(2) == ["refused", "10 s"]


async def test_an_attack_on_one_account_does_not_delay_others(door: Door) -> None:
    await door.fail(ACCOUNT_FROM_NETWORK_LIMIT.free_failures, "bob", THERE)

    assert await door.open() == "in as alice"


async def test_an_address_that_tries_many_names_has_to_wait(door: Door) -> None:
    for number in range(NETWORK_LIMIT.free_failures):
        assert await door.fail(1, f"name {number}", THERE) == ["refused"]

    assert await door.open(origin=THERE) == "5 s"
    assert await door.open() == "in as alice"


async def test_success_does_not_reset_the_failures_of_its_address(door: Door) -> None:
    for number in range(NETWORK_LIMIT.free_failures - 1):
        await door.fail(1, f"name {number}")
        await door.open()

    assert await door.fail(2, "another") == ["refused", "5 s"]


async def test_rare_mistakes_behind_one_address_cause_no_wait(door: Door) -> None:
    for number in range(2 * NETWORK_LIMIT.free_failures):
        assert await door.fail(1, f"name {number}") == ["refused"]
        door.now += 3600


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.9", "192.0.2.9", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("192.0.2.8", "192.0.2.9", False),
        ("a proxy's name", "another", False),
    ],
)
async def test_an_ipv6_network_counts_as_one_address(door: Door, one: str, other: str, *, is_same: bool) -> None:
    for number in range(NETWORK_LIMIT.free_failures):
        await door.fail(1, f"name {number}", Origin(one))

    assert (await door.open(origin=Origin(other)) == "5 s") is is_same


async def test_parallel_guesses_learn_no_more_than_sequential_ones(door: Door) -> None:
    """Case 38."""
    answers = await asyncio.gather(*(door.open("alice", "wrong") for _ in range(50)), door.open())

    assert answers.count("refused") == ACCOUNT_FROM_NETWORK_LIMIT.free_failures
    assert answers[-1] == "5 s"


async def test_parallel_guesses_from_many_places_learn_no_more_either(door: Door) -> None:
    """Case 38."""
    side_by_side = asyncio.Semaphore(20)

    async def guess(number: int) -> str:
        async with side_by_side:
            return await door.open("alice", "wrong", Origin(f"192.0.2.{number}"))

    answers = await asyncio.gather(*(guess(number) for number in range(150)))

    assert answers.count("refused") == ACCOUNT_LIMIT.failures
    assert await door.open(origin=Origin("198.51.100.1")) == "3600 s"


@pytest.mark.parametrize("password", ["correct horse", "a wrong one"])
async def test_a_guess_that_ends_during_the_wait_reveals_nothing(door: Door, password: str) -> None:
    begun, end = asyncio.Event(), asyncio.Event()

    class Slow(PlainPasswords):
        async def verify(self, password: str, password_hash: str | None, callers: Collection[str] = ()) -> bool:
            begun.set()
            await end.wait()
            return await super().verify(password, password_hash)

    denial_log = DenialLog(door.store, lambda: door.now)
    slow = LogIn(door.store, Slow(), NamesAsTokens(), denial_log, 3600, lambda: door.now)
    guess = asyncio.create_task(slow(USER, "alice", password, THERE))
    await begun.wait()
    await door.fail(ACCOUNT_FROM_NETWORK_LIMIT.free_failures, origin=THERE)
    end.set()

    with pytest.raises(TooManyLogins) as delayed:
        await guess
    assert str(delayed.value) == "Too many failed logins. Try again in 5 seconds."
    last = (await records(door.store))[-1]
    assert (last.actor, last.outcome, last.details) == ("alice", AuditOutcome.REFUSED, THROTTLED_DETAILS)
    account_from_network = LoginAttempt("alice", THERE.address).account_from_network
    async with door.store.reading() as snapshot:
        assert (await snapshot.login_failures.of([account_from_network]))[
            account_from_network
        ].count == ACCOUNT_FROM_NETWORK_LIMIT.free_failures


async def test_guesses_at_the_client_secret_count_by_address(door: Door) -> None:
    for _ in range(NETWORK_LIMIT.free_failures):
        await door.log_in.note_wrong_client(HERE)

    with pytest.raises(TooManyLogins):
        await door.log_in.note_wrong_client(HERE)
    assert await door.open() == "5 s"
    assert await door.open(origin=THERE) == "in as alice"
    await door.log_in.note_wrong_client(Origin())  # from nowhere, so there is nothing to count by


class SlowStore(LocalStore):
    """Others get a turn before each transaction that writes, and within it none of them does."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.turn = asyncio.Lock()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Transaction]:
        await asyncio.sleep(0)
        async with self.turn, super().writing() as work:
            yield work


async def test_parallel_guesses_at_the_client_secret_learn_no_more(sqlite_url: str) -> None:
    door = Door(SlowStore(sqlite_url))
    guesses = [door.log_in.note_wrong_client(HERE) for _ in range(NETWORK_LIMIT.free_failures + 20)]

    results = await asyncio.gather(*guesses, return_exceptions=True)
    await door.store.close()

    assert results.count(None) == NETWORK_LIMIT.free_failures
    assert sum(isinstance(result, TooManyLogins) for result in results) == 20


async def test_logins_and_refusals_are_in_the_audit_log(door: Door) -> None:
    await door.open()
    await door.fail(1)
    await door.fail(1, "canary typed into the wrong field")
    await door.fail(ACCOUNT_FROM_NETWORK_LIMIT.free_failures)

    entries = await records(door.store, after=2)
    assert {(entry.action, entry.origin) for entry in entries} == {(Action.LOGIN, HERE)}
    assert [(entry.actor, entry.outcome) for entry in entries[:3]] == [
        ("alice", AuditOutcome.DONE),
        ("alice", AuditOutcome.REFUSED),
        (UNKNOWN_ACTOR, AuditOutcome.REFUSED),
    ]
    assert entries[1].details == {"problem": "wrong name or secret"}
    assert entries[-1].details == {"problem": "too many failures"}
    assert "canary" not in repr(await records(door.store))
