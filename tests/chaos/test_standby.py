"""A primary and its standby: which of them is used, and what is said while one of them is away."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import replace

import pytest

from mailsettings.domain.errors import StoreUnavailable
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, Sender
from mailsettings.store import engine, migrations
from mailsettings.store.database import SQLStore
from mailsettings.store.database_errors import StatementRejected
from mailsettings.store.encryption.sealing import Sealer
from mailsettings.store.outages import Outages
from mailsettings.store.postgres.data_version import PostgresDataVersion

from support.databases import KEY, all_of
from support.postgres import Postgres, running_pair
from support.timeouts import GUARD_SECONDS

RELAY = MailServer("relay.example.org", 25, ConnectionSecurity.NONE, Sender("a@b"))

Pair = tuple[Postgres, Postgres]


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """Both for all tests of this module, so none of them may fail over."""
    with running_pair() as (primary, standby):
        primary.execute("CREATE DATABASE pair")
        migrations.migrate(primary.url("pair"))
        yield primary, standby


@pytest.fixture
async def primary(pair: Pair) -> AsyncIterator[SQLStore]:
    store = SQLStore(pair[0].url("pair"), Sealer(KEY))
    yield store
    await store.close()


async def add(store: SQLStore, host: str) -> None:
    async with store.writing() as work:
        await work.mail_servers.add(replace(RELAY, host=host))


async def soon(trying: Callable[[], Awaitable[bool | None]]) -> None:
    """Try until it succeeds."""
    async with asyncio.timeout(GUARD_SECONDS):
        while True:
            with suppress(StoreUnavailable, StatementRejected):  # a standby may not have the table yet
                if await trying() is not False:
                    return
            await asyncio.sleep(0.01)


async def stores(store: SQLStore, host: str) -> bool:
    async with store.reading() as view:
        return host in [stored.server.host for stored in await all_of(view.mail_servers)]


async def test_a_standby_is_not_used_since_it_may_be_behind(pair: Pair) -> None:
    store = SQLStore(pair[1].url("pair"), Sealer(KEY))
    try:
        for asking in (store.ping(), stores(store, "any"), add(store, "refused")):
            with pytest.raises(StoreUnavailable):
                await asking
    finally:
        await store.close()


async def test_a_standby_that_was_asked_for_is_read_from_and_cannot_be_written_to(
    pair: Pair, primary: SQLStore
) -> None:
    await add(primary, "for-all-to-read")
    store = SQLStore(f"{pair[1].url('pair')}?target_session_attrs=any", Sealer(KEY))
    try:
        await soon(lambda: stores(store, "for-all-to-read"))  # what is acknowledged need not be shown there yet
        with pytest.raises(StoreUnavailable):
            await add(store, "refused")
    finally:
        await store.close()


async def test_a_primary_that_became_a_standby_does_not_answer(pair: Pair) -> None:
    """The connection was opened to a primary; only its answer shows what the server is now."""
    url = f"{pair[1].url('pair')}?target_session_attrs=any"
    data_version = PostgresDataVersion(lambda: engine.connect(url), Outages())
    try:
        with pytest.raises(StoreUnavailable):
            await data_version.ask()
    finally:
        data_version.close()


@pytest.mark.parametrize("query", ["", "?target_session_attrs=read-write"])
async def test_of_several_servers_the_primary_is_found(pair: Pair, query: str) -> None:
    ports = [server.port for server in reversed(pair)]
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    store = SQLStore(f"postgresql://postgres@{hosts}/pair{query}", Sealer(KEY))
    await add(store, f"found{len(query)}")

    assert await stores(store, f"found{len(query)}")
    await store.close()


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
async def test_what_no_standby_has_is_not_acknowledged_and_reading_goes_on(pair: Pair, primary: SQLStore) -> None:
    with pair[1].frozen():
        with pytest.raises(StoreUnavailable):
            await add(primary, "waits-for-the-standby")
        shown = await stores(primary, "waits-for-the-standby")
    await soon(lambda: stores(primary, "waits-for-the-standby"))
    await soon(lambda: add(primary, "after"))

    assert not shown


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
async def test_who_gives_up_waiting_is_not_told_that_it_is_done(pair: Pair, primary: SQLStore) -> None:
    """PostgreSQL answers a cancelled wait for the standby with success."""
    with pair[1].frozen():
        writing = asyncio.create_task(add(primary, "given-up"))
        await asyncio.to_thread(pair[0].wait_for, "SELECT bool_or(wait_event = 'SyncRep') FROM pg_stat_activity")
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        shown = await stores(primary, "given-up")

    await soon(lambda: add(primary, "after-all"))
    assert not shown
