"""The test of a device: through a running relay, with a login that works once, and both halves in one report."""

import asyncio
import socket
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from mailsettings.domain.access import OPERATOR, Principal
from mailsettings.domain.certificates import CustomTrust, SystemTrust
from mailsettings.domain.change import Replacement
from mailsettings.domain.connection_test import (
    FailureCode,
    Outcome,
    ProbeListener,
    ProbeReport,
    ProbeStage,
    StageReport,
)
from mailsettings.domain.device import Device
from mailsettings.domain.device_overview import DeviceSettings
from mailsettings.domain.errors import (
    DeviceDisabled,
    DeviceNotFound,
    LoginRefused,
    PermissionDenied,
    RelayNotRunning,
)
from mailsettings.domain.findings import failure
from mailsettings.domain.listening import RelayListener, RunningRelay
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, PasswordAuthentication, Sender
from mailsettings.domain.message_log import MessageRecipient, MessageRecord, MessageResult
from mailsettings.use_cases.connection_test_limits import ConnectionTestLimits
from mailsettings.use_cases.denial_log import DenialLog
from mailsettings.use_cases.devices.logins import DeviceLogins
from mailsettings.use_cases.devices.management import ManageDevices
from mailsettings.use_cases.devices.test_logins import DeviceTestLogins
from mailsettings.use_cases.devices.testing import RunDeviceTests, nearest, preferred_listener
from mailsettings.use_cases.mail_servers import ManageMailServers
from mailsettings.use_cases.relay.message_log import MessageLog

from support.databases import LocalStore

TO = "Me@example.com"
PEER = ip_address("192.0.2.7")
STARTTLS = RelayListener.parse("starttls://192.0.2.1:2587")
TLS = RelayListener.parse("tls://192.0.2.1:2465")
PLAIN = RelayListener.parse("plain://192.0.2.1:25")
OLD = RelayListener.parse("starttls://192.0.2.1:3587", old_tls=True)
RELAY = RunningRelay("elsewhere:1", (PLAIN, OLD, TLS, STARTTLS), "a certificate")
LOGGED_IN = StageReport(ProbeStage.AUTHENTICATE, Outcome.PASSED)
STORED = MailServer("mail.example.org", 25, ConnectionSecurity.NONE, Sender("stored@example.org"))


class Relay:
    """A relay that logs in as a real relay, and writes into the message log."""

    def __init__(self, store: LocalStore, report: ProbeReport, *, logs: bool = True) -> None:
        self.logins = DeviceTestLogins(store, DeviceLogins(store, DenialLog(store)))
        self.log = MessageLog(store)
        self.asked: list[MailServer] = []
        self.devices: list[Device] = []
        self._report = report
        self._logs = logs

    async def probe(
        self, server: MailServer, recipient: str | None, _listener: ProbeListener | None = None
    ) -> ProbeReport:
        login = server.authentication
        assert isinstance(login, PasswordAuthentication)
        assert login.password is not None
        device = await self.logins.log_in(login.username, login.password.reveal(), PEER)
        self.asked.append(server)
        self.devices.append(device)
        if self._logs:
            self.log.note(record(device, str(recipient)))
            await self.log.write_waiting()
        return self._report


def record(device: Device, recipient: str) -> MessageRecord:
    recipients = (MessageRecipient(recipient.lower(), accepted=True),)
    result = MessageResult.DELIVERED
    return MessageRecord(
        datetime.now(UTC), device.id, device.name, str(PEER), 1, "x@example.com", recipients, result, 250
    )


async def prepared(
    store: LocalStore,
    *relays: RunningRelay,
    with_server: bool = True,
    mail_server: int | None = None,
    **device: Any,
) -> None:
    """Store a device, with the settings *device*, and what it needs."""
    if with_server:
        await ManageMailServers(store).put_default(OPERATOR, Replacement(STORED))
    wanted = Device(0, "scanner-3", **{"senders": ("*@example.com", "scan@example.com"), **device})
    await ManageDevices(store).add(OPERATOR, DeviceSettings(wanted, mail_server))
    async with store.writing() as work:
        for relay in relays:
            await work.relays.renew(relay, 3600)


def runner(store: LocalStore, relay: Relay, wait: float = 5.0) -> RunDeviceTests:
    return RunDeviceTests(store, relay.probe, ConnectionTestLimits(), log_wait_seconds=wait)


async def test_a_test_shows_both_halves_of_the_way(local_store: LocalStore) -> None:
    await prepared(local_store, RELAY, networks=(ip_network("10.0.0.0/8"),))
    relay = Relay(local_store, ProbeReport((LOGGED_IN,)))
    run = runner(local_store, relay)
    await run(OPERATOR, "scanner-3", TO)
    found = await run(OPERATOR, 1, TO)
    server = relay.asked[0]

    assert (found.device, found.listener, found.is_delivered) == ("scanner-3", STARTTLS, True)
    assert found.message is not None
    assert found.message.record.recipients == (MessageRecipient("me@example.com", accepted=True),)
    assert (server.host, server.port, server.security) == ("192.0.2.1", 2587, ConnectionSecurity.STARTTLS)
    assert server.trust == CustomTrust("a certificate")
    assert server.sender.address == "scan@example.com"
    assert relay.devices[0].allows_peer(PEER)


