"""Manages mail servers: checks permissions and preconditions, in one audited transaction for each change.

An API with many servers addresses them by id; an API with a single server uses the default one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mailsettings.domain.access import Permission, Principal
from mailsettings.domain.audit_log import Action
from mailsettings.domain.change import MAX_VERSIONS, NO_PRECONDITION, Precondition, Replacement
from mailsettings.domain.errors import MailServerNotFound
from mailsettings.domain.idempotency import IdempotencyKey
from mailsettings.domain.mail_server import ListedMailServer, Revision, StoredMailServer
from mailsettings.store.database import SQLStore
from mailsettings.store.transaction import Transaction
from mailsettings.use_cases.audit_log import AuditedChange, audited
from mailsettings.use_cases.idempotency import run_once

DEFAULT_SERVER = "default mail server"
SERVERS_PER_PAGE = 1000
"""A page of this size takes some milliseconds and some hundred kilobytes."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the list of mail servers; `more` says whether another page may follow."""

    servers: Sequence[ListedMailServer]
    more: bool

    @property
    def last(self) -> int:
        """The id after which the next page continues; 0 for an empty page."""
        return self.servers[-1].id if self.servers else 0


class ManageMailServers:
    """Reads and changes the stored mail servers for a principal."""

    def __init__(self, store: SQLStore, versions_kept: int = MAX_VERSIONS) -> None:
        self._store = store
        self._max_versions = versions_kept

    async def page(self, caller: Principal, after: int = 0) -> Page:
        """Return the next mail servers after id *after*, by id. Raises `PermissionDenied`.

        Each page is a transaction of its own, so a slow reader of many pages never delays a writer.
        """
        caller.require(Permission.MAIL_SERVERS_READ)
        servers = await self._store.cache.page(after, SERVERS_PER_PAGE, caller.moment)
        # A full last page makes the caller ask once more and get an empty page.
        return Page(servers, more=len(servers) == SERVERS_PER_PAGE)

    async def get(self, caller: Principal, server_id: int) -> StoredMailServer:
        """Return one mail server. Raises `PermissionDenied`, `MailServerNotFound`."""
        caller.require(Permission.MAIL_SERVERS_READ)
        return _existing(await self._store.cache.mail_server(server_id, caller.moment))

    async def get_default(self, caller: Principal) -> StoredMailServer:
        """Return the default mail server. Raises `PermissionDenied`, `MailServerNotFound`."""
        caller.require(Permission.MAIL_SERVERS_READ)
        return _existing(await self._store.cache.default_mail_server(caller.moment))

    async def create(
        self, caller: Principal, wanted: Replacement, idempotency_key: IdempotencyKey | None = None
    ) -> int:
        """Store a new mail server and return its id.

        Raises `PermissionDenied`, `SecretNeededAgain`, `IdempotencyKeyReused`.
        """
        caller.require(Permission.MAIL_SERVERS_WRITE)
        async with audited(self._store, caller, Action.MAIL_SERVER_CREATE) as change:
            return await run_once(change, caller, idempotency_key, int, lambda: _add(change, caller, wanted))

    async def replace(
        self, caller: Principal, server_id: int, wanted: Replacement, expected: Precondition = NO_PRECONDITION
    ) -> None:
        """Change one mail server.

        Raises `PermissionDenied`, `MailServerNotFound`, `PreconditionFailed`, `SecretNeededAgain`.
        """
        await self.update(caller, server_id, lambda _stored: wanted, expected)

    async def update(
        self,
        caller: Principal,
        server_id: int,
        merge: Callable[[StoredMailServer], Replacement],
        expected: Precondition = NO_PRECONDITION,
    ) -> None:
        """Change part of one mail server: read it, *merge* the change into it and store it, in one transaction.

        Raises the same as `replace`, and what *merge* raises.
        """
        caller.require(Permission.MAIL_SERVERS_WRITE)
        async with audited(self._store, caller, Action.MAIL_SERVER_REPLACE, target(server_id)) as change:
            stored = _existing(await change.work.mail_servers.find(server_id))
            expected.require(stored)
            await self._replace(change, caller, stored, merge(stored))

    async def put_default(
        self, caller: Principal, wanted: Replacement, expected: Precondition = NO_PRECONDITION
    ) -> None:
        """Create or change the default mail server.

        Raises `PermissionDenied`, `PreconditionFailed`, `SecretNeededAgain`.
        """
        caller.require(Permission.MAIL_SERVERS_WRITE)
        async with audited(self._store, caller, Action.MAIL_SERVER_REPLACE, DEFAULT_SERVER) as change:
            stored = await change.work.mail_servers.find_default()
            expected.require(stored, await _removal(change.work, stored))
            if stored is None:
                change.action = Action.MAIL_SERVER_CREATE
                await _add(change, caller, wanted)
            else:
                await self._replace(change, caller, stored, wanted)

    async def delete(self, caller: Principal, server_id: int, expected: Precondition = NO_PRECONDITION) -> None:
        """Remove one mail server. Raises `PermissionDenied`, `MailServerNotFound`, `PreconditionFailed`."""
        caller.require(Permission.MAIL_SERVERS_WRITE)
        async with audited(self._store, caller, Action.MAIL_SERVER_DELETE, target(server_id)) as change:
            stored = _existing(await change.work.mail_servers.find(server_id))
            await self._delete(change, caller, stored, expected)

    async def delete_default(self, caller: Principal, expected: Precondition = NO_PRECONDITION) -> None:
        """Remove the default server. Raises `PermissionDenied`, `MailServerNotFound`, `PreconditionFailed`."""
        caller.require(Permission.MAIL_SERVERS_WRITE)
        async with audited(self._store, caller, Action.MAIL_SERVER_DELETE, DEFAULT_SERVER) as change:
            stored = _existing(await change.work.mail_servers.find_default())
            await self._delete(change, caller, stored, expected)

    async def _replace(
        self, change: AuditedChange, caller: Principal, stored: StoredMailServer, wanted: Replacement
    ) -> None:
        change.target = target(stored.id)
        server = wanted.onto(stored.server)
        change.note_difference(stored.server, server)
        _note_creation(change, caller, stored)
        await change.work.mail_servers.replace(stored.id, server, caller.name, stored)
        await change.work.mail_servers.forget_versions(stored.id, self._max_versions)

    async def _delete(
        self, change: AuditedChange, caller: Principal, stored: StoredMailServer, expected: Precondition
    ) -> None:
        expected.require(stored)
        change.target = target(stored.id)
        change.note_difference(stored.server, None)
        _note_creation(change, caller, stored)
        await change.work.mail_servers.delete(stored.id, caller.name)
        await change.work.mail_servers.forget_removed(self._max_versions)


def target(server_id: int | None) -> str:
    """Return what the audit log calls the mail server of this id, or (None) the default one."""
    return DEFAULT_SERVER if server_id is None else f"mail-server:{server_id}"


def _note_creation(change: AuditedChange, caller: Principal, stored: StoredMailServer) -> None:
    """Audit who created the replaced or removed server, and through which API, if that was another API.

    A caller of an API with a single server may not know that another API lists the same server.
    """
    creation = stored.creation
    if creation.through is not None and creation.through != caller.origin.api:
        change.details["created"] = {"by": creation.by, "through": creation.through}


async def _add(change: AuditedChange, caller: Principal, wanted: Replacement) -> int:
    server = wanted.onto(None)
    server_id = await change.work.mail_servers.add(server, caller.name, caller.origin.api)
    change.target = target(server_id)
    change.note_difference(None, server)
    return server_id


def _existing(stored: StoredMailServer | None) -> StoredMailServer:
    if stored is None:
        raise MailServerNotFound
    return stored


async def _removal(work: Transaction, stored: StoredMailServer | None) -> Revision | None:
    """Return who removed the last default server and when, if none is stored."""
    removal = None if stored else await work.mail_servers.removed_default()
    return removal.revision if removal else None
