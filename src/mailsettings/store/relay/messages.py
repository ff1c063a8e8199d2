"""The message log as rows, and the last use of each device, which is written with it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

from sqlalchemy import ColumnElement, Float, Insert, Row, Select, Text, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.domain.device_overview import DeviceUse
from mailsettings.domain.message_log import (
    LoggedMessage,
    MessageFilter,
    MessageRecipient,
    MessageRecord,
    MessageResult,
    first_id,
)
from mailsettings.store.mail_server_rows import in_utc
from mailsettings.store.relay.tables import MESSAGE_FAILED, device_uses, devices, message_recipients
from mailsettings.store.relay.tables import messages as table


class SQLMessages:
    """The message log in one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert

    async def add(self, batch: Sequence[LoggedMessage]) -> None:
        """Add messages; those that an earlier attempt has added stay as they are."""
        recipients = [row for each in batch for row in _recipient_columns(each)]
        for rows, target in ((list(map(_columns, batch)), table), (recipients, message_recipients)):
            if rows:
                await self._connection.execute(self._insert(target).on_conflict_do_nothing(), rows)

    async def note_uses(self, uses: Mapping[int, DeviceUse]) -> None:
        """Note the last use of each of these devices, unless a later one is noted or the device is gone."""
        # In the order of ids, so that two relays never wait for each other.
        rows = [{"id": key, "used_at": use.at, "peer": use.peer} for key, use in sorted(uses.items())]
        if rows:
            await self._connection.execute(self._note_use(), rows)

    async def page(self, wanted: MessageFilter, before: str | None, limit: int) -> Sequence[LoggedMessage]:
        """Return at most *limit* messages of *wanted*, newest first; with *before*, those that follow this id."""
        rows = (await self._connection.execute(newest_first(wanted, before, limit))).all()
        recipients = await self._recipients([row.id for row in rows])
        return [LoggedMessage(row.id, _record(row, recipients[row.id])) for row in rows]

    async def remove_before(self, end: str, limit: int) -> int:
        """Remove at most *limit* messages with ids before *end*, the oldest first; return how many."""
        chosen = select(table.c.id).where(table.c.id < end).order_by(table.c.id).limit(limit)
        ids = list((await self._connection.execute(chosen)).scalars())
        await self._connection.execute(delete(message_recipients).where(message_recipients.c.log_id.in_(ids)))
        await self._connection.execute(delete(table).where(table.c.id.in_(ids)))
        return len(ids)

    def _note_use(self) -> Insert:
        used_at, peer = bindparam("used_at", type_=Float(53)), bindparam("peer", type_=Text)
        values = select(devices.c.id, used_at, peer).where(devices.c.id == bindparam("id"))
        new = self._insert(device_uses).from_select(["device_id", "last_used_at", "last_peer"], values)
        later = device_uses.c.last_used_at < new.excluded.last_used_at
        changed = {"last_used_at": new.excluded.last_used_at, "last_peer": new.excluded.last_peer}
        return new.on_conflict_do_update(index_elements=["device_id"], set_=changed, where=later)

    async def _recipients(self, ids: Sequence[str]) -> Mapping[str, Sequence[MessageRecipient]]:
        chosen = select(message_recipients).where(message_recipients.c.log_id.in_(ids))
        ordered = chosen.order_by(message_recipients.c.log_id, message_recipients.c.position)
        found: dict[str, list[MessageRecipient]] = defaultdict(list)
        for row in await self._connection.execute(ordered):
            found[row.log_id].append(MessageRecipient(row.address, row.accepted))
        return found


def newest_first(wanted: MessageFilter, before: str | None, limit: int) -> Select[Any]:
    """Return the query of `SQLMessages.page`. Each filter is the start of an index that ends with the id."""
    order: ColumnElement[str] = table.c.id
    page = select(table)
    if wanted.recipient is not None:
        order = message_recipients.c.log_id
        page = select(table).join(message_recipients, order == table.c.id)
        page = page.where(message_recipients.c.address == wanted.recipient.lower())
    page = page.where(*_conditions(wanted, by_recipient=wanted.recipient is not None))
    # An id begins with the time, so bounds of time are bounds of ids.
    if wanted.since is not None:
        page = page.where(order >= first_id(wanted.since))
    ends = [end for end in (before, wanted.until and first_id(wanted.until)) if end]
    return page.where(*(order < end for end in ends)).order_by(order.desc()).limit(limit)


def _conditions(wanted: MessageFilter, *, by_recipient: bool) -> Sequence[ColumnElement[bool]]:
    # The most selective first. SQLite, which has no statistics, uses no index for an expression; so only one index
    # is left to choose.
    equal = [
        (table.c[name], value)
        for name in ("message_id", "sender", "device")
        if (value := getattr(wanted, name)) is not None
    ]
    indexed = 0 if by_recipient else 1
    conditions = [
        *(column == value for column, value in equal[:indexed]),
        *(column.concat("") == value for column, value in equal[indexed:]),
    ]
    if wanted.failed is not None:
        failed = MESSAGE_FAILED if not (equal or by_recipient) else table.c.result.concat("") != "delivered"
        conditions.append(failed if wanted.failed else table.c.result == MessageResult.DELIVERED.value)
    return conditions


def _columns(message: LoggedMessage) -> dict[str, Any]:
    record = message.record
    return {
        "id": message.id,
        "at": record.at.astimezone(UTC),
        "device_id": record.device_id,
        "device": record.device,
        "peer": record.peer,
        "mail_server_id": record.mail_server_id,
        "sender": record.sender,
        "size": record.size,
        "message_id": record.message_id,
        "result": record.result.value,
        "code": record.code,
        "enhanced_code": record.enhanced_code,
        "failure_code": record.failure,
        "words": record.words,
        "milliseconds": record.milliseconds,
    }


def _recipient_columns(message: LoggedMessage) -> Sequence[dict[str, Any]]:
    return [
        {"log_id": message.id, "position": position, "address": each.address, "accepted": each.accepted}
        for position, each in enumerate(message.record.recipients)
    ]


def _record(row: Row[Any], recipients: Sequence[MessageRecipient]) -> MessageRecord:
    return MessageRecord(
        at=in_utc(row.at),
        device_id=row.device_id,
        device=row.device,
        peer=row.peer,
        mail_server_id=row.mail_server_id,
        sender=row.sender,
        recipients=tuple(recipients),
        result=MessageResult(row.result),
        code=row.code,
        enhanced_code=row.enhanced_code,
        failure=row.failure_code,
        words=row.words,
        size=row.size,
        message_id=row.message_id,
        milliseconds=row.milliseconds,
    )