async def test_the_login_of_a_test_works_once(local_store: LocalStore) -> None:
    await prepared(local_store, replace(RELAY, certificate=None))
    relay = Relay(local_store, ProbeReport((LOGGED_IN,)))
    await runner(local_store, relay)(OPERATOR, "scanner-3", TO)
    (server,) = relay.asked

    assert server.trust == SystemTrust()
    with pytest.raises(LoginRefused):
        await relay.probe(server, TO)


async def test_an_expired_or_guessed_login_of_a_test_is_refused(local_store: LocalStore) -> None:
    await prepared(local_store)
    logins = Relay(local_store, ProbeReport(())).logins
    names = [f"test:{number:032x}" for number in range(3)]
    async with local_store.writing() as work:
        await work.device_test_logins.add(names[0], 1, "secret", -1)
        await work.device_test_logins.add(names[1], 1, "secret", 60)
        await work.device_test_logins.add(names[2], 7, "secret", 60)

    for name, secret in ((names[0], "secret"), (names[1], "guess"), (names[2], "secret"), ("test:x", "secret")):
        with pytest.raises(LoginRefused):
            await logins.log_in(name, secret, PEER)
    assert (await logins.log_in(names[1], "secret", PEER)).name == "scanner-3"


async def test_only_one_of_two_uses_of_a_login_wins(local_store: LocalStore) -> None:
    await prepared(local_store)
    logins, name = Relay(local_store, ProbeReport(())).logins, f"test:{0:032x}"
    async with local_store.writing() as work:
        await work.device_test_logins.add(name, 1, "secret", 60)
    ended = await asyncio.gather(*(logins.log_in(name, "secret", PEER) for _ in range(2)), return_exceptions=True)

    assert sorted(type(each).__name__ for each in ended) == ["LoginRefused", "TestedDevice"]


async def test_a_device_under_test_stays_so_until_it_is_disabled(local_store: LocalStore) -> None:
    await prepared(local_store, RELAY, networks=(ip_network("10.0.0.0/8"),))
    relay = Relay(local_store, ProbeReport((LOGGED_IN,)))
    await runner(local_store, relay)(OPERATOR, "scanner-3", TO)
    now = await relay.logins.current(relay.devices[0])
    own = await relay.logins.current(Device(1, "scanner-3", secret_stamp=relay.devices[0].secret_stamp))
    await ManageDevices(local_store).set_enabled(OPERATOR, "scanner-3", enabled=False)

    assert now is not None
    assert now.allows_peer(PEER)
    assert own is not None
    assert not own.allows_peer(PEER)
    assert await relay.logins.current(relay.devices[0]) is None


async def test_a_refused_test_has_no_second_half(local_store: LocalStore) -> None:
    await prepared(local_store, RELAY, mail_server=1, senders=(), sends_as_stored_sender=True)
    found = failure(FailureCode.CONNECTION_REFUSED, ProbeStage.CONNECT)
    relay = Relay(local_store, ProbeReport((StageReport(ProbeStage.CONNECT, Outcome.FAILED),), found), logs=False)
    report = await runner(local_store, relay)(OPERATOR, "scanner-3", TO)
    async with local_store.reading() as view:
        entries = [entry.record for entry in await view.audit.entries(0, 100, "")]

    assert (report.is_delivered, report.message) == (False, None)
    assert relay.asked[0].sender.address == "stored@example.org"
    assert [(each.outcome, each.details) for each in entries if each.action == "device.test"] == [
        ("begun", {"recipient": TO}),
        ("failed", {"code": "connection_refused", "stage": "connect"}),
    ]


async def test_a_relay_that_logs_nothing_ends_the_wait(local_store: LocalStore) -> None:
    await prepared(local_store, RELAY, with_server=False, senders=("*@example.com",))
    relay = Relay(local_store, ProbeReport((LOGGED_IN,)), logs=False)
    report = await runner(local_store, relay, wait=0.3)(OPERATOR, "scanner-3", TO)

    assert report.message is None
    assert relay.asked[0].sender.address == "test@example.com"


async def test_a_test_needs_permission_device_and_relay(local_store: LocalStore) -> None:
    await prepared(local_store)
    run = runner(local_store, Relay(local_store, ProbeReport(())))

    with pytest.raises(PermissionDenied):
        await run(Principal("someone", frozenset()), "scanner-3", TO)
    with pytest.raises(DeviceNotFound):
        await run(OPERATOR, "scanner-4", TO)
    with pytest.raises(RelayNotRunning):
        await run(OPERATOR, "scanner-3", TO)
    await ManageDevices(local_store).set_enabled(OPERATOR, "scanner-3", enabled=False)
    with pytest.raises(DeviceDisabled):
        await run(OPERATOR, "scanner-3", TO)


def test_modern_listeners_and_near_relays_are_preferred() -> None:
    here = replace(RELAY, holder=f"{socket.gethostname()[:30]}:1:x")

    assert [preferred_listener(replace(RELAY, listeners=given)) for given in ((PLAIN, OLD), (OLD, TLS))] == [
        PLAIN,
        TLS,
    ]
    assert nearest([RELAY, here]) is here
    assert nearest([RELAY]) is RELAY
