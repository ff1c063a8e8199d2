"""Logins of devices: the right secret always counts, a wrong one neither locks out nor fills the log."""

from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from mailsettings.domain.access import OPERATOR, Moment
from mailsettings.domain.audit_log import Action, AuditOutcome
from mailsettings.domain.device import Device, parse_network
from mailsettings.domain.device_overview import DeviceSettings
from mailsettings.domain.device_secret import new_secret
from mailsettings.domain.errors import LoginRefused, StoreUnavailable, TooManyLogins
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, Sender
from mailsettings.store.relay.devices import KEY_NAME
from mailsettings.store.tables import audit_entries, service_keys
from mailsettings.use_cases.denial_log import DenialLog
from mailsettings.use_cases.devices import logins as device_logins
from mailsettings.use_cases.devices.logins import DeviceLogins
from mailsettings.use_cases.devices.management import ManageDevices

from support.backups import Place
from support.canary import Canary
from support.databases import LocalStore, new_file, records

RELAY = MailServer("relay.example.org", 25, ConnectionSecurity.NONE, Sender("a@example.org"))
SCANNER = Device(0, "scanner-3", senders=("scan@example.com",), networks=(parse_network("10.1.0.0/16"),))
TRUSTING = replace(SCANNER, name="lab", networks=(parse_network("10.9.0.0/16"),), trusts_network=True)
PEER, OUTSIDE = ip_address("10.1.2.3"), ip_address("192.0.2.9")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(local_store: LocalStore) -> LocalStore:
    return local_store


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def logins(store: LocalStore, clock: Clock) -> DeviceLogins:
    return DeviceLogins(store, DenialLog(store, clock), clock)


@pytest.fixture
def manage(store: LocalStore) -> ManageDevices:
    return ManageDevices(store)


Added = tuple[Device, str]


@pytest.fixture
async def scanner(manage: ManageDevices) -> Added:
    device_id, secret = await manage.add(OPERATOR, DeviceSettings(SCANNER))
    assert secret is not None
    return (await manage.get(OPERATOR, device_id)).stored.device, secret.reveal()


async def refused(logins: DeviceLogins, name: str, secret: str, peer: object = PEER) -> type[Exception]:
    with pytest.raises((LoginRefused, TooManyLogins)) as problem:
        await logins.log_in(name, secret, peer)  # type: ignore[arg-type]  # as the relay gives it
    return problem.type


async def test_the_right_secret_logs_in_and_writes_nothing(
    logins: DeviceLogins, scanner: Added, store: LocalStore
) -> None:
    device, secret = scanner
    before = len(await records(store))
    found = [
        await logins.log_in(name, typed, peer)
        for name, typed, peer in [
            ("scanner-3", secret, PEER),
            ("SCANNER-3", secret.upper(), ip_address("::ffff:10.1.2.3")),
        ]
    ]

    assert found == [device, device]
    assert len(await records(store)) == before


@pytest.mark.parametrize(
    ("name", "secret", "peer"),
    [
        ("scanner-3", "", PEER),
        ("scanner-3", new_secret(), PEER),
        ("scanner-3", None, OUTSIDE),
        ("scanner-4", None, PEER),
        ("", None, PEER),
        ("scan\0ner", None, PEER),
        ("1", None, PEER),
        ("lab", "", ip_address("10.9.0.1")),
    ],
    ids=["empty", "wrong", "outside", "unknown", "no name", "NUL", "id", "no secret"],
)
async def test_any_other_login_is_refused(  # fixtures
    logins: DeviceLogins, scanner: Added, manage: ManageDevices, name: str, secret: str | None, peer: object
) -> None:
    await manage.add(OPERATOR, DeviceSettings(TRUSTING))

    assert await refused(logins, name, scanner[1] if secret is None else secret, peer) is LoginRefused


async def test_without_any_secret_no_login_is_accepted(logins: DeviceLogins, manage: ManageDevices) -> None:
    await manage.add(OPERATOR, DeviceSettings(TRUSTING))

    assert await refused(logins, "lab", "", ip_address("10.9.0.1")) is LoginRefused


