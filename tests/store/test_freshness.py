"""Cached values: the same object while it is unchanged, and never older than the last commit."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address

import pytest
from alembic import command
from sqlalchemy import Engine, event, text

from mailsettings.domain.access import Account, Credentials, Moment
from mailsettings.domain.device import Device, parse_network
from mailsettings.domain.errors import StoreUnavailable
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, Sender
from mailsettings.store import engine, migrations
from mailsettings.store.database import SQLStore
from mailsettings.store.encryption.sealing import Sealer
from mailsettings.store.freshness import CachedValues, Freshness
from mailsettings.store.postgres.data_version import PostgresDataVersion
from mailsettings.store.tables import metadata

from support.databases import KEY
from support.postgres import Postgres
from support.tcp_proxy import proxied

RELAY = MailServer("relay.example.org", 25, ConnectionSecurity.NONE, Sender("a@example.org"))
LAB = Device(0, "lab", networks=(parse_network("10.1.0.0/16"),), trusts_network=True)
CHANGE = "UPDATE devices SET description = 'new'"

Read = Callable[[SQLStore, Moment | None], Awaitable[object]]

READS: dict[str, Read] = {
    "default": lambda store, moment: store.cache.default_mail_server(moment),
    "by id": lambda store, moment: store.cache.mail_server(1, moment),
    "page": lambda store, moment: store.cache.page(0, 10, moment),
    "account": lambda store, moment: store.cache.account("caller", moment),
    "device": lambda store, moment: store.cache.device("lab", moment),
}


@pytest.fixture
async def filled(store: SQLStore) -> SQLStore:
    async with store.writing() as work:
        await work.mail_servers.add(RELAY, as_default=True)
        await work.accounts.add(Credentials(Account("caller", frozenset({"a"})), "x"))
        await work.devices.add(LAB, None)
    return store


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One entry for each question that was sent to PostgreSQL."""
    sent: list[None] = []
    original = PostgresDataVersion._send  # noqa: SLF001  # no other place counts the questions

    def send(self: PostgresDataVersion) -> None:
        sent.append(None)
        original(self)

    monkeypatch.setattr(PostgresDataVersion, "_send", send)
    return sent


@pytest.fixture
async def connected(postgres_url: str) -> AsyncIterator[SQLStore]:
    """A store on PostgreSQL that has asked before."""
    store = SQLStore(postgres_url, Sealer(KEY))
    await store.cache.account("somebody")
    yield store
    await store.close()


async def read_all(store: SQLStore, moment: Moment | None = None) -> dict[str, object]:
    return {name: await read(store, moment) for name, read in READS.items()}


def execute(url: str, *statements: str) -> None:
    """Change the database as another program does."""
    database = engine.sync_engine(url)
    with database.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    database.dispose()


async def test_unchanged_value_is_the_same_object(filled: SQLStore) -> None:
    first = await read_all(filled)

    for moment in (None, Moment(), None):
        again = await read_all(filled, moment)
        assert [again[name] is value for name, value in first.items()] == [True] * len(READS)


async def test_the_next_read_sees_a_change_by_another_program(filled: SQLStore, database_url: str) -> None:
    seen = [await read_all(filled)]
    for statements in (
        ["UPDATE mail_servers SET host = 'new'", "UPDATE accounts SET security_stamp = 'new'", CHANGE],
        ["DELETE FROM mail_servers", "DELETE FROM accounts", "DELETE FROM devices"],
    ):
        execute(database_url, *statements)
        seen.append(await read_all(filled))
    missing = {name: () if name == "page" else None for name in READS}

    assert ["'new'" in repr(seen[1][name]) for name in READS] == [True] * len(READS)
    assert "'new'" not in repr(seen[0])
    assert seen[2] == missing


async def test_the_next_connection_sees_a_newly_trusted_network(filled: SQLStore, database_url: str) -> None:
    async def seen() -> bool:
        return (await filled.cache.trusted_networks()).device_of(ip_address("10.2.0.1")) is not None

    before = [await seen(), await seen()]
    execute(database_url, """UPDATE devices SET networks = '["10.2.0.0/16"]'""")

    assert [*before, await seen()] == [False, False, True]


async def test_request_reads_its_own_write(filled: SQLStore) -> None:
    moment = Moment()
    before = await read_all(filled, moment)
    async with filled.writing() as work:
        await work.mail_servers.replace(1, replace(RELAY, host="new.example.org"))
        await work.mail_servers.add(RELAY)
        await work.accounts.set_grants("caller", {"new"})
        await work.devices.replace(1, replace(LAB, description="new"), None)
    after = await read_all(filled, moment)

    assert [after[name] != before[name] for name in READS] == [True] * len(READS)


