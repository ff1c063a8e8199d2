"""Accounts: made once, changed by name and kind, each change with its entry in the audit log."""

import pytest
from sqlalchemy import select

from mailsettings.domain.access import (
    ALL_MAIL_SERVER_PERMISSIONS,
    OPERATOR,
    Account,
    AccountKind,
    Origin,
    Permission,
    Principal,
)
from mailsettings.domain.audit_log import Action, AuditFilter, AuditOutcome, AuditRecord
from mailsettings.domain.errors import (
    AccountExists,
    AccountNotFound,
    InvalidSetting,
    LastAccountManager,
    PermissionDenied,
)
from mailsettings.domain.login_throttling import Failures, LoginAttempt
from mailsettings.store.tables import login_failures
from mailsettings.use_cases.accounts import ManageAccounts

from support.databases import LocalStore, account, records
from support.fakes import PlainPasswords

ALICE = Account("alice", frozenset({"view-mail-settings"}))
USER, CLIENT = AccountKind.USER, AccountKind.CLIENT
GRANTS = {
    "manage-accounts": frozenset({Permission.ACCOUNTS_MANAGE}),
    "view-mail-settings": frozenset({Permission.MAIL_SERVERS_READ}),
    "manage-system-settings": ALL_MAIL_SERVER_PERMISSIONS,
}
NOW = 2.0**31
MANAGER = Principal("manager", frozenset({Permission.ACCOUNTS_MANAGE, Permission.MAIL_SERVERS_READ}))
"""Manages accounts, and may read mail servers."""


@pytest.fixture
def store(local_store: LocalStore) -> LocalStore:
    return local_store


@pytest.fixture
def accounts(store: LocalStore) -> ManageAccounts:
    return ManageAccounts(store, PlainPasswords(), GRANTS, clock=lambda: NOW)


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


def managing(name: str) -> Account:
    return Account(name, frozenset({"manage-accounts", "view-mail-settings"}))


async def test_a_manager_gives_only_permissions_it_has(accounts: ManageAccounts, store: LocalStore) -> None:
    await accounts.add(MANAGER, ALICE, "correct horse")
    for grants in (["manage-system-settings"], ["view-mail-settings", "a grant of another version"]):
        with pytest.raises(PermissionDenied):
            await accounts.add(MANAGER, Account("bob", frozenset(grants)), "correct horse")
        with pytest.raises(PermissionDenied):
            await accounts.set_grants(MANAGER, USER, "alice", grants)

    assert [(each.name, each.grants) for each in await accounts.list()] == [("alice", ALICE.grants)]
    assert (await records(store))[-1].outcome == AuditOutcome.DONE


async def test_a_manager_changes_no_account_above_itself(accounts: ManageAccounts, store: LocalStore) -> None:
    await accounts.add(OPERATOR, Account("root", frozenset({"manage-system-settings"})), "correct horse")
    before = await account(store, "root")
    for change in (
        accounts.set_password(MANAGER, USER, "root", "battery staple"),
        accounts.set_grants(MANAGER, USER, "root", ["view-mail-settings"]),
        accounts.unlock(MANAGER, USER, "root"),
        accounts.remove(MANAGER, USER, "root"),
    ):
        with pytest.raises(PermissionDenied):
            await change

    assert await account(store, "root") == before
    assert {each.outcome for each in (await records(store))[1:]} == {AuditOutcome.REFUSED}


async def test_callers_without_permission_manage_no_account(accounts: ManageAccounts) -> None:
    everything_else = Principal("bob", frozenset(Permission) - {Permission.ACCOUNTS_MANAGE})
    await accounts.add(OPERATOR, ALICE, "correct horse")
    for refused in (
        accounts.page(everything_else, USER),
        accounts.get(everything_else, USER, "alice"),
        accounts.add(everything_else, Account("carol", frozenset()), "correct horse"),
        accounts.set_password(everything_else, USER, "alice", "battery staple"),
        accounts.set_grants(everything_else, USER, "alice", []),
        accounts.unlock(everything_else, USER, "alice"),
        accounts.remove(everything_else, USER, "alice"),
    ):
        with pytest.raises(PermissionDenied):
            await refused

    assert await accounts.list() == [ALICE]


async def test_the_last_manager_of_accounts_stays(accounts: ManageAccounts) -> None:
    await accounts.add(OPERATOR, managing("alice"), "correct horse")
    await accounts.add(OPERATOR, Account("bob", frozenset({"view-mail-settings"})), "correct horse")
    with pytest.raises(LastAccountManager):
        await accounts.remove(MANAGER, USER, "alice")
    with pytest.raises(LastAccountManager):
        await accounts.set_grants(MANAGER, USER, "alice", ["view-mail-settings"])
    await accounts.set_grants(MANAGER, USER, "alice", ["manage-accounts"])
    await accounts.remove(MANAGER, USER, "bob")
    await accounts.add(OPERATOR, Account("robot", frozenset({"manage-accounts"}), CLIENT), "correct horse")
    await accounts.remove(MANAGER, USER, "alice")
    await accounts.remove(OPERATOR, CLIENT, "robot", even_last=True)

    assert await accounts.list() == []


async def test_short_passwords_are_refused(accounts: ManageAccounts) -> None:
    await accounts.add(OPERATOR, ALICE, "8 letter")
    with pytest.raises(InvalidSetting, match="8 characters"):
        await accounts.add(OPERATOR, Account("bob", frozenset()), "7 lette")
    with pytest.raises(InvalidSetting, match="8 characters"):
        await accounts.set_password(OPERATOR, USER, "alice", "7 lette")


async def test_facts_show_waits_and_the_last_login(accounts: ManageAccounts, store: LocalStore) -> None:
    for name in ("alice", "bob"):
        await accounts.add(OPERATOR, Account(name, ALICE.grants), "correct horse")
    async with store.writing() as work:
        for number, until in ((3, NOW + 60), (4, NOW - 60)):
            attempt = LoginAttempt("alice", f"192.0.2.{number}")
            for key in attempt.limits(known=False):
                blocked = until if key == attempt.account_from_network else 0
                await work.login_failures.remember(key, Failures(number, NOW, blocked))
        for outcome in (AuditOutcome.DONE, AuditOutcome.REFUSED):
            await work.audit.append(AuditRecord("alice", Origin(), Action.LOGIN, None, outcome))
    async with store.reading() as view:
        [login] = await view.audit.newest(AuditFilter(action=Action.LOGIN, outcome=AuditOutcome.DONE), None, 2)
    alice, bob = await accounts.page(MANAGER, USER)

    assert (alice.failed_logins, alice.locked_until, alice.last_login_at) == (7, NOW + 60, login.at)
    assert (bob.failed_logins, bob.locked_until, bob.last_login_at) == (0, None, None)
    assert alice == await accounts.get(MANAGER, USER, "alice")


async def test_each_kind_of_account_is_listed_in_pages(accounts: ManageAccounts) -> None:
    for name in ("carol", "alice", "bob"):
        await accounts.add(OPERATOR, Account(name, frozenset()), "correct horse")
    await accounts.add(OPERATOR, Account("robot", frozenset(), CLIENT), "correct horse")
    first = await accounts.page(MANAGER, USER, limit=2)
    rest = await accounts.page(MANAGER, USER, "bob", 2)

    assert [each.account.name for each in (*first, *rest)] == ["alice", "bob", "carol"]
    assert [each.account.name for each in await accounts.page(MANAGER, CLIENT)] == ["robot"]
    with pytest.raises(AccountNotFound):
        await accounts.get(MANAGER, USER, "robot")
