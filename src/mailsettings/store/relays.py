"""The relays that share this database: each renews its row while it runs."""

import json
from collections.abc import Sequence

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.domain.listening import RelayListener, RunningRelay
from mailsettings.store.coordination import Now, now
from mailsettings.store.relay_tables import relays as table


class SQLRelays:
    """The rows of the relays in one transaction; times are those of the database's clock."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def renew(self, holder: str, listeners: Sequence[RelayListener], seconds: float) -> None:
        """Note that *holder* runs for *seconds* more; delete the rows of relays that are over."""
        moment = await now(self._connection)
        values = {"listeners": json.dumps([_to_json(each) for each in listeners]), "until": moment + seconds}
        renewed = await self._connection.execute(update(table).where(table.c.holder == holder).values(values))
        if not renewed.rowcount:
            await self._connection.execute(insert(table).values(holder=holder, **values))
        await self._connection.execute(delete(table).where(table.c.until < moment))

    async def leave(self, holder: str) -> None:
        """Note that *holder* does not run any more."""
        await self._connection.execute(delete(table).where(table.c.holder == holder))

    async def running(self) -> Sequence[RunningRelay]:
        """Return the relays that run now, by their holders."""
        rows = await self._connection.execute(select(table).where(table.c.until > Now()).order_by(table.c.holder))
        return [RunningRelay(row.holder, tuple(map(_from_json, json.loads(row.listeners)))) for row in rows]


def _to_json(listener: RelayListener) -> dict[str, object]:
    return {"listener": str(listener), "old_tls": listener.old_tls}


def _from_json(member: dict[str, object]) -> RelayListener:
    return RelayListener.parse(str(member["listener"]), old_tls=bool(member["old_tls"]))
