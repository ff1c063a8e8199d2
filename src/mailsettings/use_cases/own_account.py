"""A caller's own account: its password, and the end of its sessions. No permission is needed."""

from mailsettings.domain.access import AccountKind, Credentials, Principal, require_strong
from mailsettings.domain.audit_log import Action
from mailsettings.domain.errors import AccountNotFound, LoginRefused
from mailsettings.store.database import SQLStore
from mailsettings.use_cases.audit_log import audited
from mailsettings.use_cases.login import LogIn
from mailsettings.use_cases.ports import PasswordHasher


class OwnAccount:
    """Changes the account of the caller; a token without an account has none, whatever its name is."""

    def __init__(self, store: SQLStore, passwords: PasswordHasher, log_in: LogIn) -> None:
        self._store = store
        self._passwords = passwords
        self._log_in = log_in

    async def kind(self, caller: Principal) -> AccountKind | None:
        """Return the kind of the caller's account; None without an account."""
        if not caller.has_account:
            return None
        async with self._store.reading() as view:
            found = await view.accounts.find(caller.name)
        return None if found is None else found.account.kind

    async def set_password(self, caller: Principal, current: str, new: str) -> None:
        """Change the caller's own password; all tokens of the account become invalid.

        A wrong current password counts as a failed login, so it cannot be guessed here faster than at a login.
        Raises `AccountNotFound`, `InvalidSetting`, `LoginRefused`, `TooManyLogins`.
        """
        if await self.kind(caller) is not AccountKind.USER:
            raise AccountNotFound(caller.name)
        require_strong(new)
        checked = await self._log_in.check(AccountKind.USER, caller.name, current, caller.origin)
        changed = Credentials(checked.account, await self._passwords.hash(new))
        async with audited(self._store, caller, Action.ACCOUNT_SET_PASSWORD, caller.name) as change:
            stored = await change.work.accounts.find(caller.name)
            # The password was changed, or the account removed, since it was checked.
            if stored is None or stored.stamp != checked.stamp:
                raise LoginRefused
            await change.work.accounts.set_password(changed)
            await change.work.known_networks.forget_account(caller.name)

    async def end_sessions(self, caller: Principal) -> None:
        """Make all tokens of the caller's account invalid. Raises `AccountNotFound`."""
        async with audited(self._store, caller, Action.ACCOUNT_END_SESSIONS, caller.name) as change:
            stored = await change.work.accounts.find(caller.name) if caller.has_account else None
            if stored is None:
                raise AccountNotFound(caller.name)
            # The same hash with a new stamp.
            await change.work.accounts.set_password(Credentials(stored.account, stored.password_hash))
