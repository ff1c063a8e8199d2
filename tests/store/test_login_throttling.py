"""Failed logins and known networks in the database: for every replica, without names and addresses."""

import hashlib
from dataclasses import replace

import pytest
from sqlalchemy import text

from mailsettings.domain.access import Origin
from mailsettings.domain.audit_log import Action, AuditOutcome, AuditRecord
from mailsettings.domain.login_throttling import (
    KNOWN_NETWORK_SECONDS,
    MAX_KNOWN_NETWORKS_PER_ACCOUNT,
    Failures,
    LoginAttempt,
    ThrottleKey,
)
from mailsettings.store import engine
from mailsettings.store.database import SQLStore
from mailsettings.store.encryption.sealing import Sealer

from support.databases import KEY

ALICE = ThrottleKey("account|älice \ud800", "älice \ud800")
BOB = ThrottleKey("account|bob", "bob")
ADDRESS = ThrottleKey("address|192.0.2.1")
NOW = 1_800_000_000.25


async def known(store: SQLStore, attempt: LoginAttempt, now: float = NOW) -> bool:
    async with store.reading() as view:
        return await view.known_networks.knows(attempt, now)


async def log_in(store: SQLStore, attempt: LoginAttempt, now: float = NOW) -> None:
    async with store.writing() as work:
        await work.known_networks.remember(attempt, now)


def everything(url: str) -> str:
    database = engine.sync_engine(url)
    with database.connect() as connection:
        rows = [
            str(connection.execute(text(f"SELECT * FROM {table}")).all())
            for table in ("login_failures", "known_neighbourhoods")
        ]
    database.dispose()
    return "".join(rows)


async def test_another_replica_sees_the_failures(store: SQLStore, database_url: str) -> None:
    async with store.writing() as work:
        await work.login_failures.remember(ALICE, Failures(1, 10.5, 0))
        await work.login_failures.remember(ALICE, Failures(2, NOW, NOW + 60.25))
        await work.login_failures.remember(ADDRESS, Failures(7, NOW, 0))
    other = SQLStore(database_url, Sealer(KEY))
    async with other.reading() as view:
        found = await view.login_failures.of([ALICE, BOB, ADDRESS])
    await other.close()

    assert found == {ALICE: Failures(2, NOW, NOW + 60.25), BOB: Failures(), ADDRESS: Failures(7, NOW, 0)}


async def test_nothing_is_remembered_before_the_first_audit_entry(store: SQLStore) -> None:
    async with store.reading() as view:
        found = await view.login_failures.of([ALICE])

    assert found == {ALICE: Failures()}
    assert not await known(store, LoginAttempt("alice", "192.0.2.1"))


async def test_failures_are_forgotten_singly_by_account_and_by_age(store: SQLStore) -> None:
    subjects = [
        ThrottleKey("a"),
        replace(BOB, text="b"),
        replace(BOB, text="c"),
        ThrottleKey("d"),
        ThrottleKey("e"),
    ]
    async with store.writing() as work:
        for number, subject in enumerate(subjects):
            await work.login_failures.remember(subject, Failures(1, float(number), 0))
        await work.login_failures.forget(subjects[4])
        await work.login_failures.forget(BOB)
        await work.login_failures.forget_account("bob")
        await work.login_failures.forget_before(1.0)

    async with store.reading() as view:
        found = await view.login_failures.of(subjects)
    assert [found[subject].count for subject in subjects] == [0, 0, 0, 1, 0]


async def test_a_network_is_known_for_thirty_days_after_login(store: SQLStore) -> None:
    attempt = LoginAttempt("alice", "2001:db8::1")
    await log_in(store, attempt, NOW)
    await log_in(store, attempt, NOW + 10)

    assert await known(store, LoginAttempt("alice", "2001:db8::ffff"), NOW + 10)
    assert await known(store, attempt, NOW + KNOWN_NETWORK_SECONDS + 9)
    assert not await known(store, attempt, NOW + KNOWN_NETWORK_SECONDS + 10)
    assert not await known(store, LoginAttempt("alice", "2001:db8:0:1::1"))
    assert not await known(store, LoginAttempt("bob", "2001:db8::1"))
    assert not await known(store, LoginAttempt(None, "2001:db8::1"))


async def test_an_account_has_a_bounded_number_of_known_networks(store: SQLStore, database_url: str) -> None:
    await log_in(store, LoginAttempt("bob", "192.0.2.1"), NOW)
    for number in range(MAX_KNOWN_NETWORKS_PER_ACCOUNT + 3):
        await log_in(store, LoginAttempt("alice", f"192.0.2.{number}"), NOW + number)
    seen = [
        await known(store, LoginAttempt("alice", f"192.0.2.{number}"))
        for number in range(MAX_KNOWN_NETWORKS_PER_ACCOUNT + 3)
    ]

    assert seen == [False] * 3 + [True] * MAX_KNOWN_NETWORKS_PER_ACCOUNT
    assert await known(store, LoginAttempt("bob", "192.0.2.1"))
    await log_in(store, LoginAttempt("carol", "192.0.2.1"), NOW + 2 * KNOWN_NETWORK_SECONDS)
    assert everything(database_url).count(".25") == 1  # old rows of all accounts are deleted


async def test_forgetting_an_account_forgets_its_networks(store: SQLStore) -> None:
    for name in ("alice", "bob"):
        await log_in(store, LoginAttempt(name, "192.0.2.1"))
    async with store.writing() as work:
        await work.known_networks.forget_account("alice")

    assert [await known(store, LoginAttempt(name, "192.0.2.1")) for name in ("alice", "bob")] == [False, True]


@pytest.mark.parametrize("address", ["192.0.2.99", "2001:db8:77::1"])
async def test_no_name_address_or_plain_hash_is_stored(store: SQLStore, database_url: str, address: str) -> None:
    attempt = LoginAttempt("alice", address)
    async with store.writing() as work:
        await work.audit.append(AuditRecord(None, Origin(), Action.LOGIN, None, AuditOutcome.DONE))
        await work.known_networks.remember(attempt, NOW)
        for subject in attempt.limits(known=False):
            await work.login_failures.remember(subject, Failures(1, NOW, 0))
    kept = everything(database_url)

    assert kept.count("1800000000.25") == 1 + len(attempt.limits(known=False))
    for subject in attempt.limits(known=False):
        assert hashlib.sha256(subject.text.encode()).hexdigest() not in kept
    # Whole prefixes: three digits alone turn up in a hash by chance.
    assert not any(word in kept for word in ("alice", "2001:db8", "192.0.2"))
