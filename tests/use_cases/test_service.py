"""Facts about the service: the database, monitoring, waiting deliveries, and who may read them."""

import asyncio

import pytest

from mailsettings.domain.access import OPERATOR, Permission, Principal
from mailsettings.domain.errors import PermissionDenied
from mailsettings.domain.monitoring import Health, WaitingEvent
from mailsettings.domain.service import DeliveryCounts, EffectiveSetting, SettingSource
from mailsettings.store import migrations
from mailsettings.store.database import SQLStore
from mailsettings.store.monitoring import LEASE_NAME
from mailsettings.use_cases.lease import Lease
from mailsettings.use_cases.service import DescribeService

PORT = EffectiveSetting("MAILSETTINGS_PORT", 8080, False, True, SettingSource.DEFAULT, "The port.")
READER = Principal("alice", frozenset({Permission.MAIL_SERVERS_READ}))
STRANGER = Principal("mallory", frozenset())


def describing(store: SQLStore) -> DescribeService:
    return DescribeService(store, [PORT], 900, has_webhook=True)


async def test_the_database_names_kind_version_and_schema(store: SQLStore, kind: str) -> None:
    found = await describing(store).database()

    assert (found.kind, found.schema) == (kind, migrations.head())
    assert int(found.version.split(".")[0]) >= 3


async def test_monitoring_shows_its_leader_and_waiting_deliveries(store: SQLStore) -> None:
    service = describing(store)
    before = await service.monitoring(READER)
    async with store.writing() as work:
        assert await work.leases.take(LEASE_NAME, "machine:7:a1", 30)
        for number in range(3):
            await work.outbox.add(WaitingEvent(f"msg_{number}", 5.0, '{"type":"mail_server.failing","data":{}}'))
        await work.outbox.postpone(WaitingEvent("msg_1", 5.0, ""), 99.0)
    after = await service.monitoring(READER)

    assert (before.leader, before.deliveries) == (None, DeliveryCounts(0, 0))
    assert after.leader is not None
    assert after.leader.holder == "machine:7:a1"
    assert (after.interval_seconds, after.has_webhook, after.deliveries) == (900, True, DeliveryCounts(3, 1))
    assert after.summary.servers == dict.fromkeys(Health, 0)


async def test_waiting_deliveries_come_in_pages(store: SQLStore) -> None:
    async with store.writing() as work:
        for number in range(3):
            await work.outbox.add(WaitingEvent(f"msg_{number}", 5.0, '{"type":"mail_server.failing","data":{}}'))
        await work.outbox.postpone(WaitingEvent("msg_1", 5.0, ""), 99.0)
    first = await describing(store).deliveries(READER, "", 2)
    rest = await describing(store).deliveries(READER, first[-1].id, 2)

    assert [(each.id, each.type, each.failed_attempts, each.next_attempt_at) for each in first] == [
        ("msg_0", "mail_server.failing", 0, 5.0),
        ("msg_1", "mail_server.failing", 1, 99.0),
    ]
    assert [each.id for each in rest] == ["msg_2"]


async def test_an_expired_lease_has_no_holder(store: SQLStore) -> None:
    async with store.writing() as work:
        await work.leases.take(LEASE_NAME, "machine:7:a1", -1)

    assert (await describing(store).monitoring(READER)).leader is None


async def test_a_lease_names_machine_and_process(store: SQLStore) -> None:
    lease = Lease(store, LEASE_NAME)
    began = asyncio.Event()

    async def work() -> None:
        began.set()
        await asyncio.Event().wait()

    holding = asyncio.create_task(lease.while_held(work))
    await began.wait()
    found = (await describing(store).monitoring(READER)).leader
    holding.cancel()
    await asyncio.wait({holding})

    assert found is not None
    assert len(found.holder.split(":")) == 3


async def test_callers_without_permission_read_nothing(store: SQLStore) -> None:
    service = describing(store)

    with pytest.raises(PermissionDenied):
        service.settings(READER)
    with pytest.raises(PermissionDenied):
        await service.monitoring(STRANGER)
    with pytest.raises(PermissionDenied):
        await service.deliveries(STRANGER, "", 10)
    assert service.settings(OPERATOR) == [PORT]
