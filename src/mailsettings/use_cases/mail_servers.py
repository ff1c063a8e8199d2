"""Keeping mail servers: who may, under which rule, in one transaction each.

An API that knows many servers names them by id; one that knows a single server means the default one.
"""

from collections.abc import Sequence

from mailsettings.domain.access import Permission, Principal
from mailsettings.domain.errors import MailServerNotFound
from mailsettings.domain.mail_server import StoredMailServer
from mailsettings.domain.replacement import Replacement
from mailsettings.use_cases.ports import Store


class KeepMailServers:
    """The stored mail servers, as a principal may see and change them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def list(self, caller: Principal) -> Sequence[StoredMailServer]:
        """All mail servers by id. Raises `PermissionDenied`."""
        caller.require(Permission.MAIL_SERVERS_READ)
        async with self._store.reading() as work:
            return await work.mail_servers.list()

    async def get(self, caller: Principal, server_id: int) -> StoredMailServer:
        """One mail server. Raises `PermissionDenied`, `MailServerNotFound`."""
        caller.require(Permission.MAIL_SERVERS_READ)
        async with self._store.reading() as work:
            return _existing(await work.mail_servers.find(server_id))

    async def get_default(self, caller: Principal) -> StoredMailServer:
        """The default mail server. Raises `PermissionDenied`, `MailServerNotFound`."""
        caller.require(Permission.MAIL_SERVERS_READ)
        async with self._store.reading() as work:
            return _existing(await work.mail_servers.find_default())

    async def create(self, caller: Principal, wanted: Replacement) -> int:
        """Store a new mail server and return its id. Raises `PermissionDenied`, `SecretNeededAgain`."""
        caller.require(Permission.MAIL_SERVERS_WRITE)
        server = wanted.onto(None)
        async with self._store.writing() as work:
            return await work.mail_servers.add(server)

    async def replace(self, caller: Principal, server_id: int, wanted: Replacement) -> None:
        """Change one mail server. Raises `PermissionDenied`, `MailServerNotFound`, `SecretNeededAgain`."""
        caller.require(Permission.MAIL_SERVERS_WRITE)
        async with self._store.writing() as work:
            stored = _existing(await work.mail_servers.find(server_id))
            await work.mail_servers.replace(stored.id, wanted.onto(stored.server))

    async def put_default(self, caller: Principal, wanted: Replacement) -> None:
        """Create or change the default mail server. Raises `PermissionDenied`, `SecretNeededAgain`."""
        caller.require(Permission.MAIL_SERVERS_WRITE)
        async with self._store.writing() as work:
            stored = await work.mail_servers.find_default()
            if stored is None:
                await work.mail_servers.add(wanted.onto(None))
            else:
                await work.mail_servers.replace(stored.id, wanted.onto(stored.server))

    async def delete(self, caller: Principal, server_id: int) -> None:
        """Remove one mail server. Raises `PermissionDenied`, `MailServerNotFound`."""
        caller.require(Permission.MAIL_SERVERS_WRITE)
        async with self._store.writing() as work:
            stored = _existing(await work.mail_servers.find(server_id))
            await work.mail_servers.delete(stored.id)

    async def delete_default(self, caller: Principal) -> None:
        """Remove the default mail server. Raises `PermissionDenied`, `MailServerNotFound`."""
        caller.require(Permission.MAIL_SERVERS_WRITE)
        async with self._store.writing() as work:
            stored = _existing(await work.mail_servers.find_default())
            await work.mail_servers.delete(stored.id)


def _existing(stored: StoredMailServer | None) -> StoredMailServer:
    if stored is None:
        raise MailServerNotFound
    return stored