async def test_a_change_counts_for_the_next_login(
    logins: DeviceLogins, scanner: Added, manage: ManageDevices
) -> None:
    device, old = scanner
    _, _, new = await manage.replace_secret(OPERATOR, device.id)
    assert await refused(logins, "scanner-3", old) is LoginRefused
    assert (await logins.log_in("scanner-3", new.reveal(), PEER)).id == device.id
    await manage.set_enabled(OPERATOR, device.id, enabled=False)
    assert await refused(logins, "scanner-3", new.reveal()) is LoginRefused
    await manage.remove(OPERATOR, device.id)

    assert await refused(logins, "scanner-3", new.reveal()) is LoginRefused


async def test_an_old_secret_locks_out_nothing(logins: DeviceLogins, scanner: Added, clock: Clock) -> None:
    """Neither the other devices behind the same address, nor the device itself once it has the new secret."""
    old = new_secret()
    answers = [await refused(logins, "scanner-3", old) for _ in range(100)]
    clock.now += device_logins.DEVICE_LIMIT.max_seconds
    later = await refused(logins, "scanner-3", old)

    assert (await logins.log_in("scanner-3", scanner[1], PEER)).name == "scanner-3"
    assert answers[:5] == [LoginRefused] * 5
    assert set(answers[5:]) == {TooManyLogins}
    assert later is LoginRefused


async def test_waits_concern_one_device_from_one_network(logins: DeviceLogins, scanner: Added) -> None:
    for _ in range(20):
        await refused(logins, "scanner-3", "old")
    others = [
        await refused(logins, "scanner-3", "old", ip_address("10.1.2.4")),
        await refused(logins, "unknown", "old"),
    ]

    assert others == [LoginRefused, LoginRefused]
    assert await refused(logins, "scanner-3", "old", ip_address("::ffff:10.1.2.3")) is TooManyLogins


async def test_a_secret_refused_for_hours_fills_no_log(
    logins: DeviceLogins, scanner: Added, clock: Clock, store: LocalStore
) -> None:
    before = len(await records(store))
    for _ in range(12 * 60):
        await refused(logins, "scanner-3", "old secret")
        clock.now += 60
    found = (await records(store))[before:]

    assert len(found) == 12
    assert {(each.action, each.outcome, each.target) for each in found} == {
        (Action.DEVICE_LOGIN, AuditOutcome.REFUSED, f"device:{scanner[0].id}")
    }
    assert [each.details for each in found[:2]] == [
        {"problem": "wrong secret", "refused": 1},
        {"problem": "wrong secret", "refused": 60},
    ]
    assert found[0].origin.address == "10.1.2.3"


async def test_the_log_has_the_reason_but_no_sent_text(  # fixtures
    logins: DeviceLogins,
    scanner: Added,
    manage: ManageDevices,
    store: LocalStore,
    canary: Canary,
) -> None:
    before = len(await records(store))
    await refused(logins, canary.secret, "x")
    await refused(logins, "scanner-3", canary.secret)
    await refused(logins, "scanner-3", scanner[1], OUTSIDE)
    await manage.set_enabled(OPERATOR, "scanner-3", enabled=False)
    await refused(logins, "scanner-3", scanner[1], ip_address("10.1.2.5"))
    found = [each for each in (await records(store))[before:] if each.action == Action.DEVICE_LOGIN]

    assert [each.details["problem"] for each in found] == [
        "unknown device",
        "wrong secret",
        "address outside the networks of the device",
        "disabled device",
    ]
    assert found[0].target is None
    canary.assert_nowhere(*(repr(row) for row in store.sql(select(audit_entries))))


async def test_memory_for_refusals_is_bounded(
    logins: DeviceLogins, scanner: Added, monkeypatch: pytest.MonkeyPatch, store: LocalStore
) -> None:
    monkeypatch.setattr(device_logins, "MAX_REMEMBERED", 3)
    for _ in range(7):
        await refused(logins, "scanner-3", "old")
    for last in (1, 2, 3):
        await refused(logins, "scanner-3", "old", ip_address(f"10.1.7.{last}"))

    assert await refused(logins, "scanner-3", "old") is LoginRefused
    assert store.sql(select(func.count()).select_from(audit_entries))[0][0] < 10


async def test_a_trusted_network_stands_for_its_device(logins: DeviceLogins, manage: ManageDevices) -> None:
    device_id, _ = await manage.add(OPERATOR, DeviceSettings(TRUSTING))
    peers = [ip_address(text) for text in ("10.9.1.1", "::ffff:10.9.1.1", "10.1.2.3", "2001:db8::1")]
    before = [await logins.trusted_device(peer) for peer in peers]
    await manage.set_enabled(OPERATOR, device_id, enabled=False)

    assert [device and device.id for device in before] == [device_id, device_id, None, None]
    assert await logins.trusted_device(peers[0]) is None


