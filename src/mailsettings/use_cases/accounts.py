"""Accounts: the users and clients that can log in, and their permissions."""

from collections.abc import Iterable, Sequence

from mailsettings.domain.access import Account, AccountKind, Credentials, Principal
from mailsettings.domain.audit_log import Action
from mailsettings.domain.errors import AccountNotFound
from mailsettings.store.database import SQLStore
from mailsettings.use_cases.audit_log import AuditedChange, audited
from mailsettings.use_cases.ports import PasswordHasher


class ManageAccounts:
    """Manages the accounts; only the command line calls it, so it checks no permission."""

    def __init__(self, store: SQLStore, passwords: PasswordHasher) -> None:
        self._store = store
        self._passwords = passwords

    async def list(self) -> Sequence[Account]:
        """Return all accounts by name."""
        async with self._store.reading() as work:
            return await work.accounts.list()

    async def add(self, caller: Principal, account: Account, password: str) -> None:
        """Store a new account. Raises `AccountExists`."""
        # Hashing is slow by design, so it happens before the transaction takes the writer's lock.
        credentials = Credentials(account, await self._passwords.hash(password))
        async with audited(self._store, caller, Action.ACCOUNT_ADD, account.name) as change:
            await _add(change, credentials)

    async def add_first(self, caller: Principal, account: Account, password: str) -> bool:
        """Store *account* if no account was ever stored; return whether it was.

        A removed one does not come back.
        """
        credentials = Credentials(account, await self._passwords.hash(password))
        async with self._store.writing() as work:
            if await work.accounts.list() or await work.audit.has(Action.ACCOUNT_ADD):
                return False
            change = AuditedChange(work, Action.ACCOUNT_ADD, account.name)
            await _add(change, credentials)
            await change.write(caller)
            return True

    async def set_password(self, caller: Principal, kind: AccountKind, name: str, password: str) -> None:
        """Change the password of an account; its tokens become invalid. Raises `AccountNotFound`."""
        password_hash = await self._passwords.hash(password)
        async with audited(self._store, caller, Action.ACCOUNT_SET_PASSWORD, name) as change:
            stored = await _existing(change, kind, name)
            await change.work.accounts.set_password(Credentials(stored.account, password_hash))
            await change.work.known_networks.forget_account(name)

    async def set_grants(self, caller: Principal, kind: AccountKind, name: str, grants: Iterable[str]) -> None:
        """Change the grants of an account, effective at its next request. Raises `AccountNotFound`."""
        async with audited(self._store, caller, Action.ACCOUNT_SET_PERMISSIONS, name) as change:
            before = (await _existing(change, kind, name)).account.grants
            change.details["permissions"] = {"before": sorted(before), "after": sorted(grants)}
            await change.work.accounts.set_grants(name, grants)

    async def remove(self, caller: Principal, kind: AccountKind, name: str) -> None:
        """Remove an account; its tokens become invalid. Raises `AccountNotFound`."""
        async with audited(self._store, caller, Action.ACCOUNT_REMOVE, name) as change:
            await _existing(change, kind, name)
            await change.work.accounts.remove(name)
            await change.work.known_networks.forget_account(name)

    async def unlock(self, caller: Principal, kind: AccountKind, name: str) -> None:
        """Forget the failed logins of an account from all addresses. Raises `AccountNotFound`."""
        async with audited(self._store, caller, Action.ACCOUNT_UNLOCK, name) as change:
            await _existing(change, kind, name)
            await change.work.login_failures.forget_account(name)


async def _add(change: AuditedChange, credentials: Credentials) -> None:
    account = credentials.account
    change.details.update(kind=account.kind.value, permissions=sorted(account.grants))
    await change.work.accounts.add(credentials)


async def _existing(change: AuditedChange, kind: AccountKind, name: str) -> Credentials:
    stored = await change.work.accounts.find(name)
    if stored is None or stored.account.kind is not kind:
        raise AccountNotFound(name)
    return stored
