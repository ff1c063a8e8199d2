"""Leases, states and waiting events in the database: all processes agree on them."""

import time
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import insert, text, update

from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, PasswordAuthentication, Sender
from mailsettings.domain.monitoring import DAY_SECONDS, MAX_WAITING_EVENTS, Health, MonitoringState, WaitingEvent
from mailsettings.domain.values import Secret
from mailsettings.store import engine
from mailsettings.store.database import SQLStore
from mailsettings.store.encryption.sealing import Sealer
from mailsettings.store.tables import mail_servers, watch_states, webhook_events

from support.databases import KEY

SECRET = Secret("canary-4411")
SERVER = MailServer(
    "mail.example.org", 25, ConnectionSecurity.NONE, Sender("a@b.example"), PasswordAuthentication("a", SECRET)
)
INTERVAL = 900


async def add_servers(store: SQLStore, count: int) -> None:
    async with store.writing() as work:
        for _ in range(count):
            await work.mail_servers.add(SERVER)


async def keep(store: SQLStore, server_id: int, since: float, checked_at: float, **changes: object) -> None:
    """A state by how many seconds ago."""
    async with store.writing() as work:
        now = await work.monitoring.now()
        known = {"version": 1, "works": True, "stage": None, "code": None} | changes
        state = MonitoringState(server_id, since=now - since, checked_at=now - checked_at, **known)  # type: ignore[arg-type]
        await work.monitoring.save(state)


async def due(store: SQLStore, limit: int = 1000, again_after: int = 60) -> list[int]:
    async with store.reading() as view:
        return list(await view.monitoring.due(INTERVAL, again_after, limit))


async def test_a_lease_has_one_holder_until_release_or_expiry(store: SQLStore, database_url: str) -> None:
    async def take(holder: str, seconds: float = 60) -> bool:
        async with store.writing() as work:
            return await work.leases.take("watch", holder, seconds)

    async def holders() -> list[str]:
        async with store.writing() as work:
            return [one for one in ("a", "b") if await work.leases.holds("watch", one)]

    assert (await take("a"), await take("b"), await take("a"), await holders()) == (True, False, True, ["a"])
    async with store.writing() as work:
        await work.leases.give_up("watch", "b")
    assert await holders() == ["a"]
    async with store.writing() as work:
        await work.leases.give_up("watch", "a")
    assert (await take("b"), await holders()) == (True, ["b"])

    database = engine.sync_engine(database_url)
    with database.begin() as connection:
        connection.execute(text("UPDATE leases SET until = until - 3600"))
    database.dispose()
    assert (await holders(), await take("a"), await take("b")) == ([], True, False)


async def test_new_and_changed_servers_are_due_first(store: SQLStore) -> None:
    await add_servers(store, 4)
    assert await due(store) == [1, 2, 3, 4]
    assert await due(store, limit=2) == [1, 2]

    await keep(store, 1, since=5000, checked_at=0)
    await keep(store, 2, since=5000, checked_at=0, version=0)
    await keep(store, 3, since=5000, checked_at=INTERVAL + 1)
    await keep(store, 4, since=9000, checked_at=INTERVAL + 2)
    assert await due(store) == [2, 4, 3]


async def test_an_unconfirmed_failure_is_checked_again_early(store: SQLStore) -> None:
    await add_servers(store, 3)
    failed = {"works": False, "stage": "connect", "code": "connection_refused"}
    await keep(store, 1, since=-1, checked_at=-1, **failed)
    await keep(store, 2, since=500, checked_at=-1, **failed)
    await keep(store, 3, since=-1, checked_at=-1)

    assert await due(store, again_after=60) == []
    # As much later: all were checked a second ahead of now, and only the first of them is in doubt.
    assert await due(store, again_after=-2) == [1]


