"""Accounts and logging in."""

import pytest

from mailsettings.domain.access import Account
from mailsettings.domain.errors import AccountExists, AccountNotFound, InvalidSetting, LoginRefused
from mailsettings.use_cases.accounts import KeepAccounts

from fakes import InMemoryStore, PlainPasswords

ALICE = Account("alice", frozenset({"view-mail-settings"}))


@pytest.fixture
def accounts() -> KeepAccounts:
    return KeepAccounts(InMemoryStore(), PlainPasswords())


async def test_an_account_logs_in_with_its_password_only(accounts: KeepAccounts) -> None:
    await accounts.add(ALICE, "correct horse")

    assert await accounts.log_in("alice", "correct horse") == ALICE
    for name, password in [
        ("alice", "wrong"),
        ("bob", "correct horse"),
        ("ALICE", "correct horse"),
        ("", ""),
    ]:
        with pytest.raises(LoginRefused):
            await accounts.log_in(name, password)


async def test_a_changed_password_takes_the_place_of_the_old_one(accounts: KeepAccounts) -> None:
    await accounts.add(ALICE, "correct horse")
    await accounts.set_password("alice", "battery staple")

    assert await accounts.log_in("alice", "battery staple") == ALICE
    with pytest.raises(LoginRefused):
        await accounts.log_in("alice", "correct horse")


async def test_a_removed_account_does_not_log_in(accounts: KeepAccounts) -> None:
    await accounts.add(ALICE, "correct horse")
    await accounts.remove("alice")

    with pytest.raises(LoginRefused):
        await accounts.log_in("alice", "correct horse")


@pytest.mark.parametrize("name", ["", "a\0b", "a\nb", "x" * 256, "\ud800"], ids=ascii)
async def test_a_name_that_cannot_be_one_is_refused(accounts: KeepAccounts, name: str) -> None:
    with pytest.raises(InvalidSetting):
        Account(name, frozenset())
    with pytest.raises(LoginRefused):
        await accounts.log_in(name, "correct horse")


async def test_names_are_given_once_and_have_to_exist(accounts: KeepAccounts) -> None:
    await accounts.add(ALICE, "correct horse")

    with pytest.raises(AccountExists):
        await accounts.add(ALICE, "battery staple")
    with pytest.raises(AccountNotFound):
        await accounts.remove("bob")
    with pytest.raises(AccountNotFound):
        await accounts.set_password("bob", "battery staple")


async def test_a_first_account_is_made_only_where_there_is_none(accounts: KeepAccounts) -> None:
    assert await accounts.add_first(ALICE, "correct horse")
    assert not await accounts.add_first(Account("bob", frozenset()), "battery staple")
    assert await accounts.list() == [ALICE]
