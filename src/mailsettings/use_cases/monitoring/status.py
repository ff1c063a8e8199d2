"""The state of all mail servers as scheduled checks found it.

Everything comes from the database, so every process reports the same.
"""

from collections.abc import Sequence
from datetime import date

from mailsettings.domain.access import Permission, Principal
from mailsettings.domain.audit_log import Action
from mailsettings.domain.change import NO_PRECONDITION, Precondition
from mailsettings.domain.errors import InvalidSetting
from mailsettings.domain.monitoring import MonitoredServer
from mailsettings.domain.naming import MailServerRef
from mailsettings.store.database import SQLStore
from mailsettings.use_cases.audit_log import audited
from mailsettings.use_cases.mail_server_changes import found, target


class MonitoringStatus:
    """Reads the results of scheduled checks, and sets when a secret expires."""

    def __init__(self, store: SQLStore) -> None:
        self._store = store

    async def list(self, caller: Principal) -> Sequence[MonitoredServer]:
        """Return each server with its health, by id. Raises `PermissionDenied`."""
        caller.require(Permission.MAIL_SERVERS_READ)
        async with self._store.reading() as view:
            return await view.monitoring.list()

    async def set_secret_expiry(
        self,
        caller: Principal,
        ref: MailServerRef | None,
        day: date | None,
        expected: Precondition = NO_PRECONDITION,
    ) -> int:
        """Set on which day a stored secret expires, None for never; *ref* None is the default server.

        Return the id of the server. Raises `PermissionDenied`, `MailServerNotFound`, `PreconditionFailed`, and
        `InvalidSetting` if no secret is stored.
        """
        caller.require(Permission.MAIL_SERVERS_WRITE)
        async with audited(self._store, caller, Action.MAIL_SERVER_SECRET_EXPIRY, target(ref)) as change:
            servers = change.work.mail_servers
            stored = found(change, await (servers.find_default() if ref is None else servers.find(ref)))
            expected.require(stored)
            if stored.server.secret is None:
                raise InvalidSetting(
                    stored.server.authentication.secret_setting,
                    "is not stored, so its expiry cannot be stored either.",
                )
            before = await change.work.monitoring.secret_expiry(stored.id)
            change.details["secret ends on"] = {"before": _iso_date(before), "after": _iso_date(day)}
            await change.work.monitoring.set_secret_expiry(stored.id, day)
            return stored.id


def _iso_date(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
