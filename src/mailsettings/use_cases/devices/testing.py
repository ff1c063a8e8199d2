"""Test a device: submit a mail through a running relay as this device, and see how both halves of its way went."""

import asyncio
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from mailsettings.domain.access import Permission, Principal
from mailsettings.domain.audit_log import Action, AuditOutcome, AuditRecord
from mailsettings.domain.certificates import CustomTrust, SystemTrust
from mailsettings.domain.connection_test import Outcome, ProbeReport, ProbeStage
from mailsettings.domain.device import Device, DeviceRef
from mailsettings.domain.device_secret import device_owner, new_secret
from mailsettings.domain.errors import DeviceDisabled, DeviceNotFound, RelayNotRunning
from mailsettings.domain.listening import ListenerKind, RelayListener, RunningRelay
from mailsettings.domain.mail_server import (
    ConnectionSecurity,
    MailServer,
    PasswordAuthentication,
    Sender,
    StoredMailServer,
)
from mailsettings.domain.message_log import LoggedMessage, MessageFilter
from mailsettings.domain.values import Secret
from mailsettings.store.database import SQLStore
from mailsettings.store.transaction import Transaction
from mailsettings.use_cases.connection_test_limits import ConnectionTestLimits, ConnectionTestSlots
from mailsettings.use_cases.lease import shielded

LOGIN_SECONDS = 60.0
LOG_WAIT_SECONDS = 5.0
"""The relay gathers records of the message log for a second before it writes them."""
LOG_PAUSE_SECONDS = 0.2
_SECURITY: Mapping[ListenerKind, ConnectionSecurity] = {
    ListenerKind.STARTTLS: ConnectionSecurity.STARTTLS,
    ListenerKind.TLS: ConnectionSecurity.IMPLICIT_TLS,
    ListenerKind.PLAIN: ConnectionSecurity.NONE,
}
"""In the order in which a test prefers them."""
ProbeRelay = Callable[[MailServer, str], Awaitable[ProbeReport]]
"""Submits a mail to a relay, with the trust in its certificate that the settings have."""


@dataclass(frozen=True, slots=True)
class DeviceTestReport:
    """How the test went: from the device to the relay at `listener`, and from there to the mail server.

    `message` is what the relay logged; None if the mail did not get so far.
    """

    device: str
    listener: RelayListener
    submission: ProbeReport
    message: LoggedMessage | None

    @property
    def is_delivered(self) -> bool:
        """Whether the mail server accepted the mail."""
        return self.submission.failure is None


@dataclass(frozen=True, slots=True)
class _Planned:
    """What a test needs of the database, and the newest message of the device before it."""

    device: Device
    sender: str
    relay: RunningRelay
    newest: str | None


