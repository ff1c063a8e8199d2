"""Accounts, failed logins and known networks in the database."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, delete, exists, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.domain.access import Account, AccountFacts, AccountKind, Credentials
from mailsettings.domain.errors import AccountExists, AccountNotFound
from mailsettings.domain.login_throttling import (
    KNOWN_NETWORK_SECONDS,
    MAX_KNOWN_NETWORKS_PER_ACCOUNT,
    Failures,
    LoginAttempt,
    ThrottleKey,
)
from mailsettings.store.audit_log import SQLAuditLog
from mailsettings.store.tables import DATA_VERSION
from mailsettings.store.tables import accounts as table
from mailsettings.store.tables import known_networks as network_rows
from mailsettings.store.tables import login_failures as failure_rows


class SQLAccounts:
    """The accounts, in one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def list(self) -> Sequence[Account]:
        """Return all accounts by name."""
        rows = await self._connection.execute(select(table).order_by(table.c.name))
        return [_account(row) for row in rows]

    async def page(self, kind: AccountKind, after: str, limit: int) -> Sequence[AccountFacts]:
        """Return at most *limit* accounts of this kind after the name *after*, by name, without their logins."""
        page = select(table).where(table.c.kind == kind.value, table.c.name > after)
        rows = await self._connection.execute(page.order_by(table.c.name).limit(limit))
        return [AccountFacts(_account(row), row.created_at) for row in rows]

    async def created_at(self, name: str) -> datetime:
        """Return when the account was created."""
        created = select(table.c.created_at).where(table.c.name == name)
        at: datetime = (await self._connection.execute(created)).scalar_one()
        return at

    async def find(self, name: str) -> Credentials | None:
        """Return the account with exactly this name, with its password hash."""
        return (await self.versioned(name))[0]

    async def versioned(self, name: str) -> tuple[Credentials | None, str | None]:
        """Return the account with exactly this name, and the data version with an account."""
        rows = await self._connection.execute(select(table, DATA_VERSION).where(table.c.name == name))
        row = rows.one_or_none()
        if row is None:
            return None, None
        return Credentials(_account(row), row.password_hash, row.security_stamp), row.data_version

    async def add(self, credentials: Credentials) -> None:
        """Store a new account. Raises `AccountExists`."""
        account = credentials.account
        new = {
            "name": account.name,
            "kind": account.kind.value,
            "password_hash": credentials.password_hash,
            "security_stamp": credentials.stamp,
            "grants": _grants(account.grants),
            "created_at": datetime.now(UTC),
        }
        try:
            await self._connection.execute(insert(table).values(new))
        # Without the cause, which may repeat values of the row.
        except IntegrityError:
            raise AccountExists(account.name) from None

    async def set_password(self, credentials: Credentials) -> None:
        """Replace the password hash and its stamp. Raises `AccountNotFound`."""
        changed = {"password_hash": credentials.password_hash, "security_stamp": credentials.stamp}
        await self._change(credentials.account.name, changed)

    async def set_grants(self, name: str, grants: Iterable[str]) -> None:
        """Replace the grants. Raises `AccountNotFound`."""
        await self._change(name, {"grants": _grants(grants)})

    async def remove(self, name: str) -> None:
        """Remove the account. Raises `AccountNotFound`."""
        removed = await self._connection.execute(delete(table).where(table.c.name == name))
        if removed.rowcount == 0:
            raise AccountNotFound(name)

    async def _change(self, name: str, values: dict[str, str]) -> None:
        changed = await self._connection.execute(update(table).where(table.c.name == name).values(values))
        if changed.rowcount == 0:
            raise AccountNotFound(name)


def _account(row: Row[Any]) -> Account:
    return Account(row.name, frozenset(json.loads(row.grants)), AccountKind(row.kind))


def _grants(grants: Iterable[str]) -> str:
    return json.dumps(sorted(grants))


class LoginHashes:
    """Keyed hashes, made with the audit key; a plain hash of a name or address could be guessed."""

    def __init__(self, audit: SQLAuditLog) -> None:
        self._audit = audit

    async def has_key(self) -> bool:
        """Return whether the audit key exists yet; a reading transaction creates none."""
        return await self._audit.chain() is not None

    async def of(self, text: str) -> str:
        """Return the hash of *text* as 64 hexadecimal digits."""
        # A name from a form may hold lone surrogates, which plain UTF-8 refuses.
        return (await self._audit.request_hash("login", text.encode("utf-8", "surrogatepass"))).hex()

    async def of_account(self, name: str) -> str:
        """Return the hash that all rows of one account share."""
        return await self.of(f"rows of|{name}")


