"""Reading: never older than the last acknowledged write of any process, clear about a database that is away."""

import asyncio
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from mailsettings.domain.errors import StoreUnavailable
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, Sender
from mailsettings.store import database_url, migrations
from mailsettings.store.database import SQLStore
from mailsettings.store.encryption.sealing import Sealer

from support.databases import KEY
from support.postgres import Postgres
from support.timeouts import GUARD_SECONDS

RELAY = MailServer("relay.example.org", 25, ConnectionSecurity.NONE, Sender("a@b"))


async def put(store: SQLStore, host: str) -> None:
    async with store.writing() as work:
        stored = await work.mail_servers.find_default()
        if stored is None:
            await work.mail_servers.add(replace(RELAY, host=host), as_default=True)
        else:
            await work.mail_servers.replace(stored.id, replace(RELAY, host=host))


async def host(store: SQLStore) -> str | None:
    stored = await store.cache.default_mail_server()
    return stored.server.host if stored else None


async def test_the_next_read_of_every_store_sees_a_write(store: SQLStore, database_url: str) -> None:
    other = SQLStore(database_url, Sealer(KEY))
    seen = []
    for number in range(20):
        writer, reader = (store, other) if number % 2 else (other, store)
        await put(writer, f"h{number}")
        seen.append((await host(reader), await host(writer), await host(reader)))
    await other.close()

    assert seen == [(f"h{number}",) * 3 for number in range(20)]


async def test_the_next_read_sees_a_write_of_another_process(sqlite_url: str) -> None:
    store = SQLStore(sqlite_url, Sealer(KEY))
    await put(store, "before")
    seen = [await host(store)]
    for name in ("first", "second"):
        statement = f"UPDATE mail_servers SET host = '{name}', version = version + 1"
        file = str(database_url.sqlite_file(sqlite_url))
        program = f"import sqlite3; c = sqlite3.connect({file!r}); c.execute({statement!r}); c.commit()"
        await asyncio.to_thread(subprocess.run, [sys.executable, "-c", program], check=True)
        seen.append(await host(store))
    await store.close()

    assert seen == ["before", "first", "second"]


async def test_concurrent_reads_never_go_back_in_time(store: SQLStore, database_url: str) -> None:
    other = SQLStore(database_url, Sealer(KEY))
    await put(store, "h0")
    acknowledged = 0

    async def write() -> None:
        nonlocal acknowledged
        for number in range(1, 31):
            await put(other, f"h{number}")
            acknowledged = number

    async def read() -> None:
        while acknowledged < 30:
            least = acknowledged
            found = await host(store)
            assert found is not None
            assert int(found[1:]) >= least
            await asyncio.sleep(0)

    await asyncio.gather(write(), read(), read())
    await other.close()


async def test_locked_file_is_read_from_disk_instead_of_memory(sqlite_url: str) -> None:
    store = SQLStore(sqlite_url, Sealer(KEY))
    await put(store, "before")
    assert await host(store) == "before"
    blocker = sqlite3.connect(database_url.sqlite_file(sqlite_url), isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    blocker.execute("UPDATE mail_servers SET host = 'after'")
    reading = asyncio.create_task(host(store))
    await asyncio.sleep(0.3)
    blocker.execute("COMMIT")
    blocker.close()

    assert await reading == "after"
    await store.close()


async def test_waiting_writers_do_not_block_readers(store: SQLStore, database_url: str) -> None:
    other = SQLStore(database_url, Sealer(KEY))
    async with other.writing():
        waiting = [asyncio.create_task(put(store, f"h{number}")) for number in range(40)]
        await asyncio.sleep(0.1)

        await store.ping()
        still_waiting = not any(writer.done() for writer in waiting)

    await asyncio.gather(*waiting)
    await other.close()
    assert still_waiting


async def test_unavailable_server_is_reported_soon_and_used_again_later(
    postgres: Postgres, postgres_url: str
) -> None:
    """Case 40."""
    store = SQLStore(postgres_url, Sealer(KEY))
    await put(store, "kept")
    postgres.stop()
    begun = time.monotonic()
    try:
        with pytest.raises(StoreUnavailable):
            await host(store)
        with pytest.raises(StoreUnavailable):
            await put(store, "lost")
        with pytest.raises(StoreUnavailable):
            await store.ping()
    finally:
        took = time.monotonic() - begun
        postgres.start()

    assert took < GUARD_SECONDS
    assert await host(store) == "kept"
    await put(store, "new")
    assert await host(store) == "new"
    await store.close()


async def test_an_unreadable_file_is_reported_as_unavailable(empty_sqlite_url: str) -> None:
    file = database_url.sqlite_file(empty_sqlite_url)
    file.parent.mkdir()
    file.write_bytes(b"this is no database, whatever its name says" * 100)
    store = SQLStore(empty_sqlite_url, Sealer(KEY))

    with pytest.raises(StoreUnavailable):
        await host(store)
    await store.close()


@pytest.mark.parametrize(
    "url", ["mysql://u:canary@h/d", "sqlite://", "nonsense", "postgresql+asyncpg://u:canary@h/d", ""]
)
def test_another_kind_of_database_is_refused_without_its_url(url: str) -> None:
    with pytest.raises(database_url.DatabaseUnsupported) as refused:
        migrations.migrate(url)

    assert "canary" not in str(refused.value)
