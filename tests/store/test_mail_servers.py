"""Mail servers in the database: the same promises on SQLite and PostgreSQL."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, event, insert

from mailsettings.domain.certificates import CustomTrust, SystemTrust
from mailsettings.domain.errors import MailServerNotFound
from mailsettings.domain.mail_server import (
    AmbientCredentials,
    ConnectionSecurity,
    MailServer,
    NoAuthentication,
    OAuth2ClientCredentials,
    PasswordAuthentication,
    Sender,
    StoredMailServer,
)
from mailsettings.domain.values import Secret
from mailsettings.store import engine
from mailsettings.store.database import SQLStore
from mailsettings.store.database_errors import StatementRejected
from mailsettings.store.database_url import sqlite_file
from mailsettings.store.encryption.sealing import Sealer
from mailsettings.store.tables import mail_servers
from mailsettings.use_cases.mail_server_names import name_mail_servers

from support.certificates import authority_pem
from support.databases import KEY, all_of

UNUSUAL = " naïve “quotes” 日本語 👍🏽 a'b\"c\\d; DROP TABLE -- %s :x "
RELAY = MailServer("relay.example.org", 25, ConnectionSecurity.NONE, Sender("a@example.org"))


def with_login(login: Any) -> MailServer:
    return replace(RELAY, authentication=login)


async def add(store: SQLStore, server: MailServer) -> int:
    async with store.writing() as work:
        return await work.mail_servers.add(server)


async def find(store: SQLStore, server_id: int) -> StoredMailServer:
    async with store.reading() as view:
        found = await view.mail_servers.find(server_id)
    assert found is not None
    return found


VARIANTS = {
    "no login": RELAY,
    "ambient": with_login(AmbientCredentials(UNUSUAL)),
    "password": with_login(PasswordAuthentication(UNUSUAL, Secret(UNUSUAL))),
    "long password": with_login(PasswordAuthentication("u", Secret("🔑" * 255))),
    "no password": with_login(PasswordAuthentication("u", None)),
    "oauth2": with_login(OAuth2ClientCredentials("u", "client", "tenant.example", Secret(UNUSUAL))),
    "starttls": replace(RELAY, security=ConnectionSecurity.STARTTLS, port=65535),
    "certificate": replace(
        RELAY, security=ConnectionSecurity.IMPLICIT_TLS, trust=CustomTrust.parse(authority_pem())
    ),
    "unusual sender": replace(RELAY, sender=Sender("not an address", UNUSUAL)),
    "IPv6": replace(RELAY, host="2001:db8::7"),
    "notes": replace(RELAY, description="a\n" + UNUSUAL, labels={"team/a": UNUSUAL[:60], "env": ""}),
}


@pytest.mark.parametrize("name", VARIANTS)
async def test_a_server_is_read_as_it_was_stored(store: SQLStore, name: str) -> None:
    server = VARIANTS[name]

    added = await find(store, await add(store, server))
    other = await add(store, RELAY)
    async with store.writing() as work:
        await work.mail_servers.replace(other, server)
    replaced = await find(store, other)

    assert (1, server) == (added.version, added.server)
    assert (2, server) == (replaced.version, replaced.server)


async def test_ids_begin_at_1_and_are_never_reused(store: SQLStore, database_url: str) -> None:
    given = [await add(store, RELAY), await add(store, RELAY)]
    for server_id in given:
        async with store.writing() as work:
            await work.mail_servers.delete(server_id)
    await store.close()
    reopened = SQLStore(database_url, Sealer(KEY))
    given.append(await add(reopened, RELAY))
    await reopened.close()

    assert given == [1, 2, 3]


async def test_at_most_one_server_is_the_default_by_choice(store: SQLStore) -> None:
    async def default() -> int | None:
        async with store.reading() as view:
            found = await view.mail_servers.find_default()
        return found.id if found else None

    async def choose(server_id: int | None) -> int | None:
        async with store.writing() as work:
            await work.mail_servers.choose_default(server_id)
        return await default()

    first, second = await add(store, RELAY), await add(store, RELAY)
    seen = [await default(), *[await choose(one) for one in (first, second, None, first)]]
    async with store.writing() as work:
        await work.mail_servers.delete(first)
    seen.append(await default())

    assert seen == [None, first, second, None, first, None]
    assert (await find(store, second)).version == 1


async def test_all_servers_are_listed_by_id(store: SQLStore) -> None:
    hosts = ["c", "a", "b"]
    for host in hosts:
        await add(store, replace(RELAY, host=host))

    async with store.reading() as view:
        listed = await all_of(view.mail_servers)

    assert [(stored.id, stored.server.host) for stored in listed] == [(1, "c"), (2, "a"), (3, "b")]


@pytest.mark.parametrize("name", VARIANTS)
async def test_a_list_shows_what_is_stored(store: SQLStore, name: str) -> None:
    server_id = await add(store, VARIANTS[name])

    async with store.reading() as view:
        listed = await view.mail_servers.listed(0, 10)

    assert [StoredMailServer(server_id, 1, VARIANTS[name]).listed()] == listed


async def test_list_continues_after_an_id_up_to_its_limit(store: SQLStore) -> None:
    for _ in range(5):
        await add(store, RELAY)
    async with store.writing() as work:
        await work.mail_servers.delete(3)

    async with store.reading() as view:
        found = [[each.id for each in await view.mail_servers.listed(after, 2)] for after in (0, 2, 4, 5)]

    assert found == [[1, 2], [4, 5], [5], []]


async def test_no_query_scans_all_servers(sqlite_url: str) -> None:
    asked = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    store = SQLStore(sqlite_url, Sealer(KEY))
    await add(store, RELAY)  # the first write of all asks which keys are needed
    event.listen(Engine, "before_cursor_execute", note)
    try:
        server_id = await add(store, RELAY)
        async with store.writing() as work:
            await work.mail_servers.replace(server_id, RELAY)
            await work.mail_servers.delete(server_id)
        async with store.reading() as view:
            await view.mail_servers.find(server_id)
            await view.mail_servers.find("relay")
            await view.mail_servers.find("server-7")
            await view.mail_servers.find_default()
            await view.mail_servers.listed(server_id, 10)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
        await store.close()

    with closing(sqlite3.connect(sqlite_file(sqlite_url))) as database:
        plans = [
            plan
            for statement, parameters in asked
            if "mail_servers" in statement and not statement.startswith("INSERT")
            for *_, plan in database.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            if "mail_servers" in plan
        ]
    assert len(plans) >= 9
    assert {plan.partition(" USING ")[0] for plan in plans} == {"SEARCH mail_servers"}


async def test_a_failed_transaction_writes_nothing(store: SQLStore) -> None:
    kept = await add(store, RELAY)

    async def fail_half_way() -> None:
        async with store.writing() as work:
            await work.mail_servers.add(RELAY)
            await work.mail_servers.replace(kept, replace(RELAY, host="changed"))
            raise MailServerNotFound

    with pytest.raises(MailServerNotFound):
        await fail_half_way()

    async with store.reading() as view:
        [stored] = await all_of(view.mail_servers)

    assert (stored.id, stored.version, stored.server) == (kept, 1, RELAY)


async def test_concurrent_writers_lose_nothing(store: SQLStore, database_url: str) -> None:
    """Case 39. Each reads the port and writes one more; with a lost update the last port would be too low."""
    server_id = await add(store, replace(RELAY, port=1))
    other = SQLStore(database_url, Sealer(KEY))

    async def count_up(through: SQLStore) -> None:
        async with through.writing() as work:
            stored = await work.mail_servers.find(server_id)
            assert stored is not None
            await work.mail_servers.replace(server_id, replace(stored.server, port=stored.server.port + 1))

    await asyncio.gather(*(count_up(each) for _ in range(10) for each in (store, other)))
    await other.close()

    stored = await find(store, server_id)
    assert (stored.server.port, stored.version) == (21, 21)


async def test_concurrent_servers_get_different_names(store: SQLStore, database_url: str) -> None:
    other = SQLStore(database_url, Sealer(KEY))
    ids = await asyncio.gather(*(add(each, RELAY) for _ in range(6) for each in (store, other)))
    await other.close()

    stored = [await find(store, server_id) for server_id in ids]

    assert sorted(ids) == list(range(1, 13))
    assert {one.version for one in stored} == {1}
    assert {one.server.trust for one in stored} == {SystemTrust()}
    assert {one.server.authentication for one in stored} == {NoAuthentication()}
    assert {one.name for one in stored} >= {"relay-example-org", "relay-example-org-2", "relay-example-org-9"}
    assert len({one.name for one in stored}) == 12


async def test_a_server_is_found_by_its_id_and_name(store: SQLStore) -> None:
    async with store.writing() as work:
        server_id = await work.mail_servers.add(RELAY, name="relay-berlin")
    async with store.reading() as view:
        by_name = await view.mail_servers.find("relay-berlin")
        others = [await view.mail_servers.find(ref) for ref in ("relay", "server-1", 0, 2**31, 10**40)]

    assert by_name == await find(store, server_id)
    assert others == [None] * 5


async def test_the_database_refuses_a_name_that_is_taken(store: SQLStore) -> None:
    async def take(name: str) -> None:
        async with store.writing() as work:
            await work.mail_servers.add(RELAY, name=name)

    await take("relay")
    with pytest.raises(StatementRejected):
        await take("relay")


def without_names(url: str, *hosts: str) -> None:
    """Store servers as programs of the previous version do, without names."""
    row: dict[str, Any] = {"version": 1, "is_default": False, "port": 25, "security": "none"}
    at = datetime(2026, 1, 1, tzinfo=UTC)
    row |= {"authentication": "none", "sender_address": "a@example.org", "created_at": at, "updated_at": at}
    rows = [{**row, "host": host} for host in hosts]
    database = engine.sync_engine(url)
    with database.begin() as connection:
        connection.execute(insert(mail_servers), rows)
    database.dispose()


async def test_a_server_without_name_is_found_by_its_id(store: SQLStore, database_url: str) -> None:
    without_names(database_url, "relay.example.org")

    async with store.reading() as view:
        found = await view.mail_servers.find("server-1")

    assert found is not None
    assert (found.name, found.enabled, found.is_default) == ("server-1", True, False)
    assert (found.server.description, found.server.labels) == ("", {})


async def test_a_start_names_the_servers_of_the_previous_version(store: SQLStore, database_url: str) -> None:
    hosts = ("smtp.example.com", "smtp.example.com", "192.0.2.7", "2001:db8::7", "Default", "server", "server-9")
    without_names(database_url, *hosts)
    before = (await find(store, 1)).tag

    await name_mail_servers(store)

    assert [(await find(store, number + 1)).name for number in range(len(hosts))] == [
        *("smtp-example-com", "smtp-example-com-2", "server-192-0-2-7", "server-2001-db8-7"),
        *("mail-default", "mail-server", "mail-server-9"),
    ]
    assert (await find(store, 1)).tag == before


async def test_a_change_names_a_server_of_the_previous_version(store: SQLStore, database_url: str) -> None:
    without_names(database_url, "smtp.example.com")

    async with store.writing() as work:
        await work.mail_servers.replace(1, RELAY)

    assert (await find(store, 1)).name == "relay-example-org"
