"""The audit log as rows. An entry is written in the transaction of the change that it records."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.domain.access import Origin
from mailsettings.domain.audit_log import (
    KEY_BYTES,
    AuditChain,
    AuditEntry,
    AuditFilter,
    AuditHead,
    AuditRecord,
    details_json,
    timestamp,
)
from mailsettings.store.encryption.service_keys import SQLServiceKeys
from mailsettings.store.tables import audit_entries, audit_head, service_keys

KEY_NAME = "audit"
_BREAK = b"the note was gone"
"""The previous hash when the head is missing or invalid. An empty hash would make a log without entries valid."""


_LAST = select(
    select(service_keys.c.sealed).where(service_keys.c.name == KEY_NAME).scalar_subquery().label("service_key"),
    select(audit_head.c.sequence).scalar_subquery().label("noted"),
    select(audit_head.c.mac).scalar_subquery().label("mac"),
    select(audit_head.c.seal).scalar_subquery().label("seal"),
    select(func.max(audit_entries.c.sequence)).scalar_subquery().label("highest"),
)
"""All that an entry follows, in one statement: every change of every setting waits for it."""


class SQLAuditLog:
    """The log in one transaction. One writer at a time, so each entry has exactly one predecessor."""

    def __init__(self, connection: AsyncConnection, keys: SQLServiceKeys) -> None:
        self._connection = connection
        self._keys = keys
        self._chain: AuditChain | None = None
        self.appended: list[AuditEntry] = []

    async def append(self, record: AuditRecord) -> AuditEntry:
        """Write *record* as the next entry and return it.

        Raises `SecretUnreadable` for an unreadable audit key.
        """
        chain, last = await self._last()
        entry = chain.entry(last, timestamp(datetime.now(UTC)), record)
        await self._connection.execute(insert(audit_entries).values(_values(entry)))
        await self._note(chain.head(entry.sequence, entry.mac))
        self.appended.append(entry)
        return entry

    async def request_hash(self, place: str, request: bytes) -> bytes:
        """Return a keyed hash of *request* in *place*, made with the audit key."""
        return (await self._writers_chain()).request(place, request)

    async def has(self, action: str) -> bool:
        """Return whether the log has an entry with this action."""
        found = select(audit_entries.c.sequence).where(audit_entries.c.action == action).limit(1)
        return (await self._connection.execute(found)).first() is not None

    async def chain(self) -> AuditChain | None:
        """Return what the hashes are computed with; None before the first entry.

        The key is read and opened once in a transaction. The next transaction reads it again, because a restore,
        and an attacker who can write the database may put another key in its place.
        """
        if self._chain is None and (key := await self._keys.get(KEY_NAME)) is not None:
            self._chain = AuditChain(bytes.fromhex(key))
        return self._chain

    async def head(self) -> AuditHead | None:
        """Return the head, the second record of the last entry."""
        row = (await self._connection.execute(select(audit_head))).one_or_none()
        return None if row is None else AuditHead(row.sequence, row.mac, row.seal)

    async def entries(self, after: int, limit: int, since: str = "") -> Sequence[AuditEntry]:
        """Return at most *limit* entries after number *after*, none before *since* (see `timestamp`)."""
        wanted = select(audit_entries).where(audit_entries.c.sequence > after, audit_entries.c.at >= since)
        rows = await self._connection.execute(wanted.order_by(audit_entries.c.sequence).limit(limit))
        return [_entry(row) for row in rows]

    async def newest(self, wanted: AuditFilter, before: int | None, limit: int) -> Sequence[AuditEntry]:
        """Return at most *limit* entries of *wanted*, by time and number, the newest first.

        With *before* return those that follow the entry with this number. In this order an index serves every
        filter. By number alone, a filter by time would have to read the whole log: clocks can be set back.
        """
        rows = await self._connection.execute(newest_first(wanted, before, limit))
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
        if self._chain is None and found.service_key is not None:
            self._chain = AuditChain(bytes.fromhex(self._keys.opened(KEY_NAME, found.service_key)))
        if self._chain is None:
            head = (await self._writers_chain()).head()
        chain = await self._writers_chain()
        if head is None or not chain.sealed(head):
            head = AuditHead(0, _BREAK, b"")
        return chain, replace(head, sequence=max(head.sequence, found.highest or 0))

    async def _note(self, head: AuditHead) -> None:
        """Replace the head."""
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
    """Return the entry as it is stored, even if it was altered, so that a reader sees it and a check finds it."""
    origin = Origin(row.address, row.request_id)
    record = AuditRecord(row.actor, origin, row.action, row.target, row.outcome, _details(row.details))
    return AuditEntry(row.sequence, row.at, record, row.mac)


def _details(text: str) -> Mapping[str, object]:
    try:
        details = json.loads(text)
    except ValueError:
        details = None
    return details if isinstance(details, dict) else {"unreadable": text}


def newest_first(wanted: AuditFilter, before: int | None, limit: int) -> Select[Any]:
    """Return the query of `SQLAuditLog.newest`."""
    page = select(audit_entries).where(*_conditions(wanted))
    if before is not None:
        at = select(audit_entries.c.at).where(audit_entries.c.sequence == before).scalar_subquery()
        page = page.where(
            audit_entries.c.at <= at, or_(audit_entries.c.at < at, audit_entries.c.sequence < before)
        )
    return page.order_by(audit_entries.c.at.desc(), audit_entries.c.sequence.desc()).limit(limit)


def _conditions(wanted: AuditFilter) -> Sequence[ColumnElement[bool]]:
    column = audit_entries.c
    # The most selective first. SQLite has no statistics and might choose the index of the outcome, which most
    # entries share; it cannot use an index for an expression.
    equal = [
        (column[name], value)
        for name in ("target", "actor", "action", "outcome")
        if (value := getattr(wanted, name)) is not None
    ]
    return [
        *(each == value for each, value in equal[:1]),
        *(each.concat("") == value for each, value in equal[1:]),
        *([] if wanted.since is None else [column.at >= wanted.since]),
        *([] if wanted.until is None else [column.at < wanted.until]),
    ]
