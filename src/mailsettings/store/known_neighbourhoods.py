"""The neighbourhoods from which each account logged in lately, as keyed hashes: no address is kept."""

from sqlalchemy import delete, exists, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.domain.guessing import KNOWN_SECONDS, MAX_KNOWN_EACH, Attempt
from mailsettings.store.audit_log import SQLAuditLog
from mailsettings.store.login_hashes import LoginHashes
from mailsettings.store.tables import known_neighbourhoods as table


class SQLKnownNeighbourhoods:
    """The neighbourhoods, in one transaction."""

    def __init__(self, connection: AsyncConnection, audit: SQLAuditLog) -> None:
        self._connection = connection
        self._hashes = LoginHashes(audit)

    async def knows(self, attempt: Attempt, now: float) -> bool:
        """Whether the account logged in from the neighbourhood within `KNOWN_SECONDS` before *now*."""
        if attempt.name is None or not await self._hashes.can_be_there():
            return False
        row = table.c.subject == await self._hashes.of(attempt.own.text)
        recent = exists().where(row, table.c.last_at > now - KNOWN_SECONDS)
        return bool((await self._connection.execute(select(recent))).scalar())

    async def remember(self, attempt: Attempt, now: float) -> None:
        """Note that the account logged in; forget what is too old, or beyond `MAX_KNOWN_EACH` of the account."""
        subject, account = (
            await self._hashes.of(attempt.own.text),
            await self._hashes.of_account(attempt.name or ""),
        )
        changed = await self._connection.execute(
            update(table).where(table.c.subject == subject).values(last_at=now)
        )
        if changed.rowcount == 0:
            new = {"subject": subject, "account_hash": account, "last_at": now}
            await self._connection.execute(insert(table).values(new))
            await self._forget_beyond_the_bounds(account, now)

    async def forget_account(self, name: str) -> None:
        """Know no neighbourhood of one account any more."""
        account = await self._hashes.of_account(name)
        await self._connection.execute(delete(table).where(table.c.account_hash == account))

    async def _forget_beyond_the_bounds(self, account: str, now: float) -> None:
        await self._connection.execute(delete(table).where(table.c.last_at <= now - KNOWN_SECONDS))
        of_account = table.c.account_hash == account
        newest = select(table.c.subject).where(of_account).order_by(table.c.last_at.desc()).limit(MAX_KNOWN_EACH)
        await self._connection.execute(delete(table).where(of_account, table.c.subject.not_in(newest)))
