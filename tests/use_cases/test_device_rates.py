"""Rates of devices: as many messages in a minute as the limit says, whatever the number of relays."""

import asyncio

import pytest
from sqlalchemy import func, select

from mailsettings.domain.device import Device
from mailsettings.domain.errors import StoreUnavailable
from mailsettings.store.database import SQLStore
from mailsettings.store.encryption.sealing import Sealer
from mailsettings.store.relay import rates as device_rates
from mailsettings.store.relay.rates import Allowance, SQLDeviceRates
from mailsettings.store.relay.tables import device_rates as table
from mailsettings.use_cases.devices.rates import DeviceRates

from support.databases import KEY, LocalStore

SCANNER = Device(7, "scanner-3", messages_per_minute=30)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def minute(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the database, so that no minute ends during a test."""
    clock = Clock()
    clock.now = 1_795_000_020.0

    async def now(_connection: object) -> float:
        return clock.now

    monkeypatch.setattr(device_rates, "now", now)
    return clock


async def admitted(rates: DeviceRates, tries: int, device: Device = SCANNER) -> int:
    return sum([await rates.admit(device) for _ in range(tries)])


async def test_a_device_sends_its_rate_and_no_more(store: SQLStore, minute: Clock) -> None:
    clock = Clock()
    rates = DeviceRates(store, clock)
    first = await admitted(rates, 50)
    minute.now += 60
    clock.now += 60

    assert (first, await admitted(rates, 50)) == (30, 30)
    assert await admitted(rates, 3, Device(8, "other", messages_per_minute=1)) == 1


async def test_several_relays_share_one_rate(store: SQLStore, database_url: str, minute: Clock) -> None:
    others = [SQLStore(database_url, Sealer(KEY)) for _ in range(2)]
    relays = [DeviceRates(each, Clock()) for each in (store, *others)]
    counts = await asyncio.gather(*(admitted(relay, 40) for relay in relays))
    for each in others:
        await each.close()

    assert sum(counts) == 30


async def test_messages_at_once_are_counted_once_each(local_store: LocalStore, minute: Clock) -> None:
    rates = DeviceRates(local_store, Clock())
    answers = await asyncio.gather(*(rates.admit(SCANNER) for _ in range(100)))

    assert sum(answers) == 30


async def test_without_a_limit_the_database_is_not_asked(local_store: LocalStore) -> None:
    local_store.away = True

    assert await admitted(DeviceRates(local_store), 100, Device(7, "scanner-3")) == 100


async def test_a_minute_costs_few_writes(
    local_store: LocalStore, minute: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Allowance] = []
    reserve = SQLDeviceRates.reserve

    async def counted(self: SQLDeviceRates, device_id: int, per_minute: int) -> Allowance:
        asked.append(await reserve(self, device_id, per_minute))
        return asked[-1]

    monkeypatch.setattr(SQLDeviceRates, "reserve", counted)
    rates = DeviceRates(local_store, Clock())
    await admitted(rates, 3000, Device(7, "scanner-3", messages_per_minute=1000))

    assert len(asked) < 30
    assert sum(each.messages for each in asked) == 1000
    assert {each.seconds_left for each in asked} == {60 - minute.now % 60}


async def test_earlier_minutes_leave_no_rows(local_store: LocalStore, minute: Clock) -> None:
    clock = Clock()
    rates = DeviceRates(local_store, clock)
    for _ in range(5):
        await rates.admit(SCANNER)
        minute.now += 60
        clock.now += 60

    assert local_store.sql(select(func.count()).select_from(table))[0][0] <= 2


async def test_a_database_that_is_away_is_reported(store: SQLStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise StoreUnavailable

    monkeypatch.setattr(store, "writing_unqueued", away)
    with pytest.raises(StoreUnavailable):
        await DeviceRates(store).admit(SCANNER)
