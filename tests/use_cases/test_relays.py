"""Each relay is known to the others while it runs, and forgotten soon after."""

import asyncio
import logging

import pytest

from mailsettings.domain.listening import RelayListener, RunningRelay
from mailsettings.store.database import SQLStore
from mailsettings.use_cases.relay.registration import RelayRegistration

from support.databases import LocalStore
from support.waiting import eventually

LISTENERS = (RelayListener.parse("starttls://192.0.2.1:587"), RelayListener.parse("tls://[::1]:465", old_tls=True))


async def running(store: SQLStore) -> list[RunningRelay]:
    async with store.reading() as view:
        return list(await view.relays.running())


async def test_a_relay_is_known_exactly_while_it_runs(store: SQLStore) -> None:
    async with RelayRegistration(store, "a:1", LISTENERS).running():
        async with RelayRegistration(store, "b:1", LISTENERS[:1], lambda: "PEM").running():
            both = await running(store)
        left = await running(store)

    assert both == [RunningRelay("a:1", LISTENERS), RunningRelay("b:1", LISTENERS[:1], "PEM")]
    assert left == [RunningRelay("a:1", LISTENERS)]
    assert await running(store) == []


async def test_a_killed_relay_is_forgotten(local_store: LocalStore) -> None:
    async with local_store.writing() as work:
        await work.relays.renew(RunningRelay("a:1", LISTENERS), -1)
    before = await running(local_store)
    async with local_store.writing() as work:
        await work.relays.renew(RunningRelay("b:1", LISTENERS), 60)

    assert (before, await running(local_store)) == ([], [RunningRelay("b:1", LISTENERS)])


async def test_a_relay_stays_known_beyond_its_lifetime(local_store: LocalStore) -> None:
    registration = RelayRegistration(local_store, "a:1", LISTENERS, lifetime_seconds=0.3)
    async with registration.running():
        await asyncio.sleep(0.5)
        found = await eventually(lambda: running(local_store))

    assert [relay.holder for relay in found] == ["a:1"]


async def test_an_absent_database_is_logged_once_with_its_return(
    local_store: LocalStore, caplog: pytest.LogCaptureFixture
) -> None:
    local_store.away = True
    with caplog.at_level(logging.INFO, "mailsettings.relay"):
        async with RelayRegistration(local_store, "a:1", LISTENERS, lifetime_seconds=0.03).running():
            await asyncio.sleep(0.1)
            local_store.away = False
            await eventually(lambda: running(local_store))

    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
