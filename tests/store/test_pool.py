"""The pool of connections: its numbers, and connections that end while they are idle."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy.dialects.postgresql.psycopg import PGDialectAsync_psycopg

from mailsettings.store.database import SQLStore
from mailsettings.store.encryption.sealing import Sealer
from mailsettings.store.postgres import connection as postgres_connection

from support.databases import KEY
from support.postgres import Postgres


@pytest.fixture
async def on_postgres(postgres_url: str) -> AsyncIterator[SQLStore]:
    store = SQLStore(postgres_url, Sealer(KEY))
    yield store
    await store.close()


@pytest.fixture
def pings(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One entry for each test of a connection by a statement."""
    sent: list[None] = []
    original = PGDialectAsync_psycopg.do_ping

    def do_ping(self: PGDialectAsync_psycopg, connection: object) -> bool:
        sent.append(None)
        return bool(original(self, connection))  # type: ignore[no-untyped-call]  # SQLAlchemy has no types here

    monkeypatch.setattr(PGDialectAsync_psycopg, "do_ping", do_ping)
    return sent


async def test_a_transaction_takes_a_connection_and_returns_it(store: SQLStore) -> None:
    before = store.pool()
    async with store.writing():
        during = store.pool()
    after = store.pool()

    assert (before["in_use"], before["idle"], before["overflow"]) == (0, 0, 0)
    assert (during["in_use"], during["idle"]) == (1, 0)
    assert (after["in_use"], after["idle"]) == (0, 1)
    assert before["size"] == during["size"] >= 1


async def read(store: SQLStore) -> None:
    async with store.reading() as view:
        await view.accounts.list()


async def write(store: SQLStore) -> None:
    async with store.writing() as work:
        await work.accounts.list()


async def test_connections_that_a_restart_ended_fail_no_transaction(
    postgres: Postgres, on_postgres: SQLStore
) -> None:
    everything = [read, read, write, read, read]
    await asyncio.gather(*(each(on_postgres) for each in everything))
    open_before = on_postgres.pool()["idle"]
    postgres.stop()
    postgres.start()

    await asyncio.gather(*(each(on_postgres) for each in everything))
    assert open_before > 1


@pytest.mark.parametrize(("max_idle_seconds", "tested"), [(3600, 0), (-1, 1)])
async def test_only_a_connection_that_was_idle_for_long_is_tested(
    on_postgres: SQLStore,
    pings: list[None],
    monkeypatch: pytest.MonkeyPatch,
    max_idle_seconds: int,
    tested: int,
) -> None:
    monkeypatch.setattr(postgres_connection, "MAX_IDLE_SECONDS", max_idle_seconds)
    await read(on_postgres)
    await read(on_postgres)

    assert len(pings) == tested
