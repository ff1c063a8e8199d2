"""Accounts in the database: the same promises on SQLite and PostgreSQL."""

import pytest

from mailsettings.domain.access import Account, Credentials
from mailsettings.domain.errors import AccountExists, AccountNotFound
from mailsettings.store.database import SQLStore

ALICE = Credentials(Account("Ålice 👍", frozenset({"view-mail-settings", "manage-system-settings"})), "$hash")


async def test_an_account_is_read_as_it_was_stored(store: SQLStore) -> None:
    async with store.writing() as work:
        await work.accounts.add(ALICE)
        await work.accounts.add(Credentials(Account("bob", frozenset()), "$other"))
        await work.accounts.set_password(Credentials(Account("bob", frozenset()), "$changed", "stamp"))
        await work.accounts.set_grants("bob", ["view-mail-settings"])

    async with store.reading() as view:
        assert await view.accounts.find(ALICE.account.name) == ALICE
        assert await view.accounts.find("BOB") is None
        assert [account.name for account in await view.accounts.list()] == ["bob", ALICE.account.name]
        bob = await view.accounts.find("bob")
    assert bob is not None
    assert (bob.password_hash, bob.stamp) == ("$changed", "stamp")
    assert bob.account.grants == {"view-mail-settings"}
    assert "$" not in repr(bob)


async def test_a_name_is_unique_and_must_exist(store: SQLStore) -> None:
    async def add() -> None:
        async with store.writing() as work:
            await work.accounts.add(ALICE)

    async def remove(name: str) -> None:
        async with store.writing() as work:
            await work.accounts.remove(name)

    async def set_grants(name: str) -> None:
        async with store.writing() as work:
            await work.accounts.set_grants(name, [])

    await add()
    with pytest.raises(AccountExists):
        await add()
    with pytest.raises(AccountNotFound):
        await remove("nobody")
    with pytest.raises(AccountNotFound):
        await set_grants("nobody")
    await remove(ALICE.account.name)

    async with store.reading() as view:
        assert await view.accounts.list() == []
