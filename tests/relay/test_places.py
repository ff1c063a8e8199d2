"""Several relays over one database never use more places than the mail server has, whatever happens to one."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from mailsettings.domain.errors import StoreUnavailable
from mailsettings.domain.relay_places import PlaceGrant
from mailsettings.relay.outgoing.places import Places
from mailsettings.relay.outgoing.pool import Limits
from mailsettings.relay.outgoing.pools import Outgoing
from mailsettings.relay.replies import Refused
from mailsettings.store.database import SQLStore
from mailsettings.use_cases.relay.places import RelayPlaces

from support.probers import make_connector
from support.provider import Provider, password_login, running
from support.relaying import CONTENT, MAIL, TO, hand_on
from support.timeouts import GUARD_SECONDS, scaled

LOGIN = password_login()


class CountingRegister(RelayPlaces):
    """Counts the questions to the database; `away` makes it unavailable."""

    questions = 0
    away = False

    async def claim(self, wanted: Mapping[str, int]) -> Mapping[str, PlaceGrant]:
        self.questions += 1
        if self.away:
            raise StoreUnavailable
        return await super().claim(wanted)


class Relay:
    """The outgoing half of one relay."""

    def __init__(self, store: SQLStore, name: str, lease: float) -> None:
        self.register = CountingRegister(store, name, 3, lease)
        self.places = Places(3, self.register)
        self.out = Outgoing(make_connector(), self.places, Limits(hold=GUARD_SECONDS))


@asynccontextmanager
async def relays(store: SQLStore, number: int, lease: float = 3) -> AsyncIterator[list[Relay]]:
    many = [Relay(store, f"relay-{each}", lease) for each in range(number)]
    async with AsyncExitStack() as stack:
        for relay in many:
            await stack.enter_async_context(relay.places.running())
            stack.push_async_callback(relay.out.close, 0)
        yield many


async def test_a_single_relay_asks_the_database_beside_its_messages(store: SQLStore) -> None:
    async with running(Provider()) as provider, relays(store, 1, lease=60) as [alone]:
        server = provider.stored(LOGIN)
        await asyncio.gather(*(hand_on(alone.out, server) for _ in range(60)))

    assert len(provider.messages) == 60
    assert alone.register.questions <= 5


@pytest.mark.parametrize("number", [2, 5])
async def test_relays_together_never_pass_the_limit(store: SQLStore, number: int) -> None:
    async with running(Provider(most=3)) as provider, relays(store, number, lease=3) as many:
        server = provider.stored(LOGIN)
        await asyncio.gather(*(hand_on(many[each % number].out, server) for each in range(60)))

    assert len(provider.messages) == 60
    assert (provider.most_logged_in <= 3, provider.said["432"]) == (True, 0)


@pytest.mark.parametrize("kind", ["sqlite"])
async def test_connections_stay_open_beside_another_relay(store: SQLStore) -> None:
    """A relay that has fewer places than it could use logs in no more often for that."""
    async with running(Provider(most=3, pace=0.005)) as provider, relays(store, 2, lease=3) as many:
        server = provider.stored(LOGIN)
        await asyncio.gather(*(hand_on(many[each % 2].out, server) for each in range(160)))

    assert len(provider.messages) == 160
    assert provider.connections <= 8


async def test_the_places_of_a_killed_relay_are_taken_over(store: SQLStore) -> None:
    async with (
        running(Provider(most=3, pace=0.02)) as provider,
        relays(store, 2, lease=scaled(0.3)) as [dead, other],
    ):
        server = provider.stored(LOGIN)
        await asyncio.gather(*(hand_on(dead.out, server) for _ in range(9)))
        dead.register.away = True  # it releases nothing
        await dead.out.close(0)
        await hand_on(other.out, server)

    assert len(provider.messages) == 10
    assert (provider.most_logged_in, provider.said["432"]) == (3, 0)


async def test_a_relay_that_lost_its_lease_sends_nothing_more(store: SQLStore) -> None:
    """A relay that was paused finds out when it continues, before it sends another byte."""
    async with running(Provider(most=3)) as provider, relays(store, 2, lease=scaled(0.3)) as [paused, other]:
        server = provider.stored(LOGIN)
        transfers = [await paused.out.begin(server, MAIL, TO, data=True) for _ in range(3)]
        for transfer in transfers:
            await transfer.start_content()
            await transfer.write(CONTENT)
        paused.register.away = True
        await hand_on(other.out, server)
        with pytest.raises(Refused) as caught:
            await transfers[0].finish()

    assert caught.value.reply.code == 451
    assert len(provider.messages) == 1
    assert provider.said["432"] == 0


@pytest.mark.parametrize("kind", ["sqlite"])
async def test_a_database_away_for_a_moment_ends_no_message(store: SQLStore) -> None:
    async with running(Provider()) as provider, relays(store, 1, lease=scaled(0.3)) as [relay]:
        server = provider.stored(LOGIN)
        transfer = await relay.out.begin(server, MAIL, TO, data=True)
        await transfer.start_content()
        relay.register.away = True
        await asyncio.sleep(relay.register.lease_seconds / 2)
        relay.register.away = False
        await asyncio.sleep(relay.register.lease_seconds)
        await transfer.write(CONTENT)
        await transfer.finish()

    assert len(provider.messages) == 1
