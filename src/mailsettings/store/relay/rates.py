"""How many messages each device took of its allowance of a minute, counted for all relays of the database."""

from dataclasses import dataclass

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.store.coordination import now
from mailsettings.store.relay.tables import device_rates as table

SECONDS_OF_WINDOW = 60
_PART = 4


@dataclass(frozen=True, slots=True)
class Allowance:
    """Messages that one relay may take without asking again, within the seconds that are left of the minute."""

    messages: int
    seconds_left: float


class SQLDeviceRates:
    """The allowances in one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._upsert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert

    async def reserve(self, device_id: int, per_minute: int) -> Allowance:
        """Take a part of the rest of this minute's allowance: a quarter, at least one message if it has one.

        So a minute costs few writes, and a relay that stops asking keeps little from the others.
        """
        moment = await now(self._connection)
        minute = int(moment // SECONDS_OF_WINDOW)
        here = (table.c.device_id == device_id, table.c.minute == minute)
        new = self._upsert(table).values(device_id=device_id, minute=minute, used=0)
        await self._connection.execute(new.on_conflict_do_nothing())
        # With a lock on the row: on PostgreSQL other relays ask at the same time.
        used = (await self._connection.execute(select(table.c.used).where(*here).with_for_update())).scalar_one()
        left = max(0, per_minute - used)
        taken = min(left, max(1, left // _PART))
        if taken:
            await self._connection.execute(update(table).where(*here).values(used=used + taken))
        if not used:
            await self._connection.execute(delete(table).where(table.c.minute < minute - 1))
        return Allowance(taken, (minute + 1) * SECONDS_OF_WINDOW - moment)
