"""The relays that share this database: each renews its row while it runs."""

import json
from collections.abc import Sequence

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.domain.listening import RelayListener, RunningRelay
from mailsettings.store.coordination import Now, now
from mailsettings.store.relay.tables import relays as table


class SQLRelays:
    """The rows of the relays in one transaction; times are those of the database's clock."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def renew(self, relay: RunningRelay, seconds: float) -> None:
        """Note that *relay* runs for *seconds* more; delete the rows of relays that are over."""
        moment = await now(self._connection)
        values = {"listeners": _to_json(relay), "until": moment + seconds}
        mine = table.c.holder == relay.holder
        renewed = await self._connection.execute(update(table).where(mine).values(values))
        if not renewed.rowcount:
            await self._connection.execute(insert(table).values(holder=relay.holder, **values))
        await self._connection.execute(delete(table).where(table.c.until < moment))

    async def leave(self, holder: str) -> None:
        """Note that *holder* does not run any more."""
        await self._connection.execute(delete(table).where(table.c.holder == holder))

    async def running(self) -> Sequence[RunningRelay]:
        """Return the relays that run now, by their holders."""
        rows = await self._connection.execute(select(table).where(table.c.until > Now()).order_by(table.c.holder))
        return [_from_json(row.holder, row.listeners) for row in rows]


def _to_json(relay: RunningRelay) -> str:
    listeners = [{"listener": str(each), "old_tls": each.old_tls} for each in relay.listeners]
    return json.dumps({"listeners": listeners, "certificate": relay.certificate})


def _from_json(holder: str, text: str) -> RunningRelay:
    content = json.loads(text)
    listeners = (RelayListener.parse(each["listener"], old_tls=each["old_tls"]) for each in content["listeners"])
    return RunningRelay(holder, tuple(listeners), content["certificate"])
