"""Mail servers in the database: the same promises on SQLite and PostgreSQL."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, event

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
from mailsettings.store.database import SQLStore
from mailsettings.store.encryption.sealing import Sealer
from mailsettings.store.engine import sqlite_file

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


async def test_the_first_server_is_the_default_until_its_deletion(
    store: SQLStore,
) -> None:
    async def default() -> int | None:
        async with store.reading() as view:
            found = await view.mail_servers.find_default()
        return found.id if found else None

    seen = [await default()]
    first, second = await add(store, RELAY), await add(store, RELAY)
    seen.append(await default())
    async with store.writing() as work:
        await work.mail_servers.delete(first)
    seen.append(await default())
    third = await add(store, RELAY)
    seen.append(await default())

    assert seen == [None, first, None, third]
    assert second not in seen


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
        ]
    assert len(plans) >= 7
    searches = {plan.partition(" USING ")[0] for plan in plans if not plan.startswith("SCALAR SUBQUERY")}
    assert searches == {"SEARCH mail_servers", "SEARCH data_version"}


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


async def test_concurrent_first_servers_leave_one_default(store: SQLStore) -> None:
    ids = await asyncio.gather(*(add(store, RELAY) for _ in range(8)))

    async with store.reading() as view:
        default = await view.mail_servers.find_default()

    assert default is not None
    assert sorted(ids) == list(range(1, 9))
    assert default.id == 1
    assert {server_id: (await find(store, server_id)).version for server_id in ids} == dict.fromkeys(ids, 1)
    assert default.server.trust == SystemTrust()
    assert default.server.authentication == NoAuthentication()
