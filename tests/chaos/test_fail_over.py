"""A fail-over to a standby that lost commits: no process shows the lost commits any more."""

from dataclasses import replace

from mailsettings.domain.access import Account, Credentials
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, Sender
from mailsettings.store import migrations
from mailsettings.store.database import SQLStore
from mailsettings.store.encryption.sealing import Sealer

from support.databases import KEY
from support.postgres import Postgres, running_pair

RELAY = MailServer("relay.example.org", 25, ConnectionSecurity.NONE, Sender("a@b"))


async def test_lost_commits_are_not_read_after_a_fail_over() -> None:
    """The new primary makes as many commits as were lost, so a plain counter would show the old value again."""
    with running_pair() as (primary, standby):
        store = await store_on(primary, standby)
        standby.stop()
        await change(store, "lost")
        kept = await shown(store)
        primary.stop()
        standby.start()
        standby.promote()
        first = await host(store)
        await change(store, "new")
        then = await shown(store)
        await store.close()

    assert kept == ("lost", frozenset({"lost"}))
    assert first == "before"
    assert then == ("new", frozenset({"new"}))


async def store_on(primary: Postgres, standby: Postgres) -> SQLStore:
    """Return a store that uses whichever is the primary, which does not wait for its standby."""
    primary.execute("CREATE DATABASE pair")
    migrations.migrate(primary.url("pair"))
    store = SQLStore(f"postgresql://postgres@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/pair", Sealer(KEY))
    async with store.writing() as work:
        await work.mail_servers.add(replace(RELAY, host="before"), as_default=True)
        await work.accounts.add(Credentials(Account("caller", frozenset({"before"})), "x"))
    primary.execute("ALTER SYSTEM RESET synchronous_standby_names")
    primary.execute("SELECT pg_reload_conf()")
    primary.wait_for("SELECT current_setting('synchronous_standby_names') = ''")
    return store


async def change(store: SQLStore, name: str) -> None:
    async with store.writing() as work:
        await work.mail_servers.replace(1, replace(RELAY, host=name))
        await work.accounts.set_grants("caller", {name})


async def shown(store: SQLStore) -> tuple[str, frozenset[str]]:
    caller = await store.cache.account("caller")
    assert caller is not None
    return await host(store), caller.account.grants


async def host(store: SQLStore) -> str:
    stored = await store.cache.default_mail_server()
    assert stored is not None
    return stored.server.host
