"""Accounts: made once, changed by name and kind, each change with its entry in the audit log."""

import pytest
from sqlalchemy import select

from mailsettings.domain.access import OPERATOR, Account, AccountKind, Origin
from mailsettings.domain.audit_log import Action, AuditOutcome
from mailsettings.domain.errors import AccountExists, AccountNotFound, InvalidSetting
from mailsettings.domain.login_throttling import Failures, LoginAttempt
from mailsettings.store.tables import login_failures
from mailsettings.use_cases.accounts import ManageAccounts

from support.databases import LocalStore, account, records
from support.fakes import PlainPasswords

ALICE = Account("alice", frozenset({"view-mail-settings"}))
USER, CLIENT = AccountKind.USER, AccountKind.CLIENT


@pytest.fixture
def store(local_store: LocalStore) -> LocalStore:
    return local_store


@pytest.fixture
def accounts(store: LocalStore) -> ManageAccounts:
    return ManageAccounts(store, PlainPasswords())


@pytest.mark.parametrize(
    "name",
    ["", "a\0b", "a\nb", "x" * 256, "\ud800"],
    ids=["empty", "NUL", "line feed", "too long", "half a surrogate"],
)
def test_an_invalid_account_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidSetting):
        Account(name, frozenset())


async def test_account_names_are_unique_and_must_exist(accounts: ManageAccounts) -> None:
    await accounts.add(OPERATOR, ALICE, "correct horse")

    with pytest.raises(AccountExists):
        await accounts.add(OPERATOR, ALICE, "battery staple")
    with pytest.raises(AccountNotFound):
        await accounts.remove(OPERATOR, USER, "bob")
    with pytest.raises(AccountNotFound):
        await accounts.set_password(OPERATOR, USER, "bob", "battery staple")
    with pytest.raises(AccountNotFound):
        await accounts.set_grants(OPERATOR, USER, "bob", [])
    with pytest.raises(AccountNotFound):
        await accounts.unlock(OPERATOR, USER, "bob")


async def test_a_client_cannot_be_changed_as_a_user(accounts: ManageAccounts) -> None:
    await accounts.add(OPERATOR, Account("robot", frozenset(), CLIENT), "correct horse")

    with pytest.raises(AccountNotFound):
        await accounts.remove(OPERATOR, USER, "robot")
    await accounts.remove(OPERATOR, CLIENT, "robot")

    assert await accounts.list() == []


async def test_a_first_account_is_created_only_if_none_exists(accounts: ManageAccounts) -> None:
    assert await accounts.add_first(OPERATOR, ALICE, "correct horse")
    assert not await accounts.add_first(OPERATOR, Account("bob", frozenset()), "battery staple")
    assert await accounts.list() == [ALICE]


async def test_a_removed_first_account_is_not_created_again(accounts: ManageAccounts) -> None:
    await accounts.add_first(OPERATOR, ALICE, "correct horse")
    await accounts.remove(OPERATOR, USER, "alice")

    assert not await accounts.add_first(OPERATOR, ALICE, "correct horse")
    assert await accounts.list() == []


async def test_password_is_stored_as_its_hash_and_replaced_so(accounts: ManageAccounts, store: LocalStore) -> None:
    await accounts.add(OPERATOR, ALICE, "correct horse")
    first = await account(store, "alice")
    await accounts.set_password(OPERATOR, USER, "alice", "battery staple")
    second = await account(store, "alice")

    assert (first.account, first.password_hash) == (ALICE, "hash of correct horse")
    assert (second.account, second.password_hash) == (ALICE, "hash of battery staple")


async def test_each_new_password_brings_a_new_stamp(accounts: ManageAccounts, store: LocalStore) -> None:
    await accounts.add(OPERATOR, ALICE, "correct horse")
    stamps = {(await account(store, "alice")).stamp}
    for _ in range(2):
        await accounts.set_password(OPERATOR, USER, "alice", "correct horse")
        stamps.add((await account(store, "alice")).stamp)

    assert len(stamps) == 3


async def test_unlocking_forgets_the_failures_of_that_account(accounts: ManageAccounts, store: LocalStore) -> None:
    await accounts.add(OPERATOR, ALICE, "correct horse")
    for name in ("alice", "bob"):
        for subject in LoginAttempt(name, "192.0.2.1").limits(known=False):
            async with store.writing() as work:
                await work.login_failures.remember(subject, Failures(9, 1, 2**40))

    await accounts.unlock(OPERATOR, USER, "alice")

    left = {
        subject for name in ("alice", "bob") for subject in LoginAttempt(name, "192.0.2.1").limits(known=False)
    }
    async with store.reading() as snapshot:
        found = await snapshot.login_failures.of(left)
    assert {subject.account for subject, failures in found.items() if failures.count} == {None, "bob"}
    assert len(store.sql(select(login_failures))) == 3


async def test_every_change_is_audited_without_a_secret(accounts: ManageAccounts, store: LocalStore) -> None:
    await accounts.add_first(OPERATOR, ALICE, "canary-1")
    await accounts.set_password(OPERATOR, USER, "alice", "canary-2")
    await accounts.set_grants(OPERATOR, USER, "alice", ["manage-system-settings"])
    await accounts.unlock(OPERATOR, USER, "alice")
    await accounts.remove(OPERATOR, USER, "alice")

    assert [(each.action, each.target, each.outcome) for each in await records(store)] == [
        (Action.ACCOUNT_ADD, "alice", AuditOutcome.DONE),
        (Action.ACCOUNT_SET_PASSWORD, "alice", AuditOutcome.DONE),
        (Action.ACCOUNT_SET_PERMISSIONS, "alice", AuditOutcome.DONE),
        (Action.ACCOUNT_UNLOCK, "alice", AuditOutcome.DONE),
        (Action.ACCOUNT_REMOVE, "alice", AuditOutcome.DONE),
    ]
    assert {(each.actor, each.origin) for each in await records(store)} == {("operator", Origin())}
    permissions = {"before": ["view-mail-settings"], "after": ["manage-system-settings"]}
    assert (await records(store))[0].details == {"kind": "user", "permissions": ["view-mail-settings"]}
    assert (await records(store))[2].details == {"permissions": permissions}
    assert "canary" not in repr(await records(store))


async def test_a_refused_change_is_audited_too(accounts: ManageAccounts, store: LocalStore) -> None:
    with pytest.raises(AccountNotFound):
        await accounts.remove(OPERATOR, USER, "bob")

    [entry] = await records(store)
    assert (entry.action, entry.target, entry.outcome) == (Action.ACCOUNT_REMOVE, "bob", AuditOutcome.REFUSED)
    assert entry.details == {"problem": "AccountNotFound"}
