"""Managing devices: permission, rules, secrets that are shown once, and an audit entry for each change."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import insert, select

from mailsettings.domain.access import OPERATOR, Permission, Principal
from mailsettings.domain.audit_log import Action, AuditOutcome, details_json
from mailsettings.domain.device import Device, parse_network
from mailsettings.domain.device_overview import DeviceMailServer, DeviceOverview, DeviceSettings, DeviceUse
from mailsettings.domain.errors import (
    DeviceNotFound,
    InvalidSetting,
    NameTaken,
    NetworkTaken,
    PermissionDenied,
)
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, Sender
from mailsettings.store.relay.tables import device_rates, device_test_logins, device_uses, devices
from mailsettings.use_cases.devices.management import ManageDevices

from support.canary import Canary
from support.databases import LocalStore, records

RELAY = MailServer("relay.example.org", 25, ConnectionSecurity.NONE, Sender("a@example.org"))
SCANNER = Device(0, "scanner-3", senders=("scan@example.com",), networks=(parse_network("10.1.0.0/16"),))
TRUSTING = replace(SCANNER, name="lab", trusts_network=True)
STRANGER = Principal("stranger", frozenset(Permission) - {Permission.DEVICES_MANAGE})


@pytest.fixture
def store(local_store: LocalStore) -> LocalStore:
    return local_store


@pytest.fixture
def manage(store: LocalStore) -> ManageDevices:
    return ManageDevices(store)


async def add(manage: ManageDevices, device: Device = SCANNER, mail_server: str | int | None = None) -> int:
    return (await manage.add(OPERATOR, DeviceSettings(device, mail_server)))[0]


def to(**values: Any) -> Callable[[DeviceOverview], DeviceSettings]:
    """Return a change of these values."""
    return lambda shown: DeviceSettings(replace(shown.stored.device, **values), shown.mail_server.name)


async def test_a_new_device_is_read_as_it_was_given(manage: ManageDevices) -> None:
    full = replace(
        SCANNER,
        description="third floor",
        from_domains=("example.com",),
        sends_as_stored_sender=True,
        sends_null_sender=True,
        messages_per_minute=30,
        max_recipients=5,
        max_message_bytes=10_000_000,
        enabled=False,
    )
    device_id = await add(manage, full)
    found = await manage.get(OPERATOR, device_id)

    assert found == await manage.get(OPERATOR, "scanner-3")
    assert found.stored.device == replace(full, id=device_id)
    assert (found.stored.version, found.stored.created.by) == (2, "operator")
    assert found.mail_server == DeviceMailServer(None, "missing")
    assert found.last_use is None


async def test_a_secret_is_stored_as_a_keyed_hash_only(manage: ManageDevices, store: LocalStore) -> None:
    device_id, secret = await manage.add(OPERATOR, DeviceSettings(SCANNER))
    assert secret is not None
    found = await store.cache.device(device_id)
    assert found is not None

    assert found.fits(secret.reveal())
    assert found.secret_hash != secret.reveal().encode()
    canary = Canary(made=secret.reveal())
    canary.assert_nowhere(repr(found), repr(secret), *(details_json(r.details) for r in await records(store)))
    canary.assert_nowhere(*(repr(row) for row in store.sql(select(devices))))


async def test_a_new_secret_ends_the_old_one(manage: ManageDevices, store: LocalStore) -> None:
    device_id, old = await manage.add(OPERATOR, DeviceSettings(SCANNER))
    before = await manage.get(OPERATOR, device_id)
    _, name, new = await manage.replace_secret(OPERATOR, "scanner-3")
    found = await store.cache.device(device_id)
    assert found is not None
    assert old is not None

    assert (name, found.fits(old.reveal()), found.fits(new.reveal())) == ("scanner-3", False, True)
    assert found.device.secret_stamp != before.stored.device.secret_stamp


async def test_a_device_that_trusts_its_network_has_no_secret(manage: ManageDevices) -> None:
    device_id, secret = await manage.add(OPERATOR, DeviceSettings(TRUSTING))

    assert secret is None
    assert (await manage.get(OPERATOR, device_id)).stored.secret_stored_at is None


async def test_two_devices_never_trust_the_same_address(manage: ManageDevices) -> None:
    await add(manage, TRUSTING)
    inside = replace(TRUSTING, name="inside", networks=(parse_network("192.0.2.1"), parse_network("10.1.2.0/24")))
    with pytest.raises(NetworkTaken, match="lab"):
        await add(manage, inside)
    other = await add(manage, replace(inside, networks=(parse_network("10.2.0.0/16"),)))
    with pytest.raises(NetworkTaken):
        await manage.update(OPERATOR, other, to(networks=TRUSTING.networks))

    await add(manage, replace(inside, name="with-login", trusts_network=False))
    await manage.update(OPERATOR, "lab", to(description="itself is no other device"))


async def test_a_taken_name_is_refused(manage: ManageDevices) -> None:
    await add(manage)
    await add(manage, replace(SCANNER, name="other"))
    with pytest.raises(NameTaken, match="another device"):
        await add(manage)
    with pytest.raises(NameTaken):
        await manage.update(OPERATOR, "other", to(name="scanner-3"))

    await manage.update(OPERATOR, "other", to(name="renamed"))
    assert [each.stored.device.name for each in await manage.page(OPERATOR)] == ["renamed", "scanner-3"]


async def test_pages_follow_the_order_of_names(manage: ManageDevices) -> None:
    for name in ("c", "a", "b"):
        await add(manage, replace(SCANNER, name=name))
    pages = [await manage.page(OPERATOR, limit=2), await manage.page(OPERATOR, "b", 2)]

    assert [[each.stored.device.name for each in page] for page in pages] == [["a", "b"], ["c"]]


async def test_a_device_names_its_mail_server_and_its_trouble(manage: ManageDevices, store: LocalStore) -> None:
    async with store.writing() as work:
        first = await work.mail_servers.add(RELAY, name="first", as_default=True)
        second = await work.mail_servers.add(RELAY, name="second")
    await add(manage, replace(SCANNER, name="a"))
    await add(manage, replace(SCANNER, name="b"), "second")
    await add(manage, replace(SCANNER, name="c"), first)
    servers = [[each.mail_server for each in await manage.page(OPERATOR)]]
    async with store.writing() as work:
        await work.mail_servers.set_enabled(first, enabled=False)
        await work.mail_servers.delete(second)
    servers.append([each.mail_server for each in await manage.page(OPERATOR)])
    gone = f"server-{second}"

    assert servers == [
        [DeviceMailServer(None), DeviceMailServer("second"), DeviceMailServer("first")],
        [
            DeviceMailServer(None, "disabled"),
            DeviceMailServer(gone, "missing"),
            DeviceMailServer("first", "disabled"),
        ],
    ]
    await manage.update(OPERATOR, "b", to(description="still changeable"))
    assert (await manage.get(OPERATOR, "b")).stored.device.mail_server_id == second
    with pytest.raises(InvalidSetting, match="mail server is not a stored"):
        await add(manage, replace(SCANNER, name="d"), "second")


async def test_the_last_use_is_shown(manage: ManageDevices, store: LocalStore) -> None:
    device_id = await add(manage)
    store.sql(insert(device_uses).values(device_id=device_id, last_used_at=1_795_000_000.5, last_peer="10.1.2.3"))

    assert (await manage.get(OPERATOR, device_id)).last_use == DeviceUse(1_795_000_000.5, "10.1.2.3")


async def test_a_removed_device_leaves_no_rows(manage: ManageDevices, store: LocalStore) -> None:
    device_id = await add(manage)
    store.sql(insert(device_uses).values(device_id=device_id, last_used_at=1, last_peer="x"))
    store.sql(insert(device_rates).values(device_id=device_id, minute=1, used=1))
    store.sql(insert(device_test_logins).values(name="t", device_id=device_id, secret_hash=b"x", expires_at=1))
    await manage.remove(OPERATOR, "scanner-3")

    for table in (devices, device_uses, device_rates, device_test_logins):
        assert store.sql(select(table)) == []
    with pytest.raises(DeviceNotFound):
        await manage.get(OPERATOR, device_id)


async def test_each_change_has_an_audit_entry(manage: ManageDevices, store: LocalStore) -> None:
    device_id = await add(manage)
    await manage.update(OPERATOR, device_id, to(messages_per_minute=30))
    await manage.update(OPERATOR, device_id, to())
    for enabled in (False, False, True):
        await manage.set_enabled(OPERATOR, "scanner-3", enabled=enabled)
    await manage.replace_secret(OPERATOR, device_id)
    await manage.remove(OPERATOR, device_id)
    for missing in ("nothing", 2**40, 0):
        with pytest.raises(DeviceNotFound):
            await manage.remove(OPERATOR, missing)
    with pytest.raises(DeviceNotFound):
        await manage.set_enabled(OPERATOR, "not a name, perhaps a secret", enabled=True)
    found = await records(store)

    assert [record.action for record in found] == [
        *(Action.DEVICE_ADD, Action.DEVICE_CHANGE, Action.DEVICE_CHANGE),
        *(Action.DEVICE_DISABLE, Action.DEVICE_DISABLE, Action.DEVICE_ENABLE),
        *(Action.DEVICE_NEW_SECRET, Action.DEVICE_REMOVE),
        *(Action.DEVICE_REMOVE, Action.DEVICE_REMOVE, Action.DEVICE_REMOVE, Action.DEVICE_ENABLE),
    ]
    assert {record.target for record in found[:8]} == {f"device:{device_id}"}
    assert [record.target for record in found[8:]] == ["device:nothing", f"device:{2**40}", "device:0", "device"]
    assert [record.outcome for record in found] == [AuditOutcome.DONE] * 8 + [AuditOutcome.REFUSED] * 4
    assert found[0].details["senders"] == {"before": None, "after": ["scan@example.com"]}
    assert found[1].details == {"messages per minute": {"before": None, "after": 30}}
    assert found[2].details == found[6].details == {}
    assert found[7].details["name"] == {"before": "scanner-3", "after": None}


async def test_a_change_without_a_difference_is_no_new_version(manage: ManageDevices) -> None:
    device_id = await add(manage)
    before: DeviceOverview = await manage.get(OPERATOR, device_id)
    await manage.update(OPERATOR, device_id, to())
    await manage.set_enabled(OPERATOR, device_id, enabled=True)

    assert await manage.get(OPERATOR, device_id) == before
    await manage.set_enabled(OPERATOR, device_id, enabled=False)
    assert (await manage.get(OPERATOR, device_id)).stored.version == before.stored.version + 1


async def test_nothing_is_done_without_the_permission(manage: ManageDevices, store: LocalStore) -> None:
    await add(manage)
    for attempt in (
        lambda: manage.page(STRANGER),
        lambda: manage.get(STRANGER, "scanner-3"),
        lambda: manage.add(STRANGER, DeviceSettings(replace(SCANNER, name="x"))),
        lambda: manage.update(STRANGER, "scanner-3", to(description="x")),
        lambda: manage.set_enabled(STRANGER, "scanner-3", enabled=False),
        lambda: manage.replace_secret(STRANGER, "scanner-3"),
        lambda: manage.remove(STRANGER, "scanner-3"),
    ):
        with pytest.raises(PermissionDenied):
            await attempt()

    assert len(await records(store)) == 1
