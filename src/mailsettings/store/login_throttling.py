"""Failed logins as rows, for all replicas to see. What they have in common is kept as a keyed hash only.

A name that was tried may be a password typed into the wrong field.
"""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.domain.login_throttling import Failures, ThrottleKey
from mailsettings.store.audit_log import SQLAuditLog
from mailsettings.store.login_hashes import LoginHashes
from mailsettings.store.tables import login_failures as failure_rows


class SQLLoginFailures:
    """The failures of each subject, in one transaction."""

    def __init__(self, connection: AsyncConnection, audit: SQLAuditLog) -> None:
        self._connection = connection
        self._hashes = LoginHashes(audit)

    async def of(self, subjects: Collection[ThrottleKey]) -> Mapping[ThrottleKey, Failures]:
        """What is remembered of each of *subjects*; no failures where nothing is."""
        if not await self._hashes.has_key():
            return dict.fromkeys(subjects, Failures())
        hashes = {subject: await self._hashes.of(subject.text) for subject in subjects}
        rows = await self._connection.execute(
            select(failure_rows).where(failure_rows.c.subject.in_(hashes.values()))
        )
        found = {row.subject: Failures(row.failures, row.last_at, row.blocked_until) for row in rows}
        return {subject: found.get(hashed, Failures()) for subject, hashed in hashes.items()}

    async def remember(self, subject: ThrottleKey, failures: Failures) -> None:
        """Keep *failures* in place of what is remembered of *subject*."""
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
        """Remember nothing of *subject* any more."""
        hashed = await self._hashes.of(subject.text)
        await self._connection.execute(delete(failure_rows).where(failure_rows.c.subject == hashed))

    async def forget_account(self, name: str) -> None:
        """Remember nothing of the subjects of one account any more."""
        account = await self._hashes.of_account(name)
        await self._connection.execute(delete(failure_rows).where(failure_rows.c.account_hash == account))

    async def forget_before(self, moment: float) -> None:
        """Remember nothing of subjects whose last failure was before *moment*."""
        await self._connection.execute(delete(failure_rows).where(failure_rows.c.last_at < moment))
