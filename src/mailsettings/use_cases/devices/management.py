"""Manages devices: checks permissions and rules, in one audited transaction for each change."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from mailsettings.domain.access import Permission, Principal
from mailsettings.domain.audit_log import Action
from mailsettings.domain.device import Device, DeviceRef, difference
from mailsettings.domain.device_overview import DeviceMailServer, DeviceOverview, DeviceSettings, StoredDevice
from mailsettings.domain.device_secret import device_owner, new_secret
from mailsettings.domain.errors import DeviceNotFound, InvalidSetting, NameTaken, NetworkTaken
from mailsettings.domain.mail_server import StoredMailServer
from mailsettings.domain.naming import MailServerRef, is_slug, name_of_id
from mailsettings.domain.setting import Setting
from mailsettings.domain.values import Secret
from mailsettings.store.database import SQLStore
from mailsettings.store.transaction import Transaction
from mailsettings.use_cases.audit_log import AuditedChange, audited

DEVICES_PER_PAGE = 500


class ManageDevices:
    """Reads and changes the devices for a principal."""

    def __init__(self, store: SQLStore) -> None:
        self._store = store

    async def page(
        self, caller: Principal, after: str = "", limit: int = DEVICES_PER_PAGE
    ) -> Sequence[DeviceOverview]:
        """Return at most *limit* devices after the name *after*, by name. Raises `PermissionDenied`."""
        caller.require(Permission.DEVICES_MANAGE)
        async with self._store.reading() as view:
            return await _overviews(view, await view.devices.page(after, limit))

    async def get(self, caller: Principal, ref: DeviceRef) -> DeviceOverview:
        """Return one device by its id or name. Raises `PermissionDenied`, `DeviceNotFound`."""
        caller.require(Permission.DEVICES_MANAGE)
        async with self._store.reading() as view:
            [found] = await _overviews(view, [_existing(await view.devices.find(ref))])
            return found

    async def add(self, caller: Principal, wanted: DeviceSettings) -> tuple[int, Secret | None]:
        """Store a new device; return its id and its secret, which is never shown again.

        A device that trusts its network gets no secret. Raises `PermissionDenied`, `NameTaken`, `NetworkTaken`,
        `InvalidSetting`.
        """
        caller.require(Permission.DEVICES_MANAGE)
        async with audited(self._store, caller, Action.DEVICE_ADD) as change:
            device = await _checked(change.work, wanted, None)
            device_id = await change.work.devices.add(device, caller.name)
            change.target = _target(device_id)
            change.details.update(difference(None, device))
            if device.trusts_network:
                return device_id, None
            return device_id, await _give_secret(change.work, device_id, caller)

    async def update(
        self, caller: Principal, ref: DeviceRef, merge: Callable[[DeviceOverview], DeviceSettings]
    ) -> int:
        """Change one device: read it, *merge* the change into it and store it, in one transaction.

        Id and secret stay. Return the id. Raises `PermissionDenied`, `DeviceNotFound`, what `add` raises, and what
        *merge* raises.
        """
        caller.require(Permission.DEVICES_MANAGE)
        async with audited(self._store, caller, Action.DEVICE_CHANGE, _target(ref)) as change:
            stored = await _found(change, ref)
            [shown] = await _overviews(change.work, [stored])
            device = await _checked(change.work, merge(shown), shown)
            change.details.update(difference(stored.device, device))
            if change.details:
                await change.work.devices.replace(stored.device.id, device, caller.name)
            return stored.device.id

    async def set_enabled(self, caller: Principal, ref: DeviceRef, *, enabled: bool) -> int:
        """Enable one device, or disable it: its next message is refused.

        Return its id. Raises `PermissionDenied`, `DeviceNotFound`.
        """
        caller.require(Permission.DEVICES_MANAGE)
        action = Action.DEVICE_ENABLE if enabled else Action.DEVICE_DISABLE
        async with audited(self._store, caller, action, _target(ref)) as change:
            stored = await _found(change, ref)
            if stored.device.enabled is not enabled:
                await change.work.devices.set_enabled(stored.device.id, caller.name, enabled=enabled)
            return stored.device.id

    async def replace_secret(self, caller: Principal, ref: DeviceRef) -> tuple[int, str, Secret]:
        """Make a new secret for one device, which ends the old secret.

        Return id and name of the device, and the new secret. Raises `PermissionDenied`, `DeviceNotFound`.
        """
        caller.require(Permission.DEVICES_MANAGE)
        async with audited(self._store, caller, Action.DEVICE_NEW_SECRET, _target(ref)) as change:
            device = (await _found(change, ref)).device
            return device.id, device.name, await _give_secret(change.work, device.id, caller)

    async def remove(self, caller: Principal, ref: DeviceRef) -> None:
        """Remove one device; its messages stay in the message log. Raises `PermissionDenied`, `DeviceNotFound`."""
        caller.require(Permission.DEVICES_MANAGE)
        async with audited(self._store, caller, Action.DEVICE_REMOVE, _target(ref)) as change:
            stored = await _found(change, ref)
            change.details.update(difference(stored.device, None))
            await change.work.devices.remove(stored.device.id)


def _target(ref: DeviceRef) -> str:
    # A text that cannot be a name may be anything, even a mistyped secret.
    return f"device:{ref}" if isinstance(ref, int) or is_slug(ref) else "device"


def _existing(stored: StoredDevice | None) -> StoredDevice:
    if stored is None:
        raise DeviceNotFound
    return stored


async def _found(change: AuditedChange, ref: DeviceRef) -> StoredDevice:
    stored = _existing(await change.work.devices.find(ref))
    change.target = _target(stored.device.id)
    return stored


async def _give_secret(work: Transaction, device_id: int, caller: Principal) -> Secret:
    secret, key = new_secret(), await work.devices.secret_key()
    await work.devices.set_secret(device_id, key.hash(device_owner(device_id), secret), caller.name)
    return Secret(secret)


async def _checked(work: Transaction, wanted: DeviceSettings, now: DeviceOverview | None) -> Device:
    """Return the device to store, *now* being the stored one, if any. Raises `InvalidSetting`."""
    device_id = now.stored.device.id if now else 0
    server_id = await _mail_server_id(work, wanted.mail_server, now)
    device = replace(wanted.device, id=device_id, mail_server_id=server_id)
    named = await work.devices.find(device.name)
    if named is not None and named.device.id != device_id:
        raise NameTaken("device")
    if device.trusts_network:
        await _require_own_networks(work, device)
    return device


async def _require_own_networks(work: Transaction, device: Device) -> None:
    """Raise `NetworkTaken` if another device trusts some of the same addresses."""
    for other in await work.devices.trusting():
        if other.id != device.id and device.shares_network_with(other):
            raise NetworkTaken(other.name)


async def _mail_server_id(work: Transaction, ref: MailServerRef | None, now: DeviceOverview | None) -> int | None:
    if ref is None:
        return None
    # A mail server that is gone stays chosen, so that a change of something else is possible.
    if now is not None and ref == now.mail_server.name:
        return now.stored.device.mail_server_id
    found = await work.mail_servers.find(ref)
    if found is None:
        raise InvalidSetting(Setting.MAIL_SERVER, "is not a stored mail server; name one of the list.")
    return found.id


async def _overviews(view: Transaction, found: Sequence[StoredDevice]) -> Sequence[DeviceOverview]:
    uses = await view.devices.uses([stored.device.id for stored in found])
    servers = {
        server_id: _mail_server(
            server_id,
            await (view.mail_servers.find_default() if server_id is None else view.mail_servers.find(server_id)),
        )
        for server_id in {stored.device.mail_server_id for stored in found}
    }
    return [
        DeviceOverview(stored, servers[stored.device.mail_server_id], uses.get(stored.device.id))
        for stored in found
    ]


def _mail_server(server_id: int | None, stored: StoredMailServer | None) -> DeviceMailServer:
    """Return what an overview says of the chosen mail server, or (None) of the default."""
    if stored is None:
        return DeviceMailServer(None if server_id is None else name_of_id(server_id), "missing")
    return DeviceMailServer(None if server_id is None else stored.name, None if stored.enabled else "disabled")
