"""One transaction, and the repositories that read and write in it."""

from functools import cached_property

from sqlalchemy.ext.asyncio import AsyncConnection

from mailsettings.store.accounts import SQLAccounts
from mailsettings.store.audit_log import SQLAuditLog
from mailsettings.store.known_neighbourhoods import SQLKnownNeighbourhoods
from mailsettings.store.leases import SQLLeases
from mailsettings.store.login_failures import SQLLoginFailures
from mailsettings.store.mail_servers import SQLMailServers
from mailsettings.store.outbox import SQLOutbox
from mailsettings.store.probe_admissions import SQLProbeAdmissions
from mailsettings.store.repeats import SQLRepeats
from mailsettings.store.restoring import SQLContents
from mailsettings.store.sealed_keys import SQLSealedKeys
from mailsettings.store.sealing import KeySource, Sealer
from mailsettings.store.sealing_keys import SQLSealingKeys
from mailsettings.store.watch import SQLWatch


class Transaction:
    """All repositories of one transaction, each made at its first use.

    *sealer* seals and opens secrets. Without one, as for reading, they open with the keys that were seen last.
    """

    def __init__(self, connection: AsyncConnection, keys: KeySource, sealer: Sealer | None = None) -> None:
        self._connection = connection
        self._keys = keys
        self._given = sealer

    @cached_property
    def _sealer(self) -> Sealer:
        return self._given or self._keys.known()

    @cached_property
    def mail_servers(self) -> SQLMailServers:
        """The mail servers and their versions."""
        return SQLMailServers(self._connection, self._sealer)

    @cached_property
    def accounts(self) -> SQLAccounts:
        """The accounts."""
        return SQLAccounts(self._connection)

    @cached_property
    def audit(self) -> SQLAuditLog:
        """The audit log."""
        return SQLAuditLog(self._connection, self.sealed_keys)

    @cached_property
    def login_failures(self) -> SQLLoginFailures:
        """The failed logins."""
        return SQLLoginFailures(self._connection, self.audit)

    @cached_property
    def known_neighbourhoods(self) -> SQLKnownNeighbourhoods:
        """The networks that accounts have logged in from."""
        return SQLKnownNeighbourhoods(self._connection, self.audit)

    @cached_property
    def sealed_keys(self) -> SQLSealedKeys:
        """The signing and audit keys of this service."""
        return SQLSealedKeys(self._connection, self._sealer)

    @cached_property
    def sealing_keys(self) -> SQLSealingKeys:
        """What the database knows of the keys that seal secrets."""
        return SQLSealingKeys(self._connection, self._keys)

    @cached_property
    def repeats(self) -> SQLRepeats:
        """The requests that carried an idempotency key."""
        return SQLRepeats(self._connection, self.audit)

    @cached_property
    def probe_admissions(self) -> SQLProbeAdmissions:
        """The connection tests that were admitted."""
        return SQLProbeAdmissions(self._connection)

    @cached_property
    def watch(self) -> SQLWatch:
        """What scheduled checks found out about each mail server."""
        return SQLWatch(self._connection)

    @cached_property
    def leases(self) -> SQLLeases:
        """Which process does the work that one process does for all."""
        return SQLLeases(self._connection)

    @cached_property
    def outbox(self) -> SQLOutbox:
        """The events that wait for the webhook."""
        return SQLOutbox(self._connection)

    @cached_property
    def contents(self) -> SQLContents:
        """Everything, to be filled from a backup."""
        return SQLContents(self._connection, self._sealer)
