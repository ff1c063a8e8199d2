"""The audit log as rows. Appending is part of the transaction of what it tells of."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.domain.access import Origin
from mailsettings.domain.audit_log import (
    KEY_BYTES,
    AuditChain,
    AuditEntry,
    AuditHead,
    AuditRecord,
    details_json,
    timestamp,
)
from mailsettings.store.encryption.service_keys import SQLServiceKeys
from mailsettings.store.tables import audit_entries, audit_head, service_keys

KEY_NAME = "audit"
_BREAK = b"the note was gone"
"""What an entry follows that has nothing to follow: not the beginning, or a log without any entry would pass."""


_LAST = select(
    select(service_keys.c.sealed).where(service_keys.c.name == KEY_NAME).scalar_subquery().label("sealed_key"),
    select(audit_head.c.sequence).scalar_subquery().label("noted"),
    select(audit_head.c.mac).scalar_subquery().label("mac"),
    select(audit_head.c.seal).scalar_subquery().label("seal"),
    select(func.max(audit_entries.c.sequence)).scalar_subquery().label("highest"),
)
"""All that an entry follows, in one statement: every change of every setting waits for it."""


class SQLAuditLog:
    """The log, in one transaction. Writers take turns, so that there is one last entry to follow."""

    def __init__(self, connection: AsyncConnection, keys: SQLServiceKeys) -> None:
        self._connection = connection
        self._keys = keys
        self._chain: AuditChain | None = None
        self.appended: list[AuditEntry] = []

    async def append(self, record: AuditRecord) -> AuditEntry:
        """Write *record* as the next entry, which is returned.

        Raises `SecretUnreadable` when the log's key does not open.
        """
        chain, last = await self._last()
        entry = chain.entry(last, timestamp(datetime.now(UTC)), record)
        await self._connection.execute(insert(audit_entries).values(_values(entry)))
        await self._note(chain.head(entry.sequence, entry.mac))
        self.appended.append(entry)
        return entry

    async def request_hash(self, place: str, request: bytes) -> bytes:
        """What tells two requests in one *place* apart."""
        return (await self._writers_chain()).request(place, request)

    async def has(self, action: str) -> bool:
        """Whether there is any entry of this kind."""
        found = select(audit_entries.c.sequence).where(audit_entries.c.action == action).limit(1)
        return (await self._connection.execute(found)).first() is not None

    async def chain(self) -> AuditChain | None:
        """Return what the hashes are computed with; None before the first entry.

        The key is read and opened once in a transaction. The next transaction reads it again, because a restore,
        and whoever can write the database, may put another key in its place.
        """
        if self._chain is None and (key := await self._keys.get(KEY_NAME)) is not None:
            self._chain = AuditChain(bytes.fromhex(key))
        return self._chain

    async def head(self) -> AuditHead | None:
        """What is written down about the last entry."""
        row = (await self._connection.execute(select(audit_head))).one_or_none()
        return None if row is None else AuditHead(row.sequence, row.mac, row.seal)

    async def entries(self, after: int, limit: int, since: str = "") -> Sequence[AuditEntry]:
        """At most *limit* entries behind number *after*, none of them before *since* (see `timestamp`)."""
        wanted = select(audit_entries).where(audit_entries.c.sequence > after, audit_entries.c.at >= since)
        rows = await self._connection.execute(wanted.order_by(audit_entries.c.sequence).limit(limit))
        return [_entry(row) for row in rows]

    async def _writers_chain(self) -> AuditChain:
        found = await self.chain()
        if found is not None:
            return found
        self._chain = chain = AuditChain(secrets.token_bytes(KEY_BYTES))
        await self._keys.add(KEY_NAME, chain.key.hex())
        await self._note(chain.head())
        return chain

    async def _last(self) -> tuple[AuditChain, AuditHead]:
        """Return the chain and the entry to follow.

        Where the note about that entry is missing or not sealed by the chain, the next entry follows `_BREAK`, so
        that `audit verify` finds the break.
        """
        found = (await self._connection.execute(_LAST)).one()
        head = None if found.noted is None else AuditHead(found.noted, found.mac, found.seal)
        if self._chain is None and found.sealed_key is not None:
            self._chain = AuditChain(bytes.fromhex(self._keys.opened(KEY_NAME, found.sealed_key)))
        if self._chain is None:
            head = (await self._writers_chain()).head()
        chain = await self._writers_chain()
        if head is None or not chain.sealed(head):
            head = AuditHead(0, _BREAK, b"")
        return chain, replace(head, sequence=max(head.sequence, found.highest or 0))

    async def _note(self, head: AuditHead) -> None:
        """Write down what the last entry is."""
        values = {"sequence": head.sequence, "mac": head.mac, "seal": head.seal}
        changed = await self._connection.execute(update(audit_head).values(values))
        if changed.rowcount == 0:
            await self._connection.execute(insert(audit_head).values(id=1, **values))


def _values(entry: AuditEntry) -> dict[str, Any]:
    record = entry.record
    return {
        "sequence": entry.sequence,
        "at": entry.at,
        "actor": record.actor,
        "address": record.origin.address,
        "request_id": record.origin.request_id,
        "action": str(record.action),
        "target": record.target,
        "outcome": str(record.outcome),
        "details": details_json(record.details),
        "mac": entry.mac,
    }


def _entry(row: Row[Any]) -> AuditEntry:
    """As it is there, be it altered: what is read has to be shown, and then found out."""
    origin = Origin(row.address, row.request_id)
    record = AuditRecord(row.actor, origin, row.action, row.target, row.outcome, _details(row.details))
    return AuditEntry(row.sequence, row.at, record, row.mac)


def _details(text: str) -> Mapping[str, object]:
    try:
        details = json.loads(text)
    except ValueError:
        details = None
    return details if isinstance(details, dict) else {"unreadable": text}
