"""Manages mail servers: checks permissions and preconditions, in one audited transaction for each change.

An API with many servers addresses them by id or name; an API with a single server uses the default one. See
docs/decisions/0001-the-default-server.md.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mailsettings.domain.access import Permission, Principal
from mailsettings.domain.audit_log import Action
from mailsettings.domain.change import MAX_VERSIONS, NO_PRECONDITION, Precondition, Replacement
from mailsettings.domain.errors import DefaultMailServerInUse, MailServerDisabled
from mailsettings.domain.idempotency import IdempotencyKey
from mailsettings.domain.mail_server import ListedMailServer, StoredMailServer
from mailsettings.domain.mail_server_list import NO_FILTER, MailServerFilter, MailServerOverview
from mailsettings.domain.naming import MailServerRef
from mailsettings.domain.setting import Setting
from mailsettings.store.database import SQLStore
from mailsettings.use_cases.audit_log import AuditedChange, audited
from mailsettings.use_cases.idempotency import run_once
from mailsettings.use_cases.mail_server_changes import (
    DEFAULT_SERVER,
    add,
    existing,
    found,
    last_removal,
    note_creation,
    require_state,
    target,
)

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

    async def list(
        self,
        caller: Principal,
        wanted: MailServerFilter = NO_FILTER,
        after: int = 0,
        limit: int = SERVERS_PER_PAGE,
    ) -> Sequence[MailServerOverview]:
        """Return the next mail servers after id *after* that meet the filter, with their health, by id.

        Raises `PermissionDenied`.
        """
        caller.require(Permission.MAIL_SERVERS_READ)
        async with self._store.reading() as view:
            found = await view.mail_servers.matching(wanted, after, limit)
            monitored = await view.monitoring.list([stored.id for stored in found])
        return list(map(MailServerOverview, found, monitored))

    async def get(self, caller: Principal, ref: MailServerRef) -> StoredMailServer:
        """Return one mail server by its id or name. Raises `PermissionDenied`, `MailServerNotFound`."""
        caller.require(Permission.MAIL_SERVERS_READ)
        return existing(await self._store.cache.mail_server(ref, caller.moment))

    async def overview(self, caller: Principal, ref: MailServerRef | None) -> MailServerOverview:
        """Return one mail server by its id or name, or (None) the default, with its health.

        Raises `PermissionDenied`, `MailServerNotFound`.
        """
        caller.require(Permission.MAIL_SERVERS_READ)
        async with self._store.reading() as view:
            stored = existing(
                await (view.mail_servers.find_default() if ref is None else view.mail_servers.find(ref))
            )
            [monitored] = await view.monitoring.list([stored.id])
        return MailServerOverview(stored, monitored)

    async def get_default(self, caller: Principal) -> StoredMailServer:
        """Return the default mail server. Raises `PermissionDenied`, `MailServerNotFound`."""
        caller.require(Permission.MAIL_SERVERS_READ)
        return existing(await self._store.cache.default_mail_server(caller.moment))

    async def create(
        self, caller: Principal, wanted: Replacement, idempotency_key: IdempotencyKey | None = None
    ) -> int:
        """Store a new mail server, which never becomes the default, and return its id.

        Raises `PermissionDenied`, `SecretNeededAgain`, `NameTaken`, `IdempotencyKeyReused`.
        """
        caller.require(Permission.MAIL_SERVERS_WRITE)
        async with audited(self._store, caller, Action.MAIL_SERVER_CREATE) as change:
            return await run_once(change, caller, idempotency_key, int, lambda: add(change, caller, wanted))

    async def replace(
        self, caller: Principal, ref: MailServerRef, wanted: Replacement, expected: Precondition = NO_PRECONDITION
    ) -> None:
        """Change one mail server.

        Raises `PermissionDenied`, `MailServerNotFound`, `PreconditionFailed`, `SecretNeededAgain`, `NameTaken`,
        and `DefaultMailServerInUse` if it would disable the default.
        """
        await self.update(caller, ref, lambda _stored: wanted, expected)

    async def update(
        self,
        caller: Principal,
        ref: MailServerRef,
        merge: Callable[[StoredMailServer], Replacement],
        expected: Precondition = NO_PRECONDITION,
    ) -> int:
        """Change part of one mail server: read it, *merge* the change into it and store it, in one transaction.

        Return its id. Raises the same as `replace`, and what *merge* raises.
        """
        caller.require(Permission.MAIL_SERVERS_WRITE)
        async with audited(self._store, caller, Action.MAIL_SERVER_REPLACE, target(ref)) as change:
            stored = found(change, await change.work.mail_servers.find(ref))
            expected.require(stored)
            await self._replace(change, caller, stored, merge(stored))
            return stored.id

    async def put_default(
        self, caller: Principal, wanted: Replacement, expected: Precondition = NO_PRECONDITION
    ) -> None:
        """Change the default mail server; without one, create a mail server and make it the default.

        Raises `PermissionDenied`, `PreconditionFailed`, `SecretNeededAgain`.
        """
        caller.require(Permission.MAIL_SERVERS_WRITE)
        async with audited(self._store, caller, Action.MAIL_SERVER_REPLACE, DEFAULT_SERVER) as change:
            stored = await change.work.mail_servers.find_default()
            expected.require(stored, await last_removal(change.work, stored))
            if stored is None:
                change.action = Action.MAIL_SERVER_CREATE
                await add(change, caller, wanted, as_default=True)
            else:
                found(change, stored)
                # A default from before 0.4 was not chosen; this PUT chooses it (decision 1).
                if stored.default_since is None:
                    await change.work.mail_servers.choose_default(stored.id)
                await self._replace(change, caller, stored, wanted)

    async def delete(
        self, caller: Principal, ref: MailServerRef, expected: Precondition = NO_PRECONDITION
    ) -> None:
        """Remove one mail server.

        Raises `PermissionDenied`, `MailServerNotFound`, `PreconditionFailed`, and `DefaultMailServerInUse` if it
        was chosen as the default.
        """
        caller.require(Permission.MAIL_SERVERS_WRITE)
        async with audited(self._store, caller, Action.MAIL_SERVER_DELETE, target(ref)) as change:
            stored = found(change, await change.work.mail_servers.find(ref))
            expected.require(stored)
            # A default from before 0.4 was not chosen, so other APIs may delete it (decision 1).
            if stored.default_since is not None:
                raise DefaultMailServerInUse
            await self._delete(change, caller, stored)

    async def delete_default(self, caller: Principal, expected: Precondition = NO_PRECONDITION) -> None:
        """Remove the default server. Raises `PermissionDenied`, `MailServerNotFound`, `PreconditionFailed`."""
        caller.require(Permission.MAIL_SERVERS_WRITE)
        async with audited(self._store, caller, Action.MAIL_SERVER_DELETE, DEFAULT_SERVER) as change:
            stored = found(change, await change.work.mail_servers.find_default())
            expected.require(stored)
            await self._delete(change, caller, stored)

    async def set_enabled(
        self, caller: Principal, ref: MailServerRef, *, enabled: bool, expected: Precondition = NO_PRECONDITION
    ) -> int:
        """Enable one mail server, or disable it: it is no longer checked on schedule, and not tested.

        Return its id. Raises `PermissionDenied`, `MailServerNotFound`, `PreconditionFailed`, and
        `DefaultMailServerInUse` if it would disable the default.
        """
        caller.require(Permission.MAIL_SERVERS_WRITE)
        action = Action.MAIL_SERVER_ENABLE if enabled else Action.MAIL_SERVER_DISABLE
        async with audited(self._store, caller, action, target(ref)) as change:
            stored = found(change, await change.work.mail_servers.find(ref))
            expected.require(stored)
            await require_state(change, stored, enabled=enabled)
            if stored.enabled is not enabled:
                await change.work.mail_servers.set_enabled(stored.id, caller.name, enabled=enabled)
                await change.work.mail_servers.forget_versions(stored.id, self._max_versions)
            return stored.id

    async def set_default(
        self, caller: Principal, ref: MailServerRef, expected: Precondition = NO_PRECONDITION
    ) -> int:
        """Make one mail server the default, in place of any other, if the default so far meets *expected*.

        Return its id. Raises `PermissionDenied`, `MailServerNotFound`, `MailServerDisabled`, `PreconditionFailed`.
        """
        caller.require(Permission.MAIL_SERVERS_WRITE)
        async with audited(self._store, caller, Action.MAIL_SERVER_SET_DEFAULT, target(ref)) as change:
            stored = found(change, await change.work.mail_servers.find(ref))
            # The precondition is about the resource of the request: the default so far.
            expected.require(await change.work.mail_servers.find_default())
            if not stored.enabled:
                raise MailServerDisabled
            await self._choose_default(change, stored.id)
            return stored.id

    async def clear_default(self, caller: Principal, expected: Precondition = NO_PRECONDITION) -> None:
        """Leave no default; the mail server stays.

        Raises `PermissionDenied`, `MailServerNotFound`, `PreconditionFailed`.
        """
        caller.require(Permission.MAIL_SERVERS_WRITE)
        async with audited(self._store, caller, Action.MAIL_SERVER_CLEAR_DEFAULT, DEFAULT_SERVER) as change:
            stored = found(change, await change.work.mail_servers.find_default())
            expected.require(stored)
            await self._choose_default(change, None)

    async def _choose_default(self, change: AuditedChange, server_id: int | None) -> None:
        before = await change.work.mail_servers.find_default()
        change.details["default"] = {"before": before.id if before else None, "after": server_id}
        if before is None or before.id != server_id or before.default_since is None:
            await change.work.mail_servers.choose_default(server_id)

    async def _replace(
        self, change: AuditedChange, caller: Principal, stored: StoredMailServer, wanted: Replacement
    ) -> None:
        server = wanted.onto(stored.server)
        change.note_difference(stored.server, server)
        await require_state(change, stored, name=wanted.name, enabled=wanted.enabled)
        note_creation(change, caller, stored)
        await change.work.mail_servers.replace(
            stored.id, server, caller.name, stored, name=wanted.name, enabled=wanted.enabled
        )
        await change.work.mail_servers.forget_versions(stored.id, self._max_versions)

    async def _delete(self, change: AuditedChange, caller: Principal, stored: StoredMailServer) -> None:
        change.note_difference(stored.server, None)
        change.details[Setting.NAME] = {"before": stored.name, "after": None}
        note_creation(change, caller, stored)
        await change.work.mail_servers.delete(stored.id, caller.name)
        await change.work.mail_servers.forget_removed(self._max_versions)
