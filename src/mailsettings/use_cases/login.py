"""Logging in with a name and a secret, and finding the caller that an access token stands for.

The wait after failed logins is checked twice: before the slow password hash is computed, and again
in the transaction that records the outcome. So an attacker who guesses in parallel learns the outcome of no more
guesses than in sequence: once the wait has begun, even the right secret is refused.

An access token names its account; its permissions and whether it is still valid are read from the store for each
request. So a removed account, a changed password and a removed permission take effect at the next request, on
every replica.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache

from mailsettings.domain.access import (
    MAX_ACCOUNT_NAME_LENGTH,
    AccountKind,
    Credentials,
    Grants,
    IssuedToken,
    Moment,
    Origin,
    Permission,
    Principal,
)
from mailsettings.domain.audit_log import Action, AuditOutcome, AuditRecord
from mailsettings.domain.errors import LoginRefused, NotAuthenticated, TooManyLogins
from mailsettings.domain.login_throttling import MAX_MEMORY_SECONDS, Failures, Limit, LoginAttempt, ThrottleKey
from mailsettings.store.access import SQLKnownNetworks, SQLLoginFailures
from mailsettings.store.database import SQLStore
from mailsettings.use_cases.audit_log import error_name
from mailsettings.use_cases.denial_log import DenialLog
from mailsettings.use_cases.metrics import NO_METRICS
from mailsettings.use_cases.ports import Meter, PasswordHasher, TokenIssuer, TokenReader

_log = logging.getLogger("mailsettings.login")


class Authenticator:
    """Finds the principal of a token; *grants* maps each grant to its permissions."""

    def __init__(self, store: SQLStore, tokens: TokenReader, grants: Grants, denial_log: DenialLog) -> None:
        self._store = store
        self._tokens = tokens
        self._grants = grants
        self._denial_log = denial_log
        self._permissions = lru_cache(256)(self._union)

    async def by_token(self, token: str, origin: Origin, moment: Moment | None = None) -> Principal:
        """Return the principal of *token* at *moment*. Raises `NotAuthenticated`, `IdentityUnavailable`."""
        try:
            claims = await self._tokens.read(token)
            granted = claims.grants
            if claims.stamp is not None:
                granted = await self._granted_now(claims.subject, claims.stamp, moment)
        except NotAuthenticated as refused:
            _log.info("Refused an access token from %s: %s.", origin.address, refused.reason)
            details = {"problem": error_name(refused), "reason": refused.reason}
            await self._denial_log.note(None, origin, Action.ACCESS, None, details)
            raise
        return Principal(claims.subject, self._permissions(granted), origin, moment, claims.stamp)

    async def confirmed(self, caller: Principal) -> Principal:
        """Return *caller* with its current permissions, for an operation that takes long.

        A token without an account keeps its permissions. Raises `NotAuthenticated`.
        """
        if caller.stamp is None:
            return caller
        granted = await self._granted_now(caller.name, caller.stamp, None)
        return replace(caller, permissions=self._permissions(granted))

    async def denied(self, caller: Principal, permission: Permission) -> None:
        """Record that *caller* lacked *permission*."""
        details = {"permission": permission.value}
        await self._denial_log.note(caller.name, caller.origin, Action.ACCESS, None, details)

    def _union(self, granted: frozenset[str]) -> frozenset[Permission]:
        return frozenset[Permission]().union(*(self._grants.get(name, frozenset()) for name in granted))

    async def _granted_now(self, name: str, stamp: str, moment: Moment | None) -> frozenset[str]:
        found = await self._store.cache.account(name, moment)
        if found is None or found.stamp != stamp:
            reason = "its account was removed, or its password was changed or its sessions were ended"
            raise NotAuthenticated("The access token is no longer good.", presented=True, reason=reason)
        return found.account.grants


UNKNOWN_ACTOR = "an unknown name"
"""The actor in the audit log for an unknown name, because the name may be a password in the wrong field."""
WRONG_SECRET_DETAILS = {"problem": "wrong name or secret"}
THROTTLED_DETAILS = {"problem": "too many failures"}


class LogIn:
    """Exchanges a secret for a token that is valid for *lifetime_seconds*."""

    def __init__(  # noqa: PLR0913, PLR0917  # each is one line in the composition root
        self,
        store: SQLStore,
        passwords: PasswordHasher,
        tokens: TokenIssuer,
        denial_log: DenialLog,
        lifetime_seconds: int,
        clock: Callable[[], float] = time.time,
        meter: Meter = NO_METRICS,
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._tokens = tokens
        self._denial_log = denial_log
        self._lifetime_seconds = lifetime_seconds
        self._clock = clock
        self._meter = meter

    async def __call__(self, kind: AccountKind, name: str, secret: str, origin: Origin) -> IssuedToken:
        """Return a token for the account *name*. Raises `LoginRefused`, `TooManyLogins`."""
        found = await self.check(kind, name, secret, origin)
        return await self._tokens.issue(
            found.account.name, found.account.grants, self._lifetime_seconds, found.stamp
        )

    async def check(self, kind: AccountKind, name: str, secret: str, origin: Origin) -> Credentials:
        """Return the account *name* with this secret. Raises `LoginRefused`, `TooManyLogins`.

        A refusal takes the same work whatever was wrong, so its duration does not reveal which names exist.
        """
        attempt = LoginAttempt(name, origin.address)
        found = await self._find(kind, name)
        await self._require_no_wait(attempt, origin)
        password_hash = found.password_hash if found else None
        # Also without an account: equal work for unknown names keeps them secret (OWASP ASVS 5.0, 6.3.8).
        fits = await self._passwords.verify(secret, password_hash, attempt.callers)
        wait = await self._settle(attempt, origin, found, succeeded=found is not None and fits)
        if wait:
            raise _too_many(wait)
        if found is None or not fits:
            raise LoginRefused
        return found

    async def note_wrong_client(self, origin: Origin) -> None:
        """Count a guess at the secret of the vendor's own client, which has no account. Raises `TooManyLogins`."""
        attempt = LoginAttempt(None, origin.address)
        await self._require_no_wait(attempt, origin)
        wait = await self._settle(attempt, origin, None, succeeded=False)
        if wait:
            raise _too_many(wait)

    async def _find(self, kind: AccountKind, name: str) -> Credentials | None:
        # No account has such a name, and PostgreSQL rejects some of them (U+0000) in a query.
        if not name.isprintable() or len(name) > MAX_ACCOUNT_NAME_LENGTH:
            return None
        found = await self._store.cache.account(name)
        return found if found and found.account.kind is kind else None

    async def _require_no_wait(self, attempt: LoginAttempt, origin: Origin) -> None:
        async with self._store.reading() as view:
            limits = await self._limits(attempt, view.known_networks)
            wait = _max_wait(await view.login_failures.of(limits.keys()), self._clock())
        if wait:
            self._meter.login_failed(delayed=True)
            await self._denial_log.note(None, origin, Action.LOGIN, None, THROTTLED_DETAILS)
            raise _too_many(wait)

    async def _settle(
        self, attempt: LoginAttempt, origin: Origin, found: Credentials | None, *, succeeded: bool
    ) -> int:
        """Count a failure, or reset the failures after a success. Return the seconds to wait, if any."""
        name = found.account.name if found else UNKNOWN_ACTOR
        async with self._store.writing() as work:
            limits = await self._limits(attempt, work.known_networks)
            failures = await work.login_failures.of(limits.keys())
            wait = _max_wait(failures, self._clock())
            if succeeded and not wait:
                await work.login_failures.forget(attempt.account_from_network)
                await work.known_networks.remember(attempt, self._clock())
                await work.audit.append(_record(name, origin, AuditOutcome.DONE, {}))
                return 0
            if not wait:
                await self._count(limits, failures, work.login_failures)
            await work.audit.append(
                _record(name, origin, AuditOutcome.REFUSED, THROTTLED_DETAILS if wait else WRONG_SECRET_DETAILS)
            )
        self._meter.login_failed(delayed=bool(wait))
        return wait

    async def _limits(self, attempt: LoginAttempt, networks: SQLKnownNetworks) -> Mapping[ThrottleKey, Limit]:
        return attempt.limits(known=await networks.knows(attempt, self._clock()))

    async def _count(
        self,
        limits: Mapping[ThrottleKey, Limit],
        before: Mapping[ThrottleKey, Failures],
        failures: SQLLoginFailures,
    ) -> None:
        now = self._clock()
        for subject, limit in limits.items():
            await failures.remember(subject, limit.after_failure(before[subject], now))
        await failures.forget_before(now - MAX_MEMORY_SECONDS)


def _max_wait(failures: Mapping[ThrottleKey, Failures], now: float) -> int:
    return max((each.wait_seconds(now) for each in failures.values()), default=0)


def _too_many(wait: int) -> TooManyLogins:
    return TooManyLogins("Too many failed logins.", wait)


def _record(name: str, origin: Origin, outcome: AuditOutcome, details: Mapping[str, object]) -> AuditRecord:
    return AuditRecord(name, origin, Action.LOGIN, None, outcome, details)
