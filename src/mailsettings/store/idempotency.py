"""Idempotency keys as rows: hashes of the caller, the key and the request, and the result as JSON."""

import hashlib
import hmac
import json
from dataclasses import replace

from pydantic import TypeAdapter
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.domain.connection_test import ProbeReport, SettingValue, SuggestedChange
from mailsettings.domain.errors import IdempotencyKeyReused
from mailsettings.domain.idempotency import REMEMBERED_SECONDS, IdempotencyKey, IdempotentResult, PreviousRequest
from mailsettings.domain.mail_server import ConnectionSecurity
from mailsettings.domain.setting import Setting
from mailsettings.store.audit_log import SQLAuditLog
from mailsettings.store.coordination import Now
from mailsettings.store.tables import idempotency_keys as table

_RESULTS: TypeAdapter[IdempotentResult] = TypeAdapter(IdempotentResult)


def to_json(result: IdempotentResult) -> str:
    """Return *result* as JSON."""
    return _RESULTS.dump_json(result).decode()


def from_json(text: str) -> IdempotentResult:
    """Return the result that `to_json` wrote."""
    result = _RESULTS.validate_json(text)
    if not isinstance(result, ProbeReport) or result.failure is None:
        return result
    changes = tuple(_restored(change) for change in result.failure.changes)
    return replace(result, failure=replace(result.failure, changes=changes))


def _restored(change: SuggestedChange) -> SuggestedChange:
    """Restore the types: in JSON, the connection security "none" looks like a user name "none"."""
    if change.setting is not Setting.SECURITY:
        return change
    return replace(change, current=_security(change.current), suggested=_security(change.suggested))


def _security(value: SettingValue | None) -> SettingValue | None:
    return ConnectionSecurity(value) if isinstance(value, str) else value


MAX_DELETED_PER_INSERT = 100
"""The maximum number of old rows that each insert deletes."""


class SQLIdempotency:
    """The remembered requests in one transaction; *audit* has the key for their hashes."""

    def __init__(self, connection: AsyncConnection, audit: SQLAuditLog) -> None:
        self._connection = connection
        self._audit = audit

    async def previous(self, caller: str, idempotency_key: IdempotencyKey) -> PreviousRequest | None:
        """Return the earlier identical request of *caller*, if any. Raises `IdempotencyKeyReused`."""
        place, age = _key_hash(caller, idempotency_key), Now() - table.c.created_at
        wanted = select(table.c.request_mac, table.c.result, age.label("age"))
        found = await self._connection.execute(wanted.where(table.c.key_hash == place, age < REMEMBERED_SECONDS))
        row = found.one_or_none()
        if row is None:
            return None
        if not hmac.compare_digest(
            row.request_mac, await self._audit.request_hash(place, idempotency_key.request)
        ):
            raise IdempotencyKeyReused
        return PreviousRequest(None if row.result is None else from_json(row.result), row.age)

    async def remember(
        self, caller: str, idempotency_key: IdempotencyKey, result: IdempotentResult | None = None
    ) -> None:
        """Store *result*, None while it is unknown, in place of an earlier one; delete old rows."""
        place = _key_hash(caller, idempotency_key)
        old = select(table.c.key_hash).where(table.c.created_at <= Now() - REMEMBERED_SECONDS)
        some = old.order_by(table.c.created_at).limit(MAX_DELETED_PER_INSERT)
        await self._connection.execute(delete(table).where(table.c.key_hash.in_(some)))
        await self._connection.execute(delete(table).where(table.c.key_hash == place))
        new = {
            "key_hash": place,
            "request_mac": await self._audit.request_hash(place, idempotency_key.request),
            "result": None if result is None else to_json(result),
            "created_at": Now(),
        }
        await self._connection.execute(insert(table).values(new))


def _key_hash(caller: str, idempotency_key: IdempotencyKey) -> str:
    """Return the hash of caller and key together, because each caller has its own keys."""
    # As JSON, so that no other pair of caller and key gives the same text.
    return hashlib.sha256(json.dumps([caller, idempotency_key.key]).encode()).hexdigest()
