"""Logins of devices: who submits, checked for each message within microseconds.

A secret has 130 random bits, so it cannot be guessed, and waits protect no device. They only spare the log and the
processor: they slow down a device with an old secret, and never refuse a right secret. So such a device locks out
neither other devices nor itself. Each relay counts for itself.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from mailsettings.domain.access import Moment, Origin
from mailsettings.domain.audit_log import Action
from mailsettings.domain.device import Device, Peer, plain_peer
from mailsettings.domain.device_secret import device_owner
from mailsettings.domain.errors import LoginRefused, SecretUnreadable, StoreUnavailable, TooManyLogins
from mailsettings.domain.login_throttling import Backoff, Failures, client_network
from mailsettings.domain.mail_server import StoredMailServer
from mailsettings.domain.naming import is_slug
from mailsettings.store.database import SQLStore
from mailsettings.store.relay.devices import DeviceCredentials
from mailsettings.use_cases.denial_log import DenialLog

DEVICE_LIMIT = Backoff(free_failures=5, first_wait_seconds=1, max_seconds=30, forgotten_after_seconds=600)
"""For one device from one client network, or all unknown names from one. A device that tries once a minute with an
old secret learns each time that the secret is wrong."""
SECONDS_BETWEEN_ENTRIES = 3600
"""An old secret that is sent every minute makes an audit entry an hour, with the number of refusals."""
MAX_REMEMBERED = 10_000

_log = logging.getLogger(__name__)
_WRONG_SECRET, _UNKNOWN_NAME = "wrong secret", "unknown device"


@dataclass(slots=True)
class _Refusals:
    """Refused logins of one device from one network; `unrecorded` of them since the last audit entry."""

    failures: Failures
    recorded_at: float = float("-inf")
    unrecorded: int = 0


class DeviceLogins:
    """Finds the device that a peer is, and what it may use. All reads may raise `StoreUnavailable`.

    With a moment, a read shows a time after it.
    """

    def __init__(
        self, store: SQLStore, denial_log: DenialLog, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._denial_log = denial_log
        self._clock = clock
        self._refused: OrderedDict[tuple[int, str], _Refusals] = OrderedDict()

    async def log_in(self, name: str, secret: str, peer: Peer) -> Device:
        """Return the device *name*. Raises `LoginRefused`, `TooManyLogins`.

        A right secret of an enabled device from an allowed address is never refused.
        """
        # No device has another name, and PostgreSQL rejects some of them in a query.
        found = await self._store.cache.device(name.lower()) if is_slug(name.lower()) else None
        problem = _problem(found, secret, peer)
        if found is not None and problem is None:
            return found.device
        await self._count(found, peer, problem or _UNKNOWN_NAME)
        raise LoginRefused

    async def trusted_device(self, peer: Peer, moment: Moment | None = None) -> Device | None:
        """Return the enabled device that trusts the network of *peer*, if any."""
        found = (await self._store.cache.trusted_networks(moment)).device_of(peer)
        return found if found is not None and found.enabled else None

    async def current(self, device: Device, moment: Moment | None = None) -> Device | None:
        """Return *device* as it is now; None if it is disabled, gone, or has another secret."""
        found = await self._store.cache.device(device.id, moment)
        if found is None or not found.device.enabled or found.device.secret_stamp != device.secret_stamp:
            return None
        return found.device

    async def mail_server(self, device: Device, moment: Moment | None = None) -> StoredMailServer | None:
        """Return the enabled mail server of *device*; None if it is disabled or gone."""
        ref = device.mail_server_id
        cache = self._store.cache
        found = await (cache.default_mail_server(moment) if ref is None else cache.mail_server(ref, moment))
        return found if found is not None and found.enabled else None

    async def _count(self, found: DeviceCredentials | None, peer: Peer, problem: str) -> None:
        """Count a refusal, and record it unless one like it was recorded lately. Raises `TooManyLogins`."""
        now, address = self._clock(), str(plain_peer(peer))
        known = self._refusals(found.device.id if found else 0, address)
        known.unrecorded += 1
        if wait := known.failures.wait_seconds(now):
            raise TooManyLogins("Too many failed logins of this device.", wait)
        known.failures = DEVICE_LIMIT.after_failure(known.failures, now)
        if now - known.recorded_at >= SECONDS_BETWEEN_ENTRIES:
            count, known.unrecorded, known.recorded_at = known.unrecorded, 0, now
            target = None if found is None else device_owner(found.device.id)
            details = {"problem": problem, "refused": count}
            await self._denial_log.note(None, Origin(address), Action.DEVICE_LOGIN, target, details)

    def _refusals(self, device_id: int, address: str) -> _Refusals:
        key = device_id, client_network(address)
        known = self._refused.setdefault(key, _Refusals(Failures()))
        self._refused.move_to_end(key)
        if len(self._refused) > MAX_REMEMBERED:
            self._refused.popitem(last=False)
        return known


def _problem(found: DeviceCredentials | None, secret: str, peer: Peer) -> str | None:
    """Return why a login is refused, for the audit log; None if it is accepted. Raises `StoreUnavailable`."""
    if found is None:
        return _UNKNOWN_NAME
    if not _fits(found, secret):
        return _WRONG_SECRET
    if not found.device.enabled:
        return "disabled device"
    return None if found.device.allows_peer(peer) else "address outside the networks of the device"


def _fits(found: DeviceCredentials, secret: str) -> bool:
    try:
        return found.fits(secret)
    except SecretUnreadable:
        # A fault of this service: with a refusal, the device would ask its user for another secret.
        _log.error("The key of the secrets of devices does not open, so no device can log in.")
        raise StoreUnavailable from None
