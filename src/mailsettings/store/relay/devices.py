"""The devices as rows, the key of their secrets, and when each was last used."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, false, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.domain.device import Device, DeviceRef, parse_network
from mailsettings.domain.device_overview import DeviceUse, StoredDevice
from mailsettings.domain.device_secret import DeviceSecretKey, device_owner
from mailsettings.domain.mail_server import Revision
from mailsettings.domain.naming import MAX_ID
from mailsettings.store.encryption.service_keys import SQLServiceKeys
from mailsettings.store.mail_server_rows import in_utc, revision_of
from mailsettings.store.relay.tables import device_rates, device_test_logins, device_uses
from mailsettings.store.relay.tables import devices as table
from mailsettings.store.tables import DATA_VERSION, service_keys

KEY_NAME = "device-logins"
"""The service key of the hashes of the devices' secrets."""


_KEY_COLUMN = select(service_keys.c.sealed).where(service_keys.c.name == KEY_NAME).scalar_subquery()


@dataclass(frozen=True, slots=True)
class DeviceCredentials:
    """A device with the hash of its secret, None if it has no secret, and the key of the hash."""

    device: Device
    secret_hash: bytes | None = field(repr=False)
    key: Callable[[], DeviceSecretKey] = field(repr=False, compare=False)

    def fits(self, secret: str) -> bool:
        """Return whether *secret* is that of the device. Raises `SecretUnreadable` if the key is."""
        owner = device_owner(self.device.id)
        return self.secret_hash is not None and self.key().fits(owner, secret, self.secret_hash)


class SQLDevices:
    """The devices in one transaction."""

    def __init__(self, connection: AsyncConnection, keys: SQLServiceKeys) -> None:
        self._connection = connection
        self._keys = keys

    async def page(self, after: str, limit: int) -> Sequence[StoredDevice]:
        """Return at most *limit* devices after the name *after*, by name."""
        chosen = select(table).where(table.c.name > after).order_by(table.c.name).limit(limit)
        return [_stored(row) for row in await self._connection.execute(chosen)]

    async def find(self, ref: DeviceRef) -> StoredDevice | None:
        """Return the device with this id or name."""
        row = (await self._connection.execute(select(table).where(_is(ref)))).one_or_none()
        return None if row is None else _stored(row)

    async def versioned(self, ref: DeviceRef) -> tuple[DeviceCredentials | None, str | None]:
        """Return the device with this id or name for a login, and the data version with a device."""
        wanted = select(table, DATA_VERSION, _KEY_COLUMN.label("service_key")).where(_is(ref))
        row = (await self._connection.execute(wanted)).one_or_none()
        if row is None:
            return None, None
        # Opened at a login only, so that a damaged key leaves the devices readable that need no login.
        key = cache(partial(self._opened, row.service_key))
        return DeviceCredentials(_device(row), row.secret_hash, key), row.data_version

    async def trusting(self) -> Sequence[Device]:
        """Return the devices that trust their networks, disabled devices included, by id."""
        rows = await self._connection.execute(select(table).where(table.c.trusts_network).order_by(table.c.id))
        return [_device(row) for row in rows]

    async def add(self, device: Device, by: str | None) -> int:
        """Store a new device without a secret, and return its id."""
        now = datetime.now(UTC)
        created = {"version": 1, "created_at": now, "created_by": by, "changed_at": now, "changed_by": by}
        added = await self._connection.execute(
            insert(table).values(_columns(device) | created).returning(table.c.id)
        )
        device_id: int = added.scalar_one()
        return device_id

    async def replace(self, device_id: int, device: Device, by: str | None) -> None:
        """Replace the settings of a device; its secret stays."""
        await self._change(device_id, _columns(device), by)

    async def set_enabled(self, device_id: int, by: str | None, *, enabled: bool) -> None:
        """Enable or disable a device."""
        await self._change(device_id, {"enabled": enabled}, by)

    async def set_secret(self, device_id: int, secret_hash: bytes, by: str | None = None) -> None:
        """Replace the secret of a device."""
        values = {"secret_hash": secret_hash, "secret_stored_at": datetime.now(UTC)}
        await self._change(device_id, values, by)

    async def remove(self, device_id: int) -> None:
        """Remove a device; its messages stay in the log."""
        await self._connection.execute(delete(table).where(table.c.id == device_id))
        for rows in (device_uses, device_rates, device_test_logins):
            await self._connection.execute(delete(rows).where(rows.c.device_id == device_id))

    async def uses(self, ids: Collection[int]) -> Mapping[int, DeviceUse]:
        """Return the last use of each of these devices that was ever used."""
        rows = await self._connection.execute(select(device_uses).where(device_uses.c.device_id.in_(ids)))
        return {row.device_id: DeviceUse(row.last_used_at, row.last_peer) for row in rows}

    async def secret_key(self) -> DeviceSecretKey:
        """Return the key of the hashes, before the first secret a new key. Raises `SecretUnreadable`."""
        text = await self._keys.get(KEY_NAME)
        if text is not None:
            return DeviceSecretKey(bytes.fromhex(text))
        new = DeviceSecretKey.new()
        await self._keys.add(KEY_NAME, new.key.hex())
        return new

    def _opened(self, sealed: bytes) -> DeviceSecretKey:
        return DeviceSecretKey(bytes.fromhex(self._keys.opened(KEY_NAME, sealed)))

    async def _change(self, device_id: int, values: dict[str, Any], by: str | None) -> None:
        now = {"version": table.c.version + 1, "changed_at": datetime.now(UTC), "changed_by": by}
        await self._connection.execute(update(table).where(table.c.id == device_id).values(values | now))


def _is(ref: DeviceRef) -> ColumnElement[bool]:
    if isinstance(ref, int):
        return table.c.id == ref if 0 < ref <= MAX_ID else false()
    return table.c.name == ref


def _columns(device: Device) -> dict[str, Any]:
    return {
        "name": device.name,
        "description": device.description,
        "enabled": device.enabled,
        "senders": json.dumps(device.senders),
        "from_domains": json.dumps(device.from_domains),
        "networks": json.dumps([str(network) for network in device.networks]),
        "trusts_network": device.trusts_network,
        "mail_server_id": device.mail_server_id,
        "sends_as_stored_sender": device.sends_as_stored_sender,
        "sends_null_sender": device.sends_null_sender,
        "messages_per_minute": device.messages_per_minute,
        "max_recipients": device.max_recipients,
        "max_message_bytes": device.max_message_bytes,
    }


def _device(row: Row[Any]) -> Device:
    return Device(
        id=row.id,
        name=row.name,
        description=row.description,
        enabled=row.enabled,
        senders=tuple(json.loads(row.senders)),
        from_domains=tuple(json.loads(row.from_domains)),
        networks=tuple(map(parse_network, json.loads(row.networks))),
        trusts_network=row.trusts_network,
        mail_server_id=row.mail_server_id,
        sends_as_stored_sender=row.sends_as_stored_sender,
        sends_null_sender=row.sends_null_sender,
        messages_per_minute=row.messages_per_minute,
        max_recipients=row.max_recipients,
        max_message_bytes=row.max_message_bytes,
        secret_stamp="" if row.secret_stored_at is None else in_utc(row.secret_stored_at).isoformat(),
    )


def _stored(row: Row[Any]) -> StoredDevice:
    created = Revision(in_utc(row.created_at), row.created_by)
    changed = revision_of(row.changed_at, row.changed_by)
    since = None if row.secret_stored_at is None else in_utc(row.secret_stored_at)
    return StoredDevice(_device(row), row.version, since, created, changed)
