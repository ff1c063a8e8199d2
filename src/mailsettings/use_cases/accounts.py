"""Accounts: the users and clients that can log in, and their permissions.

A caller manages only accounts that have no permission which the caller lacks, and gives only permissions that the
caller has. Otherwise the permission to manage accounts would be all permissions.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from mailsettings.domain.access import (
    Account,
    AccountFacts,
    AccountKind,
    Credentials,
    Grants,
    Permission,
    Principal,
    permissions_of,
    require_strong,
)
from mailsettings.domain.audit_log import Action, AuditFilter, AuditOutcome
from mailsettings.domain.errors import AccountNotFound, LastAccountManager
from mailsettings.store.database import SQLStore
from mailsettings.store.transaction import Transaction
from mailsettings.use_cases.audit_log import AuditedChange, audited
from mailsettings.use_cases.ports import PasswordHasher


class ManageAccounts:
    """Manages the accounts; *grants* maps each grant to its permissions."""

    def __init__(
        self,
        store: SQLStore,
        passwords: PasswordHasher,
        grants: Grants | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._grants = grants or {}
        self._clock = clock

    async def list(self) -> Sequence[Account]:
        """Return all accounts by name, for the program itself."""
        async with self._store.reading() as work:
            return await work.accounts.list()

    async def page(
        self, caller: Principal, kind: AccountKind, after: str = "", limit: int = 100
    ) -> Sequence[AccountFacts]:
        """Return at most *limit* accounts of this kind after the name *after*. Raises `PermissionDenied`."""
        caller.require(Permission.ACCOUNTS_MANAGE)
        async with self._store.reading() as view:
            return [await self._with_logins(view, each) for each in await view.accounts.page(kind, after, limit)]

    async def get(self, caller: Principal, kind: AccountKind, name: str) -> AccountFacts:
        """Return one account. Raises `PermissionDenied`, `AccountNotFound`."""
        caller.require(Permission.ACCOUNTS_MANAGE)
        async with self._store.reading() as view:
            found = await _existing(view, kind, name)
            created_at = await view.accounts.created_at(name)
            return await self._with_logins(view, AccountFacts(found.account, created_at))

    async def add(self, caller: Principal, account: Account, password: str) -> None:
        """Store a new account. Raises `PermissionDenied`, `InvalidSetting`, `AccountExists`."""
        require_strong(password)
        self._require_rights(caller, account.grants)
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
            # A removed account is in the audit log; without this question each start would create another.
            if await work.accounts.list() or await work.audit.has(Action.ACCOUNT_ADD):
                return False
            change = AuditedChange(work, Action.ACCOUNT_ADD, account.name)
            await _add(change, credentials)
            await change.write(caller)
            return True

    async def set_password(self, caller: Principal, kind: AccountKind, name: str, password: str) -> None:
        """Change the password of an account; its tokens become invalid.

        Raises `PermissionDenied`, `InvalidSetting`, `AccountNotFound`.
        """
        require_strong(password)
        caller.require(Permission.ACCOUNTS_MANAGE)
        password_hash = await self._passwords.hash(password)
        async with audited(self._store, caller, Action.ACCOUNT_SET_PASSWORD, name) as change:
            stored = await self._managed(change.work, caller, kind, name)
            await change.work.accounts.set_password(Credentials(stored, password_hash))
            # A person who knew the old password may have logged in from these networks.
            await change.work.known_networks.forget_account(name)

    async def set_grants(
        self, caller: Principal, kind: AccountKind, name: str, grants: Iterable[str], *, even_last: bool = False
    ) -> None:
        """Change the grants of an account, effective at its next request.

        Raises `PermissionDenied`, `AccountNotFound`, and unless *even_last*, `LastAccountManager`.
        """
        chosen = sorted(grants)
        self._require_rights(caller, chosen)
        async with audited(self._store, caller, Action.ACCOUNT_SET_PERMISSIONS, name) as change:
            stored = await self._managed(change.work, caller, kind, name)
            change.details["permissions"] = {"before": sorted(stored.grants), "after": chosen}
            if not even_last and not self._manages(chosen):
                await self._require_another_manager(change.work, stored)
            await change.work.accounts.set_grants(name, chosen)

    async def remove(self, caller: Principal, kind: AccountKind, name: str, *, even_last: bool = False) -> None:
        """Remove an account; its tokens become invalid.

        Raises `PermissionDenied`, `AccountNotFound`, and unless *even_last*, `LastAccountManager`.
        """
        caller.require(Permission.ACCOUNTS_MANAGE)
        async with audited(self._store, caller, Action.ACCOUNT_REMOVE, name) as change:
            stored = await self._managed(change.work, caller, kind, name)
            if not even_last:
                await self._require_another_manager(change.work, stored)
            await change.work.accounts.remove(name)
            await change.work.known_networks.forget_account(name)

    async def unlock(self, caller: Principal, kind: AccountKind, name: str) -> None:
        """Forget the failed logins of an account from all addresses.

        Raises `PermissionDenied`, `AccountNotFound`.
        """
        caller.require(Permission.ACCOUNTS_MANAGE)
        async with audited(self._store, caller, Action.ACCOUNT_UNLOCK, name) as change:
            await self._managed(change.work, caller, kind, name)
            await change.work.login_failures.forget_account(name)

    def _require_rights(self, caller: Principal, grants: Iterable[str]) -> None:
        """Raise `PermissionDenied` unless *caller* manages accounts and has all permissions of *grants*."""
        caller.require(Permission.ACCOUNTS_MANAGE)
        caller.require_all(permissions_of(grants, self._grants))

    async def _managed(self, work: Transaction, caller: Principal, kind: AccountKind, name: str) -> Account:
        stored = (await _existing(work, kind, name)).account
        self._require_rights(caller, stored.grants)
        return stored

    def _manages(self, grants: Iterable[str]) -> bool:
        return any(Permission.ACCOUNTS_MANAGE in self._grants.get(name, ()) for name in grants)

    async def _require_another_manager(self, work: Transaction, leaving: Account) -> None:
        if not self._manages(leaving.grants):
            return
        others = [each for each in await work.accounts.list() if each.name != leaving.name]
        if not any(self._manages(each.grants) for each in others):
            raise LastAccountManager

    async def _with_logins(self, view: Transaction, facts: AccountFacts) -> AccountFacts:
        name = facts.account.name
        failures = await view.login_failures.of_account(name)
        logins = AuditFilter(actor=name, action=Action.LOGIN, outcome=AuditOutcome.DONE)
        last = await view.audit.newest(logins, None, 1)
        return replace(
            facts,
            failed_logins=failures.count,
            locked_until=failures.blocked_until if failures.blocked_until > self._clock() else None,
            last_login_at=last[0].at if last else None,
        )


async def _add(change: AuditedChange, credentials: Credentials) -> None:
    account = credentials.account
    change.details.update(kind=account.kind.value, permissions=sorted(account.grants))
    await change.work.accounts.add(credentials)


async def _existing(work: Transaction, kind: AccountKind, name: str) -> Credentials:
    stored = await work.accounts.find(name)
    if stored is None or stored.account.kind is not kind:
        # A client is no account of a person, and the reverse: each path shows its own kind only.
        raise AccountNotFound(name)
    return stored
