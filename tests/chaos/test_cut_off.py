"""A connection to the database that ends in mid-transaction: what was changed, and what is said of it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace

import pytest
from sqlalchemy import event, text

from mailsettings.domain.errors import StoreUnavailable
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, Sender
from mailsettings.store import engine
from mailsettings.store.database import SQLStore
from mailsettings.store.encryption.sealing import Sealer
from mailsettings.store.postgres.session import PINNED, startup_options

from support.databases import KEY, all_of
from support.postgres import Postgres
from support.tcp_proxy import Proxy
from support.timeouts import GUARD_SECONDS

RELAY = MailServer("relay.example.org", 25, ConnectionSecurity.NONE, Sender("a@b"))
RESPONSE_TIMEOUT_SECONDS = 3
OWN = startup_options(PINNED)


@pytest.fixture
async def store(proxied_url: str) -> AsyncIterator[SQLStore]:
    """By way of the proxy."""
    store = SQLStore(proxied_url, Sealer(KEY))
    yield store
    await store.close()


@pytest.fixture
async def direct(postgres_url: str) -> AsyncIterator[SQLStore]:
    """Another process, whose way to the same database is never disturbed."""
    store = SQLStore(postgres_url, Sealer(KEY))
    yield store
    await store.close()


async def add(store: SQLStore, host: str) -> None:
    async with store.writing() as work:
        await work.mail_servers.add(replace(RELAY, host=host))


async def add_in_time(store: SQLStore, host: str) -> None:
    """Try until it succeeds."""
    async with asyncio.timeout(GUARD_SECONDS):
        while True:
            with suppress(StoreUnavailable):
                return await add(store, host)


async def hosts(store: SQLStore) -> list[str]:
    async with store.reading() as view:
        return [stored.server.host for stored in await all_of(view.mail_servers)]


async def test_what_was_not_committed_is_not_there(store: SQLStore, direct: SQLStore, proxy: Proxy) -> None:
    async def cut_within() -> None:
        async with store.writing() as work:
            await work.mail_servers.add(RELAY)
            proxy.cut()
            await work.mail_servers.add(RELAY)

    with pytest.raises(StoreUnavailable):
        await cut_within()

    assert await hosts(direct) == []
    await add(store, "later")
    assert await hosts(direct) == ["later"]


async def test_a_commit_whose_answer_is_lost_may_have_happened_and_is_told_as_unavailable(
    store: SQLStore, direct: SQLStore, proxy: Proxy
) -> None:
    async def lose_the_answer() -> None:
        async with store.writing() as work:
            await work.mail_servers.add(replace(RELAY, host="unheard"))
            proxy.hold_answers()

    with pytest.raises(StoreUnavailable):
        await lose_the_answer()
    proxy.resume()

    assert await hosts(direct) == ["unheard"]
    assert await hosts(store) == ["unheard"]


async def test_writers_that_wait_are_told_together_with_the_one_that_hears_nothing(
    store: SQLStore, proxy: Proxy
) -> None:
    waiting: list[asyncio.Task[None]] = []

    async def lose_the_way() -> None:
        async with store.writing() as work:
            waiting.extend(asyncio.create_task(add(store, f"h{number}")) for number in range(20))
            await asyncio.sleep(0)
            proxy.hold()
            await work.mail_servers.add(RELAY)

    begun = time.monotonic()
    with pytest.raises(StoreUnavailable):
        await lose_the_way()
    told = await asyncio.gather(*waiting, return_exceptions=True)
    took = time.monotonic() - begun
    proxy.resume()

    assert [isinstance(error, StoreUnavailable) for error in told] == [True] * 20
    assert took < 10 * RESPONSE_TIMEOUT_SECONDS  # one after the other they would take twenty times as long
    await add(store, "after")
    assert await hosts(store) == ["after"]


async def test_a_writer_whose_way_is_lost_does_not_hold_up_the_others_for_long(
    store: SQLStore, direct: SQLStore, proxy: Proxy
) -> None:
    """The server hears no end of its connection, and it has the lock."""

    async def lose_the_way() -> None:
        async with store.writing() as work:
            await work.mail_servers.add(replace(RELAY, host="lost"))
            proxy.hold()
            proxy.forget()
            await work.mail_servers.add(replace(RELAY, host="lost-too"))

    await add(store, "before")
    with pytest.raises(StoreUnavailable):
        await lose_the_way()
    proxy.resume()
    await add_in_time(store, "after")

    assert await hosts(direct) == ["before", "after"]


async def test_what_is_acknowledged_is_on_the_disk_whatever_the_servers_default_is(
    postgres: Postgres, postgres_url: str
) -> None:
    name = postgres_url.rpartition("/")[2]
    postgres.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    service, migrations = engine.async_engine(postgres_url), engine.sync_engine(postgres_url)
    async with service.connect() as connection:
        found = [await connection.scalar(text("SHOW synchronous_commit"))]
    with migrations.connect() as connected:
        found.append(connected.scalar(text("SHOW synchronous_commit")))
    await service.dispose()
    migrations.dispose()

    assert found == ["on", "on"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"target_session_attrs": "primary"}),
        ("?target_session_attrs=any", {"target_session_attrs": "any"}),
        ("?options=-c%20search_path%3Dmine", {"options": f"-c search_path=mine {OWN}"}),
        (
            "?options=-c%20synchronous_commit%3Doff",
            {"options": f"-c synchronous_commit=off {OWN}"},
        ),
    ],
)
def test_what_the_url_says_of_a_session_stays_beside_what_we_need(query: str, expected: dict[str, str]) -> None:
    database = engine.sync_engine(f"postgresql://u@127.0.0.1/d{query}")
    told: dict[str, object] = {}

    @event.listens_for(database, "do_connect")
    def _note(_dialect: object, _record: object, _arguments: object, named: dict[str, object]) -> None:
        told.update(named)
        raise ConnectionRefusedError

    with pytest.raises(ConnectionRefusedError):
        database.connect()

    assert expected.items() <= told.items()
