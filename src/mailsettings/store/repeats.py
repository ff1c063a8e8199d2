"""Requests that are to be answered once, as rows: who sent what under which key is there as hashes only."""

import hashlib
import hmac
import json

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.domain.errors import RequestRepeatedDifferently
from mailsettings.domain.once import KEPT_SECONDS, Earlier, Once, Result
from mailsettings.store.audit_log import SQLAuditLog
from mailsettings.store.clock import Now
from mailsettings.store.results import from_json, to_json
from mailsettings.store.tables import idempotency_keys as table

FORGOTTEN_AT_ONCE = 100
"""Rows that are removed with each that is added, at most."""


class SQLRepeats:
    """What is remembered of requests, in one transaction; *audit* has the key that they are hashed with."""

    def __init__(self, connection: AsyncConnection, audit: SQLAuditLog) -> None:
        self._connection = connection
        self._audit = audit

    async def earlier(self, caller: str, once: Once) -> Earlier | None:
        """The same request as *caller* sent it before. Raises `RequestRepeatedDifferently`."""
        place, age = _place(caller, once), Now() - table.c.created_at
        wanted = select(table.c.request_mac, table.c.result, age.label("age"))
        found = await self._connection.execute(wanted.where(table.c.key_hash == place, age < KEPT_SECONDS))
        row = found.one_or_none()
        if row is None:
            return None
        if not hmac.compare_digest(row.request_mac, await self._audit.of_request(place, once.request)):
            raise RequestRepeatedDifferently
        return Earlier(None if row.result is None else from_json(row.result), row.age)

    async def remember(self, caller: str, once: Once, result: Result | None = None) -> None:
        """Keep *result*, None for one still to come, in place of what is remembered; what is old is forgotten."""
        place = _place(caller, once)
        old = select(table.c.key_hash).where(table.c.created_at <= Now() - KEPT_SECONDS)
        some = old.order_by(table.c.created_at).limit(FORGOTTEN_AT_ONCE)
        await self._connection.execute(delete(table).where(table.c.key_hash.in_(some)))
        await self._connection.execute(delete(table).where(table.c.key_hash == place))
        new = {
            "key_hash": place,
            "request_mac": await self._audit.of_request(place, once.request),
            "result": None if result is None else to_json(result),
            "created_at": Now(),
        }
        await self._connection.execute(insert(table).values(new))


def _place(caller: str, once: Once) -> str:
    """Keys are each caller's own."""
    return hashlib.sha256(json.dumps([caller, once.key]).encode()).hexdigest()
