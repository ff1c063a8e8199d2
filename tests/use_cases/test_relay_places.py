"""Relays of one database divide the places at a mail server: never more than it has, and none is left out."""

import asyncio

from sqlalchemy import text

from mailsettings.domain.relay_places import PlaceGrant, fair_number, largest_part
from mailsettings.store.database import SQLStore
from mailsettings.use_cases.relay.places import RelayPlaces

LIMIT = 3
KEY = "k" * 64


def relays(store: SQLStore, number: int, seconds: float = 60) -> list[RelayPlaces]:
    return [RelayPlaces(store, f"relay-{each}", LIMIT, seconds) for each in range(number)]


async def held(store: SQLStore) -> list[tuple[int, str]]:
    async with store.reading() as snapshot:
        rows = await snapshot._connection.execute(text("SELECT place, holder FROM relay_places ORDER BY place"))  # noqa: SLF001
        return [(row.place, row.holder) for row in rows]


async def claim(relay: RelayPlaces, wanted: int) -> PlaceGrant:
    return (await relay.claim({KEY: wanted}))[KEY]


async def test_a_single_relay_gets_all_places(store: SQLStore) -> None:
    [alone] = relays(store, 1)

    assert await claim(alone, 2) == PlaceGrant(2)
    assert await claim(alone, 9) == PlaceGrant(3)
    assert await held(store) == [(0, "relay-0"), (1, "relay-0"), (2, "relay-0")]
    assert await claim(alone, 0) == PlaceGrant(0)
    assert await held(store) == []


async def test_relays_together_never_have_more_than_the_limit(store: SQLStore) -> None:
    many = relays(store, 6)
    for wanted in (1, 3, 2, 0, 3):
        await asyncio.gather(*(claim(relay, wanted) for relay in many))

        assert len(await held(store)) <= LIMIT


async def test_a_relay_without_a_place_is_noticed(store: SQLStore) -> None:
    first, second, _ = relays(store, 3)
    await claim(first, 3)
    before = await first.others_waiting([KEY])
    grant = await claim(second, 1)

    assert grant == PlaceGrant(0, relays=2)
    assert before == frozenset()
    assert await first.others_waiting([KEY, "x" * 64]) == {KEY}
    assert await second.others_waiting([KEY]) == frozenset()
    assert await claim(first, 3) == PlaceGrant(3, relays=2, waiting=1)


async def test_a_free_place_is_for_the_relay_that_waited(store: SQLStore) -> None:
    first, second, third = relays(store, 3)
    await claim(first, 3)
    await claim(second, 1)
    await claim(first, 2)
    late = await claim(third, 1)
    waited = await claim(second, 1)

    assert late.places == 0
    assert waited.places == 1


async def test_no_relay_takes_more_than_its_part_beside_another(store: SQLStore) -> None:
    first, second = relays(store, 2)
    await claim(first, 3)
    await claim(second, 3)
    await claim(first, 2)
    grant = await claim(second, 3)
    more = await claim(first, 3)

    assert (grant.places, more.places) == (1, 2)


async def test_a_waiting_relay_that_gives_up_is_forgotten(store: SQLStore) -> None:
    first, second = relays(store, 2)
    await claim(first, 3)
    await claim(second, 1)
    await claim(second, 0)

    assert await first.others_waiting([KEY]) == frozenset()


async def test_the_places_of_a_dead_relay_expire(store: SQLStore) -> None:
    [dead] = relays(store, 1, seconds=0.05)
    await claim(dead, 3)
    await asyncio.sleep(0.1)
    grant = await claim(RelayPlaces(store, "other", LIMIT), 3)

    assert grant == PlaceGrant(3)
    assert {holder for _, holder in await held(store)} == {"other"}


async def test_mailboxes_are_counted_separately(store: SQLStore) -> None:
    [relay] = relays(store, 1)
    grants = await relay.claim({KEY: 3, "other": 2})

    assert {key: grant.places for key, grant in grants.items()} == {KEY: 3, "other": 2}


def test_places_are_divided_fairly() -> None:
    assert [fair_number(3, relays) for relays in (1, 2, 3, 4)] == [3, 1, 1, 1]
    assert [largest_part(3, relays) for relays in (1, 2, 3, 4)] == [3, 2, 1, 1]
    assert [fair_number(10, relays) for relays in (2, 3, 20)] == [5, 3, 1]
