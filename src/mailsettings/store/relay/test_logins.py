"""Logins for the test of a device: each works once, for a short time."""

import hashlib
import hmac
from dataclasses import dataclass

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.store.coordination import Now, now
from mailsettings.store.relay.tables import device_test_logins as table

KEPT_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class DeviceTestLogin:
    """A login of a device that was not used yet."""

    device_id: int
    secret_hash: bytes

    def fits(self, secret: str) -> bool:
        """Return whether *secret* is that of this login, in constant time."""
        return hmac.compare_digest(self.secret_hash, _hash(secret))


class SQLDeviceTestLogins:
    """The logins in one transaction; times are those of the database's clock."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, name: str, device_id: int, secret: str, seconds: float) -> None:
        """Store a login for *seconds*; delete old logins."""
        moment = await now(self._connection)
        await self._connection.execute(delete(table).where(table.c.expires_at < moment - KEPT_SECONDS))
        values = {"name": name, "device_id": device_id, "expires_at": moment + seconds}
        await self._connection.execute(insert(table).values(secret_hash=_hash(secret), **values))

    async def find(self, name: str) -> DeviceTestLogin | None:
        """Return the login *name*, unless it was used or has expired."""
        usable = select(table).where(table.c.name == name, table.c.used_at.is_(None), table.c.expires_at > Now())
        row = (await self._connection.execute(usable)).one_or_none()
        return None if row is None else DeviceTestLogin(row.device_id, row.secret_hash)

    async def use(self, name: str) -> bool:
        """Note that the login was used; return False if it was used before or has expired."""
        unused = update(table).where(table.c.name == name, table.c.used_at.is_(None), table.c.expires_at > Now())
        return bool((await self._connection.execute(unused.values(used_at=Now()))).rowcount)


def _hash(secret: str) -> bytes:
    # The secret is random and 130 bits long, so a plain hash of it is worth nothing to others.
    return hashlib.sha256(secret.encode()).digest()