async def test_servers_of_alarms_are_listed_first(store: SQLStore) -> None:
    await add_servers(store, 6)
    async with store.writing() as work:
        now = await work.monitoring.now()
        await work.monitoring.set_secret_expiry(2, datetime.fromtimestamp(now, UTC).date())
        await work.mail_servers.set_enabled(6, enabled=False)
    await keep(store, 3, since=10, checked_at=0, certificate_ends_at=now + 100 * DAY_SECONDS)
    await keep(store, 4, since=10, checked_at=0, certificate_ends_at=now + 29 * DAY_SECONDS)
    await keep(store, 5, since=10, checked_at=0, works=False)

    async with store.reading() as view:
        found = await view.monitoring.by_urgency(10)
        fewer = await view.monitoring.by_urgency(2)

    assert [one.server_id for one in found] == [5, 2, 4, 1, 3]
    assert [one.server_id for one in fewer] == [5, 2]


async def test_a_clock_set_back_stops_no_check(store: SQLStore) -> None:
    await add_servers(store, 1)
    await keep(store, 1, since=-10_000, checked_at=-10_000)

    assert await due(store) == [1]


async def test_checks_are_spread_over_the_interval(store: SQLStore, database_url: str) -> None:
    await add_servers(store, 1)
    await keep(store, 1, since=5000, checked_at=0)
    database = engine.sync_engine(database_url)
    found = {}
    with database.begin() as connection:
        for table in (mail_servers, watch_states):
            (row,) = connection.execute(table.select()).mappings()
            key = "id" if table is mail_servers else "server_id"
            rows = [{**row, key: number, "name": None} for number in range(2, 101)]
            connection.execute(insert(table), [{name: one[name] for name in row} for one in rows])
    for tenth in range(1, 11):
        with database.begin() as connection:
            moment = time.time() - tenth * INTERVAL / 10
            connection.execute(update(watch_states).values(checked_at=moment))
        found[tenth] = len(await due(store))
    database.dispose()

    # Of those that were looked at so many tenths of an interval ago, as many tenths are due again.
    assert all(abs(number - tenth * 10) <= 4 for tenth, number in found.items()), found


async def test_a_state_is_stored_and_removed_with_its_server(store: SQLStore) -> None:
    await add_servers(store, 1)
    state = MonitoringState(1, 1, False, "connect", "host_not_found", 10.5, 20.25, 30.0, {"certificate ab": 7})
    async with store.writing() as work:
        await work.monitoring.save(MonitoringState(1, 1, True, None, None, 1, 2))
        await work.monitoring.save(state)
        found = await work.monitoring.state(1)
        await work.mail_servers.delete(1)
        gone = await work.monitoring.state(1)

    assert (found, gone) == (state, None)


async def test_a_disabled_server_is_neither_due_nor_counted(store: SQLStore) -> None:
    """Neither its failure nor what expires with it is a reason to act; enabling it makes it due at once."""
    await add_servers(store, 2)
    failed = {"works": False, "code": "x", "certificate_ends_at": 1_000_000_000.0}
    await keep(store, 1, since=50, checked_at=0, **failed)
    await keep(store, 2, since=50, checked_at=0)
    async with store.writing() as work:
        await work.monitoring.set_secret_expiry(1, date(2020, 1, 2))
        await work.mail_servers.set_enabled(1, enabled=False)
        disabled = await work.monitoring.summary()
        due = [await work.monitoring.due(1, 1, 10)]
        await work.mail_servers.set_enabled(1, enabled=True)
        due.append(await work.monitoring.due(600, 60, 10))
        enabled = await work.monitoring.list([1])

    assert disabled.servers[Health.DISABLED] == 1
    assert disabled.servers[Health.FAILING] == 0
    assert (disabled.certificate_ends_at, disabled.secret_ends_on) == (None, None)
    assert 1 not in due[0]
    assert 1 in due[1]
    assert [one.health for one in enabled] == [Health.UNCHECKED]


