"""Logins for the test of a device, as the relay sees them: good once, and from any address."""

import re
from dataclasses import fields

from mailsettings.domain.access import Moment
from mailsettings.domain.device import Device, Peer
from mailsettings.domain.errors import LoginRefused
from mailsettings.store.database import SQLStore
from mailsettings.use_cases.devices.logins import DeviceLogins
from mailsettings.use_cases.lease import shielded

_NAME = re.compile(r"test:[0-9a-f]{32}")
"""No device has such a name."""


class TestedDevice(Device):
    """A device under test, which may submit from the machine of the service."""

    __test__ = False  # the name of this class looks like that of a test of pytest


class DeviceTestLogins:
    """Adds the logins of tests to *logins*, which has the devices' own."""

    def __init__(self, store: SQLStore, logins: DeviceLogins) -> None:
        self._store = store
        self._logins = logins

    async def log_in(self, name: str, secret: str, peer: Peer) -> Device:
        """Return the device *name*, or that of the test *name*. Raises `LoginRefused`, `TooManyLogins`."""
        if not _NAME.fullmatch(name) or not (device_id := await shielded(self._used(name, secret))):
            return await self._logins.log_in(name, secret, peer)
        found = await self._store.cache.device(device_id)
        if found is None or not found.device.enabled:
            raise LoginRefused
        return _tested(found.device)

    async def current(self, device: Device, moment: Moment | None = None) -> Device | None:
        """Return *device* as it is now; None if it is disabled, gone, or has another secret."""
        found = await self._logins.current(device, moment)
        return _tested(found) if found is not None and isinstance(device, TestedDevice) else found

    async def _used(self, name: str, secret: str) -> int | None:
        """Use the login up and return its device, if *secret* fits. A wrong secret costs no write."""
        async with self._store.reading() as view:
            login = await view.device_test_logins.find(name)
        if login is None or not login.fits(secret):
            return None
        async with self._store.writing() as work:
            return login.device_id if await work.device_test_logins.use(name) else None


def _tested(device: Device) -> TestedDevice:
    values = {each.name: getattr(device, each.name) for each in fields(device)}
    return TestedDevice(**{**values, "networks": (), "trusts_network": False})
