"""One transaction, and the repositories that read and write in it."""

from functools import cached_property
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.store.access import SQLAccounts, SQLKnownNetworks, SQLLoginFailures
from mailsettings.store.audit_log import SQLAuditLog
from mailsettings.store.coordination import SQLConnectionTestUsage, SQLLeases, SQLOutbox
from mailsettings.store.encryption.key_file import KeySource
from mailsettings.store.encryption.key_registry import SQLKeyRegistry
from mailsettings.store.encryption.sealing import Sealer
from mailsettings.store.encryption.service_keys import SQLServiceKeys
from mailsettings.store.mail_servers import SQLMailServers
from mailsettings.store.monitoring import SQLMonitoring
from mailsettings.store.relay.devices import SQLDevices
from mailsettings.store.relay.messages import SQLMessages
from mailsettings.store.relay.places import SQLRelayPlaces
from mailsettings.store.relay.rates import SQLDeviceRates
from mailsettings.store.relay.registration import SQLRelays
from mailsettings.store.relay.test_logins import SQLDeviceTestLogins
from mailsettings.store.tables import DATA_VERSION

if TYPE_CHECKING:
    # Imported at the first use: their libraries would take a tenth of the memory of the relay, which uses neither.
    from mailsettings.store.backup.restore import SQLRestore
    from mailsettings.store.idempotency import SQLIdempotency


class Transaction:
    """All repositories of one transaction, each created at its first use.

    *sealer* seals and opens secrets. Without one, as for reading, secrets open with the keys that were read last.
    """

    def __init__(self, connection: AsyncConnection, keys: KeySource, sealer: Sealer | None = None) -> None:
        self._connection = connection
        self._keys = keys
        self._given = sealer

    @cached_property
    def _sealer(self) -> Sealer:
        return self._given or self._keys.known()

    async def data_version(self) -> str | None:
        """Return the data version of this snapshot on PostgreSQL; None if its row is missing."""
        found: str | None = await self._connection.scalar(select(DATA_VERSION))
        return found

    @cached_property
    def mail_servers(self) -> SQLMailServers:
        """The mail servers and their versions."""
        return SQLMailServers(self._connection, self._sealer)

    @cached_property
    def accounts(self) -> SQLAccounts:
        """The accounts."""
        return SQLAccounts(self._connection)

    @cached_property
    def devices(self) -> SQLDevices:
        """The devices."""
        return SQLDevices(self._connection, self.service_keys)

    @cached_property
    def device_rates(self) -> SQLDeviceRates:
        """The messages that devices took of their allowances."""
        return SQLDeviceRates(self._connection)

    @cached_property
    def messages(self) -> SQLMessages:
        """The message log."""
        return SQLMessages(self._connection)

    @cached_property
    def audit(self) -> SQLAuditLog:
        """The audit log."""
        return SQLAuditLog(self._connection, self.service_keys)

    @cached_property
    def login_failures(self) -> SQLLoginFailures:
        """The failed logins."""
        return SQLLoginFailures(self._connection, self.audit)

    @cached_property
    def known_networks(self) -> SQLKnownNetworks:
        """The networks that accounts have logged in from."""
        return SQLKnownNetworks(self._connection, self.audit)

    @cached_property
    def service_keys(self) -> SQLServiceKeys:
        """The signing and audit keys of this service."""
        return SQLServiceKeys(self._connection, self._sealer)

    @cached_property
    def encryption_keys(self) -> SQLKeyRegistry:
        """The encryption keys that the database knows."""
        return SQLKeyRegistry(self._connection, self._keys)

    @cached_property
    def idempotency(self) -> "SQLIdempotency":
        """The requests that carried an idempotency key."""
        from mailsettings.store.idempotency import SQLIdempotency  # noqa: PLC0415  # see above

        return SQLIdempotency(self._connection, self.audit)

    @cached_property
    def probe_admissions(self) -> SQLConnectionTestUsage:
        """The connection tests that were admitted."""
        return SQLConnectionTestUsage(self._connection)

    @cached_property
    def monitoring(self) -> SQLMonitoring:
        """The results of scheduled checks of each mail server."""
        return SQLMonitoring(self._connection)

    @cached_property
    def relay_places(self) -> SQLRelayPlaces:
        """The places of relays at mail servers."""
        return SQLRelayPlaces(self._connection)

    @cached_property
    def leases(self) -> SQLLeases:
        """The leases of work that one process does for all."""
        return SQLLeases(self._connection)

    @cached_property
    def device_test_logins(self) -> SQLDeviceTestLogins:
        """The logins for tests of devices."""
        return SQLDeviceTestLogins(self._connection)

    @cached_property
    def relays(self) -> SQLRelays:
        """The relays that run."""
        return SQLRelays(self._connection)

    @cached_property
    def outbox(self) -> SQLOutbox:
        """The events that wait for the webhook."""
        return SQLOutbox(self._connection)

    @cached_property
    def contents(self) -> "SQLRestore":
        """The whole content of the database, for restoring a backup."""
        from mailsettings.store.backup.restore import SQLRestore  # noqa: PLC0415  # see above

        return SQLRestore(self._connection, self._sealer)