async def test_the_current_device_has_every_change(
    logins: DeviceLogins, scanner: Added, manage: ManageDevices
) -> None:
    device, _ = scanner
    await manage.update(
        OPERATOR, device.id, lambda shown: DeviceSettings(replace(shown.stored.device, max_recipients=2))
    )
    now = await logins.current(device)

    assert now == replace(device, max_recipients=2)
    await manage.replace_secret(OPERATOR, device.id)
    assert await logins.current(device) is None


@pytest.mark.parametrize("end", ["disable", "remove"])
async def test_a_device_that_ended_is_not_current(
    logins: DeviceLogins, scanner: Added, manage: ManageDevices, end: str
) -> None:
    device, _ = scanner
    if end == "disable":
        await manage.set_enabled(OPERATOR, device.id, enabled=False)
    else:
        await manage.remove(OPERATOR, device.id)

    assert await logins.current(device) is None


async def test_only_an_enabled_mail_server_is_used(
    logins: DeviceLogins, scanner: Added, store: LocalStore
) -> None:
    device, _ = scanner
    seen = [await logins.mail_server(device)]
    async with store.writing() as work:
        first = await work.mail_servers.add(RELAY, as_default=True)
        second = await work.mail_servers.add(RELAY)
    chosen = replace(device, mail_server_id=second)
    seen += [await logins.mail_server(device), await logins.mail_server(chosen)]
    async with store.writing() as work:
        await work.mail_servers.set_enabled(first, enabled=False)
        await work.mail_servers.delete(second)
    seen += [await logins.mail_server(device), await logins.mail_server(chosen)]

    assert [server and server.id for server in seen] == [None, first, second, None, None]


async def test_a_device_logs_in_to_a_restored_service(tmp_path: Path) -> None:
    places = [Place(new_file(tmp_path / name / "mailsettings.db"), tmp_path / name) for name in ("old", "new")]
    old, new = places
    _, secret = await ManageDevices(old.store).add(OPERATOR, DeviceSettings(SCANNER))
    await old.make(tmp_path / "backup")
    await new.restore(tmp_path / "backup")
    assert secret is not None
    found = await DeviceLogins(new.store, DenialLog(new.store)).log_in("scanner-3", secret.reveal(), PEER)
    for place in places:
        await place.store.close()

    assert found.name == "scanner-3"
    Canary(made=secret.reveal()).assert_nowhere(tmp_path)


async def test_a_damaged_key_of_the_service_refuses_no_login(
    logins: DeviceLogins, scanner: Added, store: LocalStore
) -> None:
    store.sql(update(service_keys).where(service_keys.c.name == KEY_NAME).values(sealed=b"damaged"))
    with pytest.raises(StoreUnavailable):
        await logins.log_in("scanner-3", scanner[1], PEER)

    assert await logins.current(scanner[0]) == scanner[0]


async def test_a_database_that_is_away_refuses_no_login(
    logins: DeviceLogins, scanner: Added, store: LocalStore
) -> None:
    """The relay answers that the device may try again; a refusal would ask a person for a new secret."""
    store.away = True
    for attempt in (
        lambda: logins.log_in("scanner-3", scanner[1], PEER),
        lambda: logins.trusted_device(PEER),
        lambda: logins.current(scanner[0]),
        lambda: logins.mail_server(scanner[0]),
    ):
        with pytest.raises(StoreUnavailable):
            await attempt()


async def test_one_moment_costs_one_question(
    logins: DeviceLogins, scanner: Added, store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[float]()
    data_version = store.cache._devices._freshness._data_version  # noqa: SLF001  # counts its questions
    ask = data_version.ask

    async def counted() -> None:
        asked.append(1)
        await ask()

    monkeypatch.setattr(data_version, "ask", counted)
    moment = Moment()
    device = await logins.current(scanner[0], moment)
    assert device is not None
    await logins.trusted_device(PEER, moment)
    await logins.mail_server(device, moment)

    assert len(asked) == 1


async def test_a_newer_moment_shows_a_change(logins: DeviceLogins, scanner: Added, manage: ManageDevices) -> None:
    moment = Moment()
    before = await logins.current(scanner[0], moment)
    await manage.set_enabled(OPERATOR, scanner[0].id, enabled=False)

    assert before is not None
    assert await logins.current(scanner[0], Moment()) is None
