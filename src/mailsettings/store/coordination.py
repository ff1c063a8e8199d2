"""Connection tests that were let in, as rows: what callers have of them, whichever process they asked."""

import uuid

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.domain.share import USAGE_WINDOW_SECONDS, Usage
from mailsettings.store.clock import Now
from mailsettings.store.tables import probe_admissions as test_rows

USAGE_KEPT_SECONDS = 600
"""Longer than any test may take, or counts."""


class SQLConnectionTestUsage:
    """The tests of each caller, in one transaction.

    A clock that was put back leaves tests that are yet to begin. They count for a minute of that, no longer, so
    that nobody is kept out until the clock is where it was.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def of(self, principal: str, max_seconds: float) -> Usage:
        """What *principal* has; a test that has not ended after *longest_seconds* never will."""
        age = Now() - test_rows.c.begun_at
        recent = age < USAGE_WINDOW_SECONDS
        share = select(
            func.count().filter(test_rows.c.ended_at.is_(None), age < max_seconds).label("running"),
            func.count().filter(recent).label("begun"),
            func.coalesce(func.max(age).filter(recent), 0).label("oldest"),
        ).where(test_rows.c.principal == principal, age > -USAGE_WINDOW_SECONDS)
        row = (await self._connection.execute(share)).one()
        return Usage(row.running, row.begun, row.oldest)

    async def begin(self, principal: str) -> str:
        """Count one more of *principal*, until it ends by the id that this returns; old ones are forgotten."""
        age = Now() - test_rows.c.begun_at
        await self._connection.execute(
            delete(test_rows).where((age > USAGE_KEPT_SECONDS) | (age < -USAGE_KEPT_SECONDS))
        )
        test_id = uuid.uuid4().hex
        new = {"id": test_id, "principal": principal, "begun_at": Now()}
        await self._connection.execute(insert(test_rows).values(new))
        return test_id

    async def end(self, test_id: str) -> None:
        """It does not run any more."""
        await self._connection.execute(update(test_rows).where(test_rows.c.id == test_id).values(ended_at=Now()))
