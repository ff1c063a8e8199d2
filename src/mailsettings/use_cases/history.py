"""The versions of mail servers, and restoring one: always as a whole, so no secret moves to another host."""

from collections.abc import Sequence

from mailsettings.domain.access import Permission, Principal
from mailsettings.domain.audit_log import Action
from mailsettings.domain.change import MAX_VERSIONS, NO_PRECONDITION, MailServerVersion, Precondition, find_version
from mailsettings.domain.errors import MailServerNotFound, OutcomeUnknown
from mailsettings.domain.idempotency import IdempotencyKey
from mailsettings.domain.mail_server import MailServer, StoredMailServer, state_id
from mailsettings.store.database import SQLStore
from mailsettings.store.mail_servers import SQLMailServers
from mailsettings.use_cases.audit_log import AuditedChange, audited
from mailsettings.use_cases.idempotency import run_once
from mailsettings.use_cases.mail_servers import target


class MailServerHistory:
    """The versions of a mail server by its id, or (None) of the default server, even if that was removed."""

    def __init__(self, store: SQLStore, versions_kept: int = MAX_VERSIONS) -> None:
        self._store = store
        self._max_versions = versions_kept

    async def versions(self, caller: Principal, server_id: int | None) -> Sequence[MailServerVersion]:
        """Return all kept versions, the current first. Raises `PermissionDenied`, `MailServerNotFound`."""
        caller.require(Permission.MAIL_SERVERS_READ)
        async with self._store.reading() as view:
            server_id = await _resolve_id(view.mail_servers, server_id)
            stored = await view.mail_servers.find(server_id)
            past = await view.mail_servers.versions(server_id)
            default = await view.mail_servers.find_default()
        if stored is None and not past:
            raise MailServerNotFound
        if stored is None:
            return past
        is_default = default is not None and default.id == server_id
        return [_current_version(stored, is_default=is_default), *past]

    async def restore(
        self,
        caller: Principal,
        server_id: int | None,
        version: int | None,
        expected: Precondition = NO_PRECONDITION,
        idempotency_key: IdempotencyKey | None = None,
    ) -> StoredMailServer:
        """Restore the server to *version*, or (None) to its state before the last change.

        Raises `PermissionDenied`, `MailServerNotFound`, `NoSuchVersion`, `PreconditionFailed`, `SecretUnreadable`,
        `IdempotencyError`.
        """
        caller.require(Permission.MAIL_SERVERS_WRITE)
        async with audited(self._store, caller, Action.MAIL_SERVER_RESTORE, target(server_id)) as change:
            state = await run_once(
                change,
                caller,
                idempotency_key,
                str,
                lambda: self._restore(change, caller, server_id, version, expected),
            )
            return await _find_state(change.work.mail_servers, state)

    async def forget(self, caller: Principal, server_id: int | None) -> None:
        """Delete all earlier versions of the server. Raises `PermissionDenied`, `MailServerNotFound`."""
        caller.require(Permission.MAIL_SERVERS_WRITE)
        async with audited(self._store, caller, Action.MAIL_SERVER_FORGET, target(server_id)) as change:
            server_id = await _resolve_id(change.work.mail_servers, server_id)
            change.target = target(server_id)
            await change.work.mail_servers.forget_versions(server_id, 0)

    async def _restore(
        self,
        change: AuditedChange,
        caller: Principal,
        server_id: int | None,
        version: int | None,
        expected: Precondition,
    ) -> str:
        """Restore the server and return its new state id."""
        servers = change.work.mail_servers
        server_id = await _resolve_id(servers, server_id)
        change.target = target(server_id)
        stored = await servers.find(server_id)
        past = await servers.versions(server_id)
        if stored is None and not past:
            raise MailServerNotFound
        expected.require(stored, past[0].revision if past else None)
        server = find_version(past, version)
        change.note_difference(stored.server if stored else None, server)
        return await self._put(servers, stored or past[0], server, caller)

    async def _put(
        self,
        servers: SQLMailServers,
        last: StoredMailServer | MailServerVersion,
        server: MailServer,
        by: Principal,
    ) -> str:
        """Store *server* after its *last* state, which may be its removal, and return its new state id."""
        if isinstance(last, MailServerVersion):
            server_id = last.server_id
            await servers.put_back(last, server, by.name, by.origin.api)
        else:
            server_id = last.id
            await servers.replace(server_id, server, by.name)
        await servers.forget_versions(server_id, self._max_versions)
        return state_id(server_id, last.version + 1)


async def _resolve_id(servers: SQLMailServers, server_id: int | None) -> int:
    if server_id is not None:
        return server_id
    meant = await servers.find_default()
    if meant is not None:
        return meant.id
    removed = await servers.removed_default()
    if removed is None:
        raise MailServerNotFound
    return removed.server_id


async def _find_state(servers: SQLMailServers, state: str) -> StoredMailServer:
    """Return the server as it was in *state*. Raises `OutcomeUnknown` if that version was deleted."""
    server_id, version = map(int, state.split("."))
    stored = await servers.find(server_id)
    if stored is not None and stored.version == version:
        return stored
    for one in await servers.versions(server_id):
        if one.version == version and one.server is not None:
            return StoredMailServer(server_id, version, one.server, one.revision)
    raise OutcomeUnknown


def _current_version(stored: StoredMailServer, *, is_default: bool) -> MailServerVersion:
    return MailServerVersion(stored.id, stored.version, stored.server, stored.revision, is_default)
