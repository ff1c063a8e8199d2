"""A caller's own account: the password under login throttling, and the end of its sessions."""

from dataclasses import replace

import pytest

from mailsettings.domain.access import OPERATOR, Account, AccountKind, Origin, Principal
from mailsettings.domain.audit_log import Action, AuditOutcome
from mailsettings.domain.errors import AccountNotFound, InvalidSetting, LoginRefused, TooManyLogins
from mailsettings.domain.login_throttling import ACCOUNT_FROM_NETWORK_LIMIT
from mailsettings.use_cases.accounts import ManageAccounts
from mailsettings.use_cases.denial_log import DenialLog
from mailsettings.use_cases.login import LogIn
from mailsettings.use_cases.own_account import OwnAccount

from support.canary import Canary
from support.databases import LocalStore, account, records
from support.fakes import NamesAsTokens, PlainPasswords

ALICE = Principal("alice", frozenset(), Origin("192.0.2.1", "request 1"), stamp="the stamp")
ROBOT = replace(ALICE, name="robot")


@pytest.fixture
async def own(local_store: LocalStore) -> OwnAccount:
    passwords = PlainPasswords()
    accounts = ManageAccounts(local_store, passwords)
    await accounts.add(OPERATOR, Account("alice", frozenset()), "correct horse")
    await accounts.add(OPERATOR, Account("robot", frozenset(), AccountKind.CLIENT), "correct horse")
    log_in = LogIn(local_store, passwords, NamesAsTokens(), DenialLog(local_store), 3600, lambda: 1000.0)
    return OwnAccount(local_store, passwords, log_in)


async def test_a_person_changes_its_own_password(own: OwnAccount, local_store: LocalStore, canary: Canary) -> None:
    before = await account(local_store, "alice")
    await own.set_password(ALICE, "correct horse", str(canary))
    after = await account(local_store, "alice")
    changed = [each for each in await records(local_store) if each.action == Action.ACCOUNT_SET_PASSWORD]

    assert after.stamp != before.stamp
    assert [(each.actor, each.target, each.outcome) for each in changed] == [("alice", "alice", AuditOutcome.DONE)]
    canary.assert_nowhere(repr(await records(local_store)))


async def test_a_wrong_current_password_counts_as_a_failed_login(own: OwnAccount, local_store: LocalStore) -> None:
    before = await account(local_store, "alice")
    for _ in range(ACCOUNT_FROM_NETWORK_LIMIT.free_failures):
        with pytest.raises(LoginRefused):
            await own.set_password(ALICE, "wrong", "battery staple")
    with pytest.raises(TooManyLogins):
        await own.set_password(ALICE, "correct horse", "battery staple")

    assert await account(local_store, "alice") == before


async def test_a_short_new_password_is_refused(own: OwnAccount) -> None:
    with pytest.raises(InvalidSetting, match="8 characters"):
        await own.set_password(ALICE, "correct horse", "7 lette")


async def test_a_password_that_changed_meanwhile_is_not_overwritten(local_store: LocalStore) -> None:
    class Slow(PlainPasswords):
        """An administrator sets another password while this one is hashed."""

        async def hash(self, password: str) -> str:
            await ManageAccounts(local_store, PlainPasswords()).set_password(
                OPERATOR, AccountKind.USER, "alice", "set by an administrator"
            )
            return await super().hash(password)

    await ManageAccounts(local_store, PlainPasswords()).add(
        OPERATOR, Account("alice", frozenset()), "correct horse"
    )
    log_in = LogIn(local_store, PlainPasswords(), NamesAsTokens(), DenialLog(local_store), 3600)
    with pytest.raises(LoginRefused):
        await OwnAccount(local_store, Slow(), log_in).set_password(ALICE, "correct horse", "battery staple")

    assert (await account(local_store, "alice")).password_hash == "hash of set by an administrator"


async def test_sessions_end_with_a_new_stamp_and_the_same_password(
    own: OwnAccount, local_store: LocalStore
) -> None:
    before = await account(local_store, "robot")
    await own.end_sessions(ROBOT)
    after = await account(local_store, "robot")

    assert (after.account, after.password_hash) == (before.account, before.password_hash)
    assert after.stamp != before.stamp
    assert (await records(local_store))[-1].action == Action.ACCOUNT_END_SESSIONS


async def test_a_token_without_an_account_changes_none(own: OwnAccount, local_store: LocalStore) -> None:
    namesake = replace(ALICE, stamp=None)
    before = await account(local_store, "alice")
    with pytest.raises(AccountNotFound):
        await own.end_sessions(namesake)
    with pytest.raises(AccountNotFound):
        await own.set_password(namesake, "correct horse", "battery staple")
    with pytest.raises(AccountNotFound):
        await own.set_password(ROBOT, "correct horse", "battery staple")

    assert await account(local_store, "alice") == before
    assert [await own.kind(caller) for caller in (ALICE, ROBOT, namesake)] == ["user", "client", None]
