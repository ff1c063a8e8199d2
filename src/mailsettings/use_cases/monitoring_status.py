"""How the mail servers are, as far as checks on schedule have found out; and when their secrets end.

Everything comes from the database, so that each process tells the same.
"""

from collections.abc import Sequence
from datetime import date

from mailsettings.domain.access import Permission, Principal
from mailsettings.domain.audit_log import Action
from mailsettings.domain.errors import InvalidSetting, MailServerNotFound
from mailsettings.domain.mail_server import OAuth2ClientCredentials, StoredMailServer
from mailsettings.domain.monitoring import MonitoredServer, MonitoringSummary
from mailsettings.domain.setting import Setting
from mailsettings.use_cases.auditing import audited
from mailsettings.use_cases.mail_servers import DEFAULT_SERVER, target
from mailsettings.use_cases.watch_ports import WatchStore, WatchWork


class MonitoringStatus:
    """What is known of the mail servers."""

    def __init__(self, store: WatchStore) -> None:
        self._store = store

    async def list(self, caller: Principal) -> Sequence[MonitoredServer]:
        """Each server by id. Raises `PermissionDenied`."""
        caller.require(Permission.MAIL_SERVERS_READ)
        async with self._store.reading() as view:
            return await view.monitoring.list()

    async def summary(self) -> MonitoringSummary:
        """All servers together, as figures that name none of them. Raises `StoreUnavailable`."""
        async with self._store.reading() as view:
            return await view.monitoring.summary()

    async def set_secret_expiry(self, caller: Principal, server_id: int | None, day: date | None) -> None:
        """Note on which day a stored secret ends, None for never; of the default server if none is named.

        Raises `PermissionDenied`, `MailServerNotFound`, and `InvalidSetting` where no secret is stored.
        """
        caller.require(Permission.MAIL_SERVERS_WRITE)
        named = DEFAULT_SERVER if server_id is None else target(server_id)
        async with audited(self._store, caller, Action.MAIL_SERVER_SECRET_EXPIRY, named) as change:
            stored = await _found(change.work, server_id)
            change.target = target(stored.id)
            before = await change.work.monitoring.secret_expiry(stored.id)
            change.details["secret ends on"] = {"before": _iso_date(before), "after": _iso_date(day)}
            await change.work.monitoring.set_secret_expiry(stored.id, day)


async def _found(work: WatchWork, server_id: int | None) -> StoredMailServer:
    servers = work.mail_servers
    stored = await (servers.find_default() if server_id is None else servers.find(server_id))
    if stored is None:
        raise MailServerNotFound
    if stored.server.secret is None:
        oauth2 = isinstance(stored.server.authentication, OAuth2ClientCredentials)
        raise InvalidSetting(Setting.CLIENT_SECRET if oauth2 else Setting.PASSWORD, "is not stored.")
    return stored


def _iso_date(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