class SQLLoginFailures:
    """Failed logins by `ThrottleKey`, in one transaction."""

    def __init__(self, connection: AsyncConnection, audit: SQLAuditLog) -> None:
        self._connection = connection
        self._hashes = LoginHashes(audit)

    async def of(self, subjects: Collection[ThrottleKey]) -> Mapping[ThrottleKey, Failures]:
        """Return the failures of each of *subjects*; zero failures if none are stored."""
        if not await self._hashes.has_key():
            return dict.fromkeys(subjects, Failures())
        hashes = {subject: await self._hashes.of(subject.text) for subject in subjects}
        rows = await self._connection.execute(
            select(failure_rows).where(failure_rows.c.subject.in_(hashes.values()))
        )
        found = {row.subject: Failures(row.failures, row.last_at, row.blocked_until) for row in rows}
        return {subject: found.get(hashed, Failures()) for subject, hashed in hashes.items()}

    async def of_account(self, name: str) -> Failures:
        """Return the failures of one account on all networks: their sum, the last, and the longest wait."""
        if not await self._hashes.has_key():
            return Failures()
        # This row counts failures again that the rows of single networks count.
        shared = await self._hashes.of(LoginAttempt(name, None).account.text)
        rows = failure_rows.c
        figures = select(
            func.coalesce(func.sum(rows.failures).filter(rows.subject != shared), 0),
            func.coalesce(func.max(rows.last_at), 0.0),
            func.coalesce(func.max(rows.blocked_until), 0.0),
        ).where(rows.account_hash == await self._hashes.of_account(name))
        return Failures(*(await self._connection.execute(figures)).one())

    async def remember(self, subject: ThrottleKey, failures: Failures) -> None:
        """Store *failures* in place of those of *subject*."""
        hashed = await self._hashes.of(subject.text)
        values: dict[str, Any] = {
            "failures": failures.count,
            "last_at": failures.last_at,
            "blocked_until": failures.blocked_until,
        }
        changed = await self._connection.execute(
            update(failure_rows).where(failure_rows.c.subject == hashed).values(values)
        )
        if changed.rowcount == 0:
            account = None if subject.account is None else await self._hashes.of_account(subject.account)
            await self._connection.execute(
                insert(failure_rows).values(subject=hashed, account_hash=account, **values)
            )

    async def forget(self, subject: ThrottleKey) -> None:
        """Delete the failures of *subject*."""
        hashed = await self._hashes.of(subject.text)
        await self._connection.execute(delete(failure_rows).where(failure_rows.c.subject == hashed))

    async def forget_account(self, name: str) -> None:
        """Delete all failures of one account."""
        account = await self._hashes.of_account(name)
        await self._connection.execute(delete(failure_rows).where(failure_rows.c.account_hash == account))

    async def forget_before(self, moment: float) -> None:
        """Delete the failures of keys without a failure since *moment*."""
        await self._connection.execute(delete(failure_rows).where(failure_rows.c.last_at < moment))


class SQLKnownNetworks:
    """The networks from which each account logged in lately, in one transaction."""

    def __init__(self, connection: AsyncConnection, audit: SQLAuditLog) -> None:
        self._connection = connection
        self._hashes = LoginHashes(audit)

    async def knows(self, attempt: LoginAttempt, now: float) -> bool:
        """Return whether the account logged in from the network within `KNOWN_NETWORK_SECONDS` before *now*."""
        if attempt.name is None or not await self._hashes.has_key():
            return False
        row = network_rows.c.subject == await self._hashes.of(attempt.account_from_network.text)
        recent = exists().where(row, network_rows.c.last_at > now - KNOWN_NETWORK_SECONDS)
        return bool((await self._connection.execute(select(recent))).scalar())

    async def remember(self, attempt: LoginAttempt, now: float) -> None:
        """Note a login; forget networks that are too old, or beyond `MAX_KNOWN_NETWORKS_PER_ACCOUNT`."""
        subject, account = (
            await self._hashes.of(attempt.account_from_network.text),
            await self._hashes.of_account(attempt.name or ""),
        )
        changed = await self._connection.execute(
            update(network_rows).where(network_rows.c.subject == subject).values(last_at=now)
        )
        if changed.rowcount == 0:
            new = {"subject": subject, "account_hash": account, "last_at": now}
            await self._connection.execute(insert(network_rows).values(new))
            await self._forget_beyond_the_bounds(account, now)

    async def forget_account(self, name: str) -> None:
        """Delete all known networks of one account."""
        account = await self._hashes.of_account(name)
        await self._connection.execute(delete(network_rows).where(network_rows.c.account_hash == account))

    async def _forget_beyond_the_bounds(self, account: str, now: float) -> None:
        await self._connection.execute(
            delete(network_rows).where(network_rows.c.last_at <= now - KNOWN_NETWORK_SECONDS)
        )
        of_account = network_rows.c.account_hash == account
        newest = (
            select(network_rows.c.subject)
            .where(of_account)
            .order_by(network_rows.c.last_at.desc())
            .limit(MAX_KNOWN_NETWORKS_PER_ACCOUNT)
        )
        await self._connection.execute(
            delete(network_rows).where(of_account, network_rows.c.subject.not_in(newest))
        )
