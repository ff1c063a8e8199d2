"""Failed logins as rows, for all replicas to see. What they have in common is kept as a hash only.

A name that was tried may be a password typed into the wrong field.
"""

import hashlib
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.domain.guessing import Failures
from mailsettings.store.tables import login_failures as table


class SQLLoginFailures:
    """The failures of each subject, in one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def of(self, subject: str) -> Failures:
        """What is remembered of *subject*; no failures where nothing is."""
        rows = await self._connection.execute(select(table).where(_is(subject)))
        row = rows.one_or_none()
        return Failures() if row is None else Failures(row.failures, row.last_at, row.blocked_until)

    async def remember(self, subject: str, failures: Failures) -> None:
        """Keep *failures* in place of what is remembered of *subject*."""
        values = {
            "failures": failures.count,
            "last_at": failures.last_at,
            "blocked_until": failures.blocked_until,
        }
        changed = await self._connection.execute(update(table).where(_is(subject)).values(values))
        if changed.rowcount == 0:
            await self._connection.execute(insert(table).values(subject=_hash(subject), **values))

    async def forget(self, subject: str) -> bool:
        """Remember nothing of *subject* any more; whether anything was."""
        return (await self._connection.execute(delete(table).where(_is(subject)))).rowcount > 0

    async def forget_before(self, moment: float) -> None:
        """Remember nothing of subjects whose last failure was before *moment*."""
        await self._connection.execute(delete(table).where(table.c.last_at < moment))


def _is(subject: str) -> Any:
    return table.c.subject == _hash(subject)


def _hash(subject: str) -> str:
    return hashlib.sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()
