"""The results of scheduled checks, and which servers are due next.

Each server is due at the same moment of each interval, whichever process runs the checks. Multiplicative hashing
by the golden ratio spreads the moments of servers with neighbouring ids over the interval.
"""

import json
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Row,
    and_,
    case,
    cast,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.domain.monitoring import (
    DAY_SECONDS,
    Health,
    MonitoredServer,
    MonitoringState,
    MonitoringSummary,
    health,
)
from mailsettings.domain.observation import EXPIRES_SOON_DAYS
from mailsettings.store.coordination import now
from mailsettings.store.tables import leases, mail_servers
from mailsettings.store.tables import watch_states as table

LEASE_NAME = "watch"
_SPREAD, _STEPS = 40_503, 65_536  # 2^16 divided by the golden ratio, and 2^16
IS_CURRENT = and_(table.c.server_id == mail_servers.c.id, table.c.version == mail_servers.c.version)
"""A result for older settings does not count."""


class SQLMonitoring:
    """The states of all servers in one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def now(self) -> float:
        """Return the seconds since the epoch by the database's clock."""
        return await now(self._connection)

    async def due(self, interval: int, again_after: int, limit: int) -> Sequence[int]:
        """Return at most *limit* ids of servers to check: new and changed first, then the longest unchecked.

        Each server is due once per *interval* seconds, and *again_after* seconds after an unconfirmed failure.
        """
        moment = await now(self._connection)
        wanted = (
            select(mail_servers.c.id)
            .outerjoin(table, IS_CURRENT)
            .where(mail_servers.c.enabled, _is_due(moment, interval, again_after))
            .order_by(func.coalesce(table.c.checked_at, 0.0), mail_servers.c.id)
            .limit(limit)
        )
        return (await self._connection.execute(wanted)).scalars().all()

    async def state(self, server_id: int) -> MonitoringState | None:
        """Return the state of a server, even if it is about older settings."""
        row = (await self._connection.execute(select(table).where(table.c.server_id == server_id))).one_or_none()
        return None if row is None else _state(row)

    async def save(self, state: MonitoringState) -> None:
        """Store *state* in place of the last one of its server."""
        values = {name: getattr(state, name) for name in _FIELDS} | {"told": json.dumps(dict(state.announced))}
        mine = table.c.server_id == state.server_id
        if (await self._connection.execute(update(table).where(mine).values(values))).rowcount == 0:
            await self._connection.execute(insert(table).values(server_id=state.server_id, **values))

    async def forget(self, server_id: int) -> None:
        """Delete the state of a removed server."""
        await self._connection.execute(delete(table).where(table.c.server_id == server_id))

    async def version_of(self, server_id: int) -> int | None:
        """Return the stored version of the server; None if it does not exist."""
        version = select(mail_servers.c.version).where(mail_servers.c.id == server_id)
        return (await self._connection.execute(version)).scalar_one_or_none()

    async def secret_expiry(self, server_id: int) -> date | None:
        """Return when the secret expires; None if that is not known."""
        end = select(mail_servers.c.secret_ends_on).where(mail_servers.c.id == server_id)
        return (await self._connection.execute(end)).scalar_one_or_none()

    async def set_secret_expiry(self, server_id: int, day: date | None) -> None:
        """Set when the secret expires. The version stays, because the APIs show no difference."""
        noted = update(mail_servers).where(mail_servers.c.id == server_id).values(secret_ends_on=day)
        await self._connection.execute(noted)

    async def list(self, ids: Collection[int] | None = None) -> Sequence[MonitoredServer]:
        """Return the stored servers with these ids (None: all) by id, with their health."""
        server = mail_servers.c
        wanted = _MONITORED if ids is None else _MONITORED.where(server.id.in_(ids))
        rows = await self._connection.execute(wanted.order_by(server.id))
        return [_monitored(row) for row in rows]

    async def by_urgency(self, limit: int) -> Sequence[MonitoredServer]:
        """Return at most *limit* enabled servers by id: failing servers first, then those that expire soon."""
        soon = await now(self._connection) + EXPIRES_SOON_DAYS * DAY_SECONDS
        expiring = or_(
            table.c.certificate_ends_at < soon,
            mail_servers.c.secret_ends_on < datetime.fromtimestamp(soon, UTC).date(),
        )
        urgency = case((HEALTH.in_([Health.FAILING.value]), 0), (expiring, 1), else_=2)
        wanted = _MONITORED.where(mail_servers.c.enabled).order_by(urgency, mail_servers.c.id).limit(limit)
        return [_monitored(row) for row in await self._connection.execute(wanted)]

    async def summary(self) -> MonitoringSummary:
        """Return figures about all servers together."""
        moment = await now(self._connection)
        counted = await self._connection.execute(
            select(HEALTH, func.count()).select_from(mail_servers).outerjoin(table, IS_CURRENT).group_by(HEALTH)
        )
        counts = {Health(name): number for name, number in counted}
        ends = select(
            func.min(table.c.certificate_ends_at),
            func.min(mail_servers.c.secret_ends_on),
            func.max(table.c.checked_at),
            func.min(table.c.checked_at),
        )
        of_enabled = ends.select_from(mail_servers).outerjoin(table, IS_CURRENT).where(mail_servers.c.enabled)
        found = (await self._connection.execute(of_enabled)).one()
        until = select(leases.c.until).where(leases.c.name == LEASE_NAME)
        has_leader = ((await self._connection.execute(until)).scalar_one_or_none() or 0) > moment
        return MonitoringSummary(moment, {one: counts.get(one, 0) for one in Health}, *found, has_leader)


_FIELDS = ("version", "works", "stage", "code", "since", "checked_at", "certificate_ends_at")

# The same rule as `domain.monitoring.health`.
HEALTH = case(
    (~mail_servers.c.enabled, Health.DISABLED.value),
    (table.c.server_id.is_(None), Health.UNCHECKED.value),
    (table.c.works, Health.WORKING.value),
    (table.c.checked_at > table.c.since, Health.FAILING.value),
    else_=Health.UNCONFIRMED.value,
)

_OWN = ("id", "host", "port", "enabled", "secret_ends_on", "name")
_MONITORED = select(*(mail_servers.c[name] for name in _OWN), *(table.c[name] for name in _FIELDS)).select_from(
    mail_servers.outerjoin(table, IS_CURRENT)
)


def _is_due(moment: float, interval: int, again_after: int) -> ColumnElement[bool]:
    seconds = literal(int(moment), BigInteger)
    offset = cast(mail_servers.c.id, BigInteger) * _SPREAD % _STEPS * interval // _STEPS
    last_turn = seconds - (seconds + offset) % interval
    return or_(
        table.c.server_id.is_(None),
        table.c.checked_at < last_turn,
        and_(~table.c.works, table.c.checked_at <= table.c.since, table.c.checked_at <= moment - again_after),
        table.c.checked_at > moment + interval,  # by a clock that was set back since
    )


def _state(row: Row[Any]) -> MonitoringState:
    fields = {name: getattr(row, name) for name in _FIELDS}
    return MonitoringState(server_id=row.server_id, announced=json.loads(row.told), **fields)


def _monitored(row: Row[Any]) -> MonitoredServer:
    found = Health.UNCHECKED if row.enabled else Health.DISABLED
    if row.enabled and row.version is not None:
        found = health(works=row.works, since=row.since, checked_at=row.checked_at)
    return MonitoredServer(
        row.id,
        row.host,
        row.port,
        found,
        row.stage,
        row.code,
        row.since,
        row.checked_at,
        row.certificate_ends_at,
        row.secret_ends_on,
        row.name or "",
    )
