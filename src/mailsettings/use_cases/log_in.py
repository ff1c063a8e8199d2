"""Logging in: a name and a secret for an access token, with a wait for those who guess.

The wait is asked for twice: before the secret is looked at, which is what is slow, and again in the transaction
that settles the login. Of many guesses made side by side only as many are told from one another as of guesses
made in a row: once the wait has begun, the right one is turned away like the rest.
"""

import time
from collections.abc import Callable, Mapping

from mailsettings.domain.access import LONGEST_NAME, AccountKind, Credentials, IssuedToken, Origin
from mailsettings.domain.audit import Action, AuditOutcome, AuditRecord
from mailsettings.domain.errors import LoginRefused, TooManyLogins
from mailsettings.domain.guessing import FROM_ONE_ADDRESS, WITH_ONE_ACCOUNT, Patience, neighbourhood
from mailsettings.use_cases.metrics import UNMEASURED
from mailsettings.use_cases.ports import (
    LoginFailureReads,
    Meter,
    PasswordHasher,
    Store,
    TokenIssuer,
    UnitOfWork,
)
from mailsettings.use_cases.turned_away import TurnedAway

UNKNOWN = "an unknown name"
"""What the audit log says for it: what was typed there may have been a password."""
WRONG = {"problem": "wrong name or secret"}
DELAYED = {"problem": "too many failures"}


class LogIn:
    """Exchanges secrets for tokens that are good for *lifetime_seconds*."""

    def __init__(  # noqa: PLR0913, PLR0917  # each is one line in the composition root
        self,
        store: Store,
        passwords: PasswordHasher,
        tokens: TokenIssuer,
        turned_away: TurnedAway,
        lifetime_seconds: int,
        clock: Callable[[], float] = time.time,
        meter: Meter = UNMEASURED,
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._tokens = tokens
        self._turned_away = turned_away
        self._lifetime_seconds = lifetime_seconds
        self._clock = clock
        self._meter = meter

    async def __call__(self, kind: AccountKind, name: str, secret: str, origin: Origin) -> IssuedToken:
        """A token for the account of *name*.

        Raises `LoginRefused`, after the same work whatever was wrong, and `TooManyLogins`.
        """
        subjects = _subjects(name, origin)
        found = await self._find(kind, name)
        await self._require_no_wait(subjects, origin)
        fits = await self._passwords.verify(secret, found.password_hash if found else None)
        account = found.account if found and fits else None
        wait = await self._settle(subjects, origin, found, succeeded=account is not None)
        if wait:
            raise _too_many(wait)
        if found is None or account is None:
            raise LoginRefused
        return await self._tokens.issue(account.name, account.grants, self._lifetime_seconds, found.stamp)

    async def note_wrong_client(self, origin: Origin) -> None:
        """Count a guess at the secret of the vendor's own client, which no account has. Raises `TooManyLogins`."""
        subjects = _subjects(None, origin)
        await self._require_no_wait(subjects, origin)
        wait = await self._settle(subjects, origin, None, succeeded=False)
        if wait:
            raise _too_many(wait)

    async def _find(self, kind: AccountKind, name: str) -> Credentials | None:
        # No account has such a name, and not every database can be asked for it.
        if not name.isprintable() or len(name) > LONGEST_NAME:
            return None
        async with self._store.reading() as view:
            found = await view.accounts.find(name)
        return found if found and found.account.kind is kind else None

    async def _require_no_wait(self, subjects: Mapping[str, Patience], origin: Origin) -> None:
        async with self._store.reading() as view:
            wait = await self._wait(subjects, view.login_failures)
        if wait:
            self._meter.login_failed(delayed=True)
            await self._turned_away.note(None, origin, Action.LOGIN, None, DELAYED)
            raise _too_many(wait)

    async def _settle(
        self, subjects: Mapping[str, Patience], origin: Origin, found: Credentials | None, *, succeeded: bool
    ) -> int:
        """Count a failure, or forget those of the account; the seconds to wait, if it comes to that after all."""
        name = found.account.name if found else UNKNOWN
        async with self._store.writing() as work:
            wait = await self._wait(subjects, work.login_failures)
            if succeeded and not wait:
                await work.login_failures.forget(account_subject(name))
                await work.audit.append(_record(name, origin, AuditOutcome.DONE, {}))
                return 0
            if not wait:
                await self._count(subjects, work)
            await work.audit.append(_record(name, origin, AuditOutcome.REFUSED, DELAYED if wait else WRONG))
        self._meter.login_failed(delayed=bool(wait))
        return wait

    async def _wait(self, subjects: Mapping[str, Patience], failures: LoginFailureReads) -> int:
        now = self._clock()
        return max([(await failures.of(subject)).wait_seconds(now) for subject in subjects], default=0)

    async def _count(self, subjects: Mapping[str, Patience], work: UnitOfWork) -> None:
        now = self._clock()
        for subject, patience in subjects.items():
            failures = await work.login_failures.of(subject)
            await work.login_failures.remember(subject, patience.after_failure(failures, now))
        longest = max(WITH_ONE_ACCOUNT.forgotten_after_seconds, FROM_ONE_ADDRESS.forgotten_after_seconds)
        await work.login_failures.forget_before(now - longest)


def account_subject(name: str) -> str:
    """What failed logins by one name have in common."""
    return f"account|{name}"


def _subjects(name: str | None, origin: Origin) -> Mapping[str, Patience]:
    subjects = {} if name is None else {account_subject(name): WITH_ONE_ACCOUNT}
    if origin.address is not None:
        subjects[f"address|{neighbourhood(origin.address)}"] = FROM_ONE_ADDRESS
    return subjects


def _too_many(wait: int) -> TooManyLogins:
    return TooManyLogins("Too many failed logins.", wait)


def _record(name: str, origin: Origin, outcome: AuditOutcome, details: Mapping[str, object]) -> AuditRecord:
    return AuditRecord(name, origin, Action.LOGIN, None, outcome, details)
