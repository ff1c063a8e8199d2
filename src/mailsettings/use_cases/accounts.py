"""Accounts: those who can log in here, and logging in."""

from collections.abc import Sequence

from mailsettings.domain.access import Account, Credentials
from mailsettings.domain.errors import LoginRefused
from mailsettings.use_cases.ports import PasswordHasher, Store


class KeepAccounts:
    """The accounts of this service; the command line is the only caller, so no permission is asked."""

    def __init__(self, store: Store, passwords: PasswordHasher) -> None:
        self._store = store
        self._passwords = passwords

    async def list(self) -> Sequence[Account]:
        """All accounts, by name."""
        async with self._store.reading() as work:
            return await work.accounts.list()

    async def add(self, account: Account, password: str) -> None:
        """Store a new account. Raises `AccountExists`."""
        credentials = Credentials(account, await self._passwords.hash(password))
        async with self._store.writing() as work:
            await work.accounts.add(credentials)

    async def add_first(self, account: Account, password: str) -> bool:
        """Store *account* if there is no account at all yet; whether it was."""
        credentials = Credentials(account, await self._passwords.hash(password))
        async with self._store.writing() as work:
            if await work.accounts.list():
                return False
            await work.accounts.add(credentials)
            return True

    async def set_password(self, name: str, password: str) -> None:
        """Give an account another password. Raises `AccountNotFound`."""
        password_hash = await self._passwords.hash(password)
        async with self._store.writing() as work:
            await work.accounts.set_password_hash(name, password_hash)

    async def remove(self, name: str) -> None:
        """Remove an account. Raises `AccountNotFound`."""
        async with self._store.writing() as work:
            await work.accounts.remove(name)

    async def log_in(self, name: str, password: str) -> Account:
        """The account of *name*. Raises `LoginRefused`, after the same work whatever was wrong."""
        found = await self._find(name)
        fits = await self._passwords.verify(password, found.password_hash if found else None)
        if found is None or not fits:
            raise LoginRefused
        return found.account

    async def _find(self, name: str) -> Credentials | None:
        if not name.isprintable():  # no account has such a name, and not every database can be asked for it
            return None
        async with self._store.reading() as view:
            return await view.accounts.find(name)