class RunDeviceTests:
    """Runs tests of devices for a principal."""

    def __init__(
        self,
        store: SQLStore,
        probe: ProbeRelay,
        limits: ConnectionTestLimits,
        *,
        log_wait_seconds: float = LOG_WAIT_SECONDS,
    ) -> None:
        self._store = store
        self._probe = probe
        self._limits = limits
        self._slots = ConnectionTestSlots(limits)
        self._log_wait_seconds = log_wait_seconds

    async def __call__(self, caller: Principal, ref: DeviceRef, recipient: str) -> DeviceTestReport:
        """Send a test mail as the device *ref*.

        Raises `PermissionDenied`, `DeviceNotFound`, `DeviceDisabled`, `RelayNotRunning`, `TooManyProbes`.
        """
        caller.require(Permission.DEVICES_MANAGE)
        with self._slots.admit(caller):
            planned = await self._plan(ref, recipient)
            name, secret = f"test:{secrets.token_hex(16)}", new_secret()
            test_id = await shielded(self._begin(caller, planned.device, recipient, (name, secret)))
            listener = preferred_listener(planned.relay)
            server = _as_mail_server(listener, planned, PasswordAuthentication(name, Secret(secret)))
            report = await self._probe(server, recipient)
            message = await self._message(planned, recipient) if _reached_sender(report) else None
            await shielded(self._end(caller, planned.device, test_id, report))
        return DeviceTestReport(planned.device.name, listener, report, message)

    async def _plan(self, ref: DeviceRef, recipient: str) -> _Planned:
        async with self._store.reading() as view:
            stored = await view.devices.find(ref)
            if stored is None:
                raise DeviceNotFound
            device = stored.device
            relays = await view.relays.running()
            server = await _mail_server(view, device)
            newest = await _newest(view, device, recipient)
        if not device.enabled:
            raise DeviceDisabled
        if not relays:
            raise RelayNotRunning
        return _Planned(device, _sender(device, server), nearest(relays), newest.id if newest else None)

    async def _begin(self, caller: Principal, device: Device, recipient: str, login: tuple[str, str]) -> str:
        """Store the login, count the test, audit its start, and return the id that `_end` needs."""
        async with self._store.writing() as work:
            self._limits.require_capacity(await work.probe_admissions.of(caller.name, self._limits.max_seconds))
            await work.device_test_logins.add(login[0], device.id, login[1], LOGIN_SECONDS)
            await _append(work, caller, device, AuditOutcome.BEGUN, {"recipient": recipient})
            return await work.probe_admissions.begin(caller.name)

    async def _end(self, caller: Principal, device: Device, test_id: str, report: ProbeReport) -> None:
        failure = report.failure
        details = {} if failure is None else {"code": str(failure.code), "stage": str(failure.stage)}
        outcome = AuditOutcome.DONE if failure is None else AuditOutcome.FAILED
        async with self._store.writing() as work:
            await work.probe_admissions.end(test_id)
            await _append(work, caller, device, outcome, details)

    async def _message(self, planned: _Planned, recipient: str) -> LoggedMessage | None:
        """Return what the relay logged of the mail; None if it logs nothing in time."""
        end = asyncio.get_running_loop().time() + self._log_wait_seconds
        while True:
            async with self._store.reading() as view:
                found = await _newest(view, planned.device, recipient)
            if found is not None and found.id != planned.newest:
                return found
            if asyncio.get_running_loop().time() >= end:
                return None
            await asyncio.sleep(LOG_PAUSE_SECONDS)


def preferred_listener(relay: RunningRelay) -> RelayListener:
    """Return the listener of *relay* that a modern device would use."""
    order = [*_SECURITY]
    return min(relay.listeners, key=lambda each: (each.old_tls, order.index(each.kind)))


def nearest(relays: Sequence[RunningRelay]) -> RunningRelay:
    """Return a relay on this machine if one runs, else any."""
    here = f"{socket.gethostname()[:30]}:"
    return next((relay for relay in relays if relay.holder.startswith(here)), relays[0])


def _as_mail_server(listener: RelayListener, planned: _Planned, login: PasswordAuthentication) -> MailServer:
    pem = planned.relay.certificate
    return MailServer(
        listener.address.host,
        listener.address.port,
        _SECURITY[listener.kind],
        Sender(planned.sender),
        login,
        SystemTrust() if pem is None else CustomTrust(pem),
    )


def _sender(device: Device, server: StoredMailServer | None) -> str:
    """Return an address that the device may send as: one of its own, of its domain, or the stored sender."""
    whole = [sender for sender in device.senders if not sender.startswith("*")]
    domains = [sender.removeprefix("*@") for sender in device.senders if sender.startswith("*@")]
    stored = server.server.sender.address if server is not None else "test@example.com"
    return next(iter([*whole, *(f"test@{domain}" for domain in domains), stored]))


def _reached_sender(report: ProbeReport) -> bool:
    passed = {stage.stage for stage in report.stages if stage.outcome is Outcome.PASSED}
    return ProbeStage.AUTHENTICATE in passed


async def _mail_server(view: Transaction, device: Device) -> StoredMailServer | None:
    if device.mail_server_id is None:
        return await view.mail_servers.find_default()
    return await view.mail_servers.find(device.mail_server_id)


async def _newest(view: Transaction, device: Device, recipient: str) -> LoggedMessage | None:
    wanted = MessageFilter(device=device.name, recipient=recipient)
    return next(iter(await view.messages.page(wanted, None, 1)), None)


async def _append(
    work: Transaction, caller: Principal, device: Device, outcome: AuditOutcome, details: Mapping[str, object]
) -> None:
    target = device_owner(device.id)
    await work.audit.append(AuditRecord(caller.name, caller.origin, Action.DEVICE_TEST, target, outcome, details))