async def test_every_replica_has_the_same_summary(store: SQLStore, database_url: str) -> None:
    await add_servers(store, 5)
    failed = {"works": False, "code": "x"}
    await keep(store, 1, since=50, checked_at=10, certificate_ends_at=2_000_000_000.0)
    await keep(store, 2, since=50, checked_at=10, certificate_ends_at=1_900_000_000.0, **failed)
    await keep(store, 3, since=10, checked_at=10, **failed)
    await keep(store, 4, since=50, checked_at=10, version=7, certificate_ends_at=1_000_000_000.0)
    async with store.writing() as work:
        await work.monitoring.set_secret_expiry(5, date(2031, 1, 2))
        await work.leases.take("watch", "somebody", 60)
    other = SQLStore(database_url, Sealer(KEY))
    async with other.reading() as view:
        summary = await view.monitoring.summary()
        listed = await view.monitoring.list()
    await other.close()

    assert summary.servers == {
        Health.UNCHECKED: 2,
        Health.WORKING: 1,
        Health.UNCONFIRMED: 1,
        Health.FAILING: 1,
        Health.DISABLED: 0,
    }
    assert [one.health for one in listed] == [
        *(Health.WORKING, Health.FAILING, Health.UNCONFIRMED, Health.UNCHECKED, Health.UNCHECKED)
    ]
    assert (summary.certificate_ends_at, summary.secret_ends_on) == (1_900_000_000.0, date(2031, 1, 2))
    assert summary.has_leader
    assert summary.checked_at == pytest.approx(summary.now - 10, abs=5)
    assert summary.secret_days_left == (datetime(2031, 1, 2, tzinfo=UTC) - datetime.now(UTC)).days


async def test_an_empty_store_has_an_empty_summary(store: SQLStore) -> None:
    async with store.reading() as view:
        summary = await view.monitoring.summary()

    assert sum(summary.servers.values()) == 0
    assert (summary.certificate_days_left, summary.secret_days_left, summary.has_leader) == (None, None, False)


@pytest.mark.parametrize("secret", ["canary-4411", "canary-4412", None])
async def test_a_new_secret_forgets_the_expiry_of_the_last(store: SQLStore, secret: str | None) -> None:
    """The same one too: what survives a right guess alone would confirm it."""
    await add_servers(store, 1)
    async with store.writing() as work:
        await work.monitoring.set_secret_expiry(1, date(2031, 1, 2))
        stored = await work.mail_servers.find(1)
        assert stored is not None
        given = stored.server.with_secret(None if secret is None else Secret(secret))
        await work.mail_servers.replace(1, given)
        assert await work.monitoring.secret_expiry(1) is None


async def test_events_are_due_in_order_and_can_be_postponed(store: SQLStore) -> None:
    async with store.writing() as work:
        now = await work.outbox.now()
        events = [WaitingEvent(f"msg_{number}", now - 100 + number, "{}") for number in range(5)]
        for event in reversed(events):
            assert await work.outbox.add(event)
        await work.outbox.postpone(events[0], now + 60)
        await work.outbox.postpone(events[1], now - 1)
        await work.outbox.remove("msg_3")
    async with store.reading() as view:
        found = await view.outbox.due(2)
        rest = await view.outbox.due(10)

    assert [one.id for one in found] == ["msg_2", "msg_4"]
    assert [(one.id, one.attempts) for one in rest] == [("msg_2", 0), ("msg_4", 0), ("msg_1", 1)]


async def test_the_number_of_waiting_events_is_bounded(store: SQLStore, database_url: str) -> None:
    database = engine.sync_engine(database_url)
    row = {"created_at": 0, "body": "{}", "attempts": 0, "next_at": 0}
    with database.begin() as connection:
        connection.execute(insert(webhook_events), [row | {"id": str(one)} for one in range(MAX_WAITING_EVENTS)])
    database.dispose()

    async with store.writing() as work:
        assert not await work.outbox.add(WaitingEvent("msg_1", 0, "{}"))
        await work.outbox.remove("17")
        assert await work.outbox.add(WaitingEvent("msg_1", 0, "{}"))
