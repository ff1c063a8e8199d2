"""The versions of mail servers, and restoring one: always as a whole, so no secret moves to another host."""

from collections.abc import Sequence
from dataclasses import replace

from mailsettings.domain.access import Permission, Principal
from mailsettings.domain.audit_log import Action
from mailsettings.domain.change import MAX_VERSIONS, NO_PRECONDITION, MailServerVersion, Precondition, find_version
from mailsettings.domain.errors import MailServerNotFound, OutcomeUnknown
from mailsettings.domain.idempotency import IdempotencyKey
from mailsettings.domain.mail_server import MailServer, StoredMailServer, state_id
from mailsettings.domain.naming import MailServerRef
from mailsettings.store.database import SQLStore
from mailsettings.store.mail_servers import SQLMailServers
from mailsettings.use_cases.audit_log import AuditedChange, audited
from mailsettings.use_cases.idempotency import run_once
from mailsettings.use_cases.mail_server_changes import target


class MailServerHistory:
    """The versions of a mail server by its id or name, or (None) of the default, even if that was removed."""

    def __init__(self, store: SQLStore, versions_kept: int = MAX_VERSIONS) -> None:
        self._store = store
        self._max_versions = versions_kept

    async def versions(self, caller: Principal, ref: MailServerRef | None) -> Sequence[MailServerVersion]:
        """Return all kept versions, the current first. Raises `PermissionDenied`, `MailServerNotFound`."""
        caller.require(Permission.MAIL_SERVERS_READ)
        async with self._store.reading() as view:
            server_id = await _resolve_id(view.mail_servers, ref)
            stored = await view.mail_servers.find(server_id)
            past = await view.mail_servers.versions(server_id)
        if stored is None and not past:
            raise MailServerNotFound
        if stored is None:
            return past
        return [_current_version(stored), *past]

    async def restore(
        self,
        caller: Principal,
        ref: MailServerRef | None,
        version: int | None,
        expected: Precondition = NO_PRECONDITION,
        idempotency_key: IdempotencyKey | None = None,
    ) -> StoredMailServer:
        """Restore the server to *version*, or (None) to its state before the last change.

        Raises `PermissionDenied`, `MailServerNotFound`, `NoSuchVersion`, `PreconditionFailed`, `SecretUnreadable`,
        `IdempotencyError`.
        """
        caller.require(Permission.MAIL_SERVERS_WRITE)
        async with audited(self._store, caller, Action.MAIL_SERVER_RESTORE, target(ref)) as change:
            state = await run_once(
                change,
                caller,
                idempotency_key,
                str,
                lambda: self._restore(change, caller, ref, version, expected),
            )
            return await _find_state(change.work.mail_servers, state)

    async def forget(self, caller: Principal, ref: MailServerRef | None) -> None:
        """Delete all earlier versions of the server. Raises `PermissionDenied`, `MailServerNotFound`."""
        caller.require(Permission.MAIL_SERVERS_WRITE)
        async with audited(self._store, caller, Action.MAIL_SERVER_FORGET, target(ref)) as change:
            server_id = await _resolve_id(change.work.mail_servers, ref)
            change.target = target(server_id)
            await change.work.mail_servers.forget_versions(server_id, 0)

    async def _restore(
        self,
        change: AuditedChange,
        caller: Principal,
        ref: MailServerRef | None,
        version: int | None,
        expected: Precondition,
    ) -> str:
        """Restore the server and return its new state id."""
        servers = change.work.mail_servers
        server_id = await _resolve_id(servers, ref)
        change.target = target(server_id)
        stored = await servers.find(server_id)
        past = await servers.versions(server_id)
        if stored is None and not past:
            raise MailServerNotFound
        expected.require(stored, past[0].revision if past else None)
        current = stored.server if stored else None
        server = find_version(past, version, current)
        change.note_difference(current, server)
        if stored is None:
            await _put_back(servers, past, server, caller)
        else:
            await servers.replace(server_id, server, caller.name, stored)
        await servers.forget_versions(server_id, self._max_versions)
        return state_id(server_id, (stored or past[0]).version + 1)


async def _put_back(
    servers: SQLMailServers, past: Sequence[MailServerVersion], server: MailServer, by: Principal
) -> None:
    """Store *server* after its removal, the first of *past*, under the name that it had."""
    last = next(one for one in past if one.server is not None)
    await servers.put_back(past[0], last, server, by.name, by.origin.api)


async def _resolve_id(servers: SQLMailServers, ref: MailServerRef | None) -> int:
    if isinstance(ref, int):
        return ref
    if ref is not None:
        return await _id_of(servers, ref)
    meant = await servers.find_default()
    if meant is not None:
        return meant.id
    removed = await servers.removed_default()
    if removed is None:
        raise MailServerNotFound
    return removed.server_id


async def _id_of(servers: SQLMailServers, name: str) -> int:
    """Return the id of the server of this name, or of the last removed server with it."""
    stored = await servers.find(name)
    removed = None if stored else await servers.removed_id(name)
    server_id = stored.id if stored else removed
    if server_id is None:
        raise MailServerNotFound
    return server_id


async def _find_state(servers: SQLMailServers, state: str) -> StoredMailServer:
    """Return the server as it was in *state*. Raises `OutcomeUnknown` if that version was deleted."""
    server_id, version = map(int, state.split("."))
    stored = await servers.find(server_id)
    if stored is not None and stored.version == version:
        return stored
    for one in await servers.versions(server_id):
        if one.version == version and one.server is not None:
            # Whether it is the default has no versions.
            base = stored or StoredMailServer(server_id, version, one.server)
            return replace(
                base,
                version=version,
                server=one.server,
                revision=one.revision,
                given_name=one.given_name,
                enabled=one.enabled,
            )
    raise OutcomeUnknown


def _current_version(stored: StoredMailServer) -> MailServerVersion:
    return MailServerVersion(
        stored.id,
        stored.version,
        stored.server,
        stored.revision,
        stored.is_default,
        stored.given_name,
        enabled=stored.enabled,
    )