async def test_a_rolled_back_change_keeps_what_is_kept(filled: SQLStore) -> None:
    before = await filled.cache.mail_server(1)
    with suppress(ZeroDivisionError):
        async with filled.writing() as work:
            await work.mail_servers.replace(1, replace(RELAY, host="lost.example.org"))
            raise ZeroDivisionError

    assert await filled.cache.mail_server(1) is before


async def test_reads_that_wait_share_one_question(connected: SQLStore, questions: list[None]) -> None:
    await asyncio.gather(*(connected.cache.account("caller") for _ in range(16)))

    assert len(questions) == 1


async def test_all_reads_of_a_request_cost_one_question(connected: SQLStore, questions: list[None]) -> None:
    await read_all(connected, Moment())

    assert len(questions) == 1


async def test_a_question_under_way_does_not_count_for_later_reads(
    postgres: Postgres, postgres_url: str, questions: list[None]
) -> None:
    with proxied(postgres.port) as proxy:
        store = SQLStore(postgres_url.replace(f":{postgres.port}/", f":{proxy.port}/"), Sealer(KEY))
        async with store.writing() as work:
            await work.mail_servers.add(RELAY)
        await store.cache.mail_server(1)
        questions.clear()
        proxy.hold_answers()
        early = asyncio.create_task(store.cache.mail_server(1))
        await asyncio.sleep(0.05)  # the question is on its way
        execute(postgres_url, "UPDATE mail_servers SET host = 'new'")
        late = asyncio.create_task(store.cache.mail_server(1))
        await asyncio.sleep(0)
        proxy.resume()
        _, found = await asyncio.gather(early, late)
        await store.close()

    assert found is not None
    assert found.server.host == "new"
    assert len(questions) == 2


async def test_a_restart_of_the_database_fails_no_read(postgres: Postgres, connected: SQLStore) -> None:
    before = await connected.cache.default_mail_server()
    postgres.stop()
    postgres.start()

    assert await connected.cache.default_mail_server() == before


async def test_nothing_is_read_from_memory_while_the_database_is_away(
    postgres: Postgres, connected: SQLStore
) -> None:
    await connected.cache.default_mail_server()
    postgres.stop()
    try:
        with pytest.raises(StoreUnavailable):
            await connected.cache.default_mail_server()
    finally:
        postgres.start()


async def test_a_missing_row_makes_each_read_ask_the_database(connected: SQLStore, postgres_url: str) -> None:
    execute(postgres_url, "DELETE FROM data_version")
    seen = []
    for name in ("a", "b"):
        execute(postgres_url, f"INSERT INTO accounts VALUES ('{name}', 'x', '[]', now())")
        seen.append([await connected.cache.account(each) is not None for each in ("a", "b")])

    assert seen == [[True, False], [True, True]]


