"""The neighbourhoods from which each account logged in lately, as keyed hashes: no address is kept."""

from sqlalchemy import delete, exists, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.domain.login_throttling import (
    KNOWN_NETWORK_SECONDS,
    MAX_KNOWN_NETWORKS_PER_ACCOUNT,
    LoginAttempt,
)
from mailsettings.store.audit_log import SQLAuditLog
from mailsettings.store.login_hashes import LoginHashes
from mailsettings.store.tables import known_networks as network_rows


class SQLKnownNetworks:
    """The neighbourhoods, in one transaction."""

    def __init__(self, connection: AsyncConnection, audit: SQLAuditLog) -> None:
        self._connection = connection
        self._hashes = LoginHashes(audit)

    async def knows(self, attempt: LoginAttempt, now: float) -> bool:
        """Whether the account logged in from the neighbourhood within `KNOWN_NETWORK_SECONDS` before *now*."""
        if attempt.name is None or not await self._hashes.has_key():
            return False
        row = network_rows.c.subject == await self._hashes.of(attempt.account_from_network.text)
        recent = exists().where(row, network_rows.c.last_at > now - KNOWN_NETWORK_SECONDS)
        return bool((await self._connection.execute(select(recent))).scalar())

    async def remember(self, attempt: LoginAttempt, now: float) -> None:
        """Note that the account logged in; forget what is too old, or beyond `MAX_KNOWN_NETWORKS_PER_ACCOUNT` of the account."""
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
        """Know no neighbourhood of one account any more."""
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
