"""The places of relays: rows that expire by the database's clock."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.domain.relay_places import PlaceGrant, fair_number, largest_part
from mailsettings.store.coordination import Now, now
from mailsettings.store.relay.tables import relay_places as place_rows
from mailsettings.store.relay.tables import relay_waiting as waiting_rows


class SQLRelayPlaces:
    """The places in one transaction; its writer's lock keeps other relays from taking the same place."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def claim(
        self, holder: str, wanted: Mapping[str, int], *, limit: int, seconds: float
    ) -> Mapping[str, PlaceGrant]:
        """Renew, take or release the places of *holder* by key, so that it holds at most the *wanted* number."""
        moment = await now(self._connection)
        for rows in (place_rows, waiting_rows):
            await self._connection.execute(
                delete(rows).where(rows.c.key.in_(sorted(wanted)), rows.c.until <= moment)
            )
        return {
            key: await self._claim(key, holder, number, limit=limit, until=moment + seconds)
            for key, number in sorted(wanted.items())
        }

    async def others_waiting(self, holder: str, keys: Collection[str]) -> frozenset[str]:
        """Return those of *keys* for which another relay has too few places."""
        waiting = select(waiting_rows.c.key).where(
            waiting_rows.c.key.in_(sorted(keys)), waiting_rows.c.holder != holder, waiting_rows.c.until > Now()
        )
        return frozenset((await self._connection.execute(waiting)).scalars())

    async def _claim(self, key: str, holder: str, wanted: int, *, limit: int, until: float) -> PlaceGrant:
        held = await self._holders(key)
        mine = sorted(place for place, by in held.items() if by == holder)
        waiting = await self._waiting(key)
        others = waiting - {holder}
        relays = len({holder, *held.values(), *others})
        most = largest_part(limit, relays) if others else limit
        free = [place for place in range(limit) if place not in held]
        # Free places are for the relays that have waited for them.
        room = len(free) if holder in waiting else len(free) - len(others)
        added = free[: max(min(wanted, most) - len(mine), 0)][: max(room, 0)]
        await self._release(key, holder, mine[wanted:])
        await self._take(key, holder, added, until)
        places = len(mine[:wanted]) + len(added)
        await self._wait(key, holder, until if places < min(wanted, fair_number(limit, relays)) else None)
        return PlaceGrant(places, relays, len(others))

    async def _holders(self, key: str) -> Mapping[int, str]:
        rows = await self._connection.execute(
            select(place_rows.c.place, place_rows.c.holder).where(place_rows.c.key == key)
        )
        return {row.place: row.holder for row in rows}

    async def _waiting(self, key: str) -> frozenset[str]:
        holders = await self._connection.execute(select(waiting_rows.c.holder).where(waiting_rows.c.key == key))
        return frozenset(holders.scalars())

    async def _release(self, key: str, holder: str, places: Sequence[int]) -> None:
        if places:
            await self._connection.execute(
                delete(place_rows).where(
                    place_rows.c.key == key, place_rows.c.holder == holder, place_rows.c.place.in_(places)
                )
            )

    async def _take(self, key: str, holder: str, places: Sequence[int], until: float) -> None:
        renewed = update(place_rows).where(place_rows.c.key == key, place_rows.c.holder == holder)
        await self._connection.execute(renewed.values(until=until))
        if places:
            rows = [{"key": key, "place": place, "holder": holder, "until": until} for place in places]
            await self._connection.execute(insert(place_rows), rows)

    async def _wait(self, key: str, holder: str, until: float | None) -> None:
        mine = (waiting_rows.c.key == key) & (waiting_rows.c.holder == holder)
        await self._connection.execute(delete(waiting_rows).where(mine))
        if until is not None:
            await self._connection.execute(insert(waiting_rows).values(key=key, holder=holder, until=until))