async def test_every_table_that_is_kept_moves_the_data_version(connected: SQLStore, postgres_url: str) -> None:
    """A table without the trigger would be read from memory for ever."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    await read_all(connected)
    event.remove(Engine, "before_cursor_execute", note)
    read_tables = {table.name for table in metadata.sorted_tables if table.name in " ".join(statements).split()}
    triggers = "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'move_data_version'"
    database = engine.sync_engine(postgres_url)
    with database.connect() as connection:
        moving = set(connection.scalars(text(triggers)))
    database.dispose()

    assert {"accounts", "devices", "mail_servers"} <= read_tables - {"data_version"} <= moving


async def test_a_data_version_never_comes_back(postgres_url: str) -> None:
    """Also after the table was removed and created again. `tests/chaos/test_fail_over.py` loses commits."""
    seen = [current(postgres_url)]
    for _ in range(2):
        execute(postgres_url, "UPDATE mail_servers SET port = port")
        seen.append(current(postgres_url))
    database = engine.sync_engine(postgres_url)
    with database.begin() as connection:
        command.downgrade(migrations.alembic_config(connection), "0007")
    database.dispose()
    migrations.migrate(postgres_url)
    seen.append(current(postgres_url))

    assert len({*seen}) == len(seen)


def test_a_change_after_a_savepoint_moves_the_data_version(postgres_url: str) -> None:
    """The trigger moves it once in a transaction; a savepoint that is rolled back undoes the move."""
    before = current(postgres_url)
    change = "UPDATE accounts SET kind = kind"
    execute(postgres_url, "SAVEPOINT a", change, "ROLLBACK TO a", change)

    assert current(postgres_url) != before


def current(url: str) -> str:
    database = engine.sync_engine(url)
    with database.connect() as connection:
        found = str(connection.scalar(text("SELECT value FROM data_version")))
    database.dispose()
    return found


class Numbers:
    """Data versions that a test sets."""

    in_snapshots = True
    newest: Hashable | None = 1

    async def ask(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        ({"max_values": 3}, [1, 2, 3]),
        ({"max_values": 2}, [2, 3]),
        ({"max_bytes": 6}, [1, 2, 3]),
        ({"max_bytes": 5}, [2, 3]),
        ({"max_bytes": 4}, [3]),
        ({"max_bytes": 1}, []),
    ],
)
async def test_what_is_kept_is_bounded(limits: dict[str, int], kept: list[int]) -> None:
    numbers, loaded = Numbers(), list[int]()

    async def load(key: int) -> tuple[int, Hashable | None]:
        loaded.append(key)
        return key, numbers.newest

    values = CachedValues(Freshness(numbers), load, lambda number: number, **limits)
    for key in (1, 2, 3):
        await values.get(key)
    loaded.clear()
    others = [key for key in (1, 2, 3) if key not in kept]
    for key in (*kept, *others):
        await values.get(key)

    assert loaded == others


async def test_value_of_another_data_version_is_not_kept() -> None:
    numbers, loaded = Numbers(), list[int]()

    async def load(key: int) -> tuple[int, Hashable | None]:
        """The database moves on while the value is loaded."""
        loaded.append(key)
        numbers.newest = len(loaded)
        return key, 0

    values = CachedValues(Freshness(numbers), load, lambda _: 1)
    for _ in range(3):
        await values.get(5)

    assert loaded == [5, 5, 5]


class Loads:
    """Loads that wait for `may_end`; each returns its number."""

    def __init__(self) -> None:
        self.numbers = Numbers()
        self.begun = 0
        self.may_end = asyncio.Event()
        self.values: CachedValues[str, int] = CachedValues(Freshness(self.numbers), self.load, lambda _: 1)

    async def load(self, _key: str) -> tuple[int, Hashable | None]:
        self.begun += 1
        number, seen = self.begun, self.numbers.newest
        await self.may_end.wait()
        return number, seen

    async def begin(self) -> asyncio.Task[int]:
        """Begin a read and return when it waits for its load."""
        reading = asyncio.create_task(self.values.get("key"))
        for _ in range(3):
            await asyncio.sleep(0)
        return reading


async def test_reads_at_once_share_one_load() -> None:
    loads = Loads()
    readers = [await loads.begin() for _ in range(20)]
    loads.may_end.set()

    assert await asyncio.gather(*readers) == [1] * 20
    assert loads.begun == 1


async def test_a_load_of_an_older_data_version_is_not_shared() -> None:
    loads = Loads()
    early = await loads.begin()
    loads.numbers.newest = 2
    late = await loads.begin()
    loads.may_end.set()

    assert (await early, await late, await loads.values.get("key")) == (1, 2, 2)


async def test_loads_are_not_shared_without_a_data_version() -> None:
    loads = Loads()
    loads.numbers.newest = None
    readers = [await loads.begin() for _ in range(3)]
    loads.may_end.set()

    assert await asyncio.gather(*readers) == [1, 2, 3]


async def test_a_reader_that_leaves_does_not_end_the_load() -> None:
    loads = Loads()
    leaving, staying = await loads.begin(), await loads.begin()
    leaving.cancel()
    loads.may_end.set()

    assert await staying == 1


async def test_requests_share_an_answer_only_if_they_arrived_before_the_question(
    filled: SQLStore, database_url: str
) -> None:
    """A change that was acknowledged after a request arrived may be missing; an earlier one never is."""
    early, alike = Moment(), Moment()
    seen = await read_all(filled, early)
    execute(database_url, "UPDATE mail_servers SET host = 'new'")

    assert await read_all(filled, alike) == seen
    assert "'new'" in repr(await read_all(filled, Moment()))


async def test_no_answer_is_shared_after_a_write_of_this_process(filled: SQLStore) -> None:
    early, alike = Moment(), Moment()
    await read_all(filled, early)
    async with filled.writing() as work:
        await work.mail_servers.replace(1, replace(RELAY, host="new.example.org"))

    assert "new.example.org" in repr(await read_all(filled, alike))
