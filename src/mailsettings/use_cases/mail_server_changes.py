"""The parts of a change of a mail server: what it finds, what it must not do, and what its audit entry says."""

from mailsettings.domain.access import Principal
from mailsettings.domain.change import Replacement
from mailsettings.domain.errors import DefaultMailServerInUse, MailServerNotFound, NameTaken
from mailsettings.domain.mail_server import Revision, StoredMailServer
from mailsettings.domain.naming import MailServerRef, is_slug, require_server_name
from mailsettings.domain.setting import Setting
from mailsettings.store.mail_servers import SQLMailServers
from mailsettings.store.transaction import Transaction
from mailsettings.use_cases.audit_log import AuditedChange

DEFAULT_SERVER = "default mail server"


def target(ref: MailServerRef | None) -> str:
    """Return what the audit log calls the mail server of this id or name, or (None) the default one."""
    if ref is None:
        return DEFAULT_SERVER
    # A text that cannot be a name may be anything, even a mistyped password.
    return f"mail-server:{ref}" if isinstance(ref, int) or is_slug(ref) else "mail-server"


def note_creation(change: AuditedChange, caller: Principal, stored: StoredMailServer) -> None:
    """Audit who created the replaced or removed server, and through which API, if that was another API.

    A caller of an API with a single server may not know that another API lists the same server.
    """
    creation = stored.creation
    if creation.through is not None and creation.through != caller.origin.api:
        change.details["created"] = {"by": creation.by, "through": creation.through}


async def add(change: AuditedChange, caller: Principal, wanted: Replacement, *, as_default: bool = False) -> int:
    """Store a new mail server and return its id. Raises what `Replacement.onto` raises, and `NameTaken`."""
    server, servers = wanted.onto(None), change.work.mail_servers
    if wanted.name is not None:
        await _require_free_name(servers, wanted.name, None)
        change.details[Setting.NAME] = {"before": None, "after": wanted.name}
    server_id = await servers.add(
        server,
        caller.name,
        caller.origin.api,
        name=wanted.name,
        enabled=wanted.enabled is not False,
        as_default=as_default,
    )
    change.target = target(server_id)
    change.note_difference(None, server)
    return server_id


def existing(stored: StoredMailServer | None) -> StoredMailServer:
    """Return *stored*. Raises `MailServerNotFound` for None."""
    if stored is None:
        raise MailServerNotFound
    return stored


def found(change: AuditedChange, stored: StoredMailServer | None) -> StoredMailServer:
    """Return *stored*, as the target of the change. Raises `MailServerNotFound` for None."""
    there = existing(stored)
    change.target = target(there.id)
    return there


async def require_state(
    change: AuditedChange, stored: StoredMailServer, *, name: str | None = None, enabled: bool | None = None
) -> None:
    """Note the new name and state of a mail server (None: they stay) for the audit entry.

    Raises `InvalidSetting`, `NameTaken`, and `DefaultMailServerInUse` if the default would be disabled.
    """
    if enabled is False and stored.is_default:
        raise DefaultMailServerInUse
    if name is not None and name != stored.name:
        await _require_free_name(change.work.mail_servers, name, stored.id)
        change.details[Setting.NAME] = {"before": stored.name, "after": name}
    if enabled is not None and enabled is not stored.enabled:
        change.details[Setting.ENABLED] = {"before": stored.enabled, "after": enabled}


async def _require_free_name(servers: SQLMailServers, name: str, server_id: int | None) -> None:
    require_server_name(name, server_id)
    taken = await servers.find(name)
    if taken is not None and taken.id != server_id:
        raise NameTaken


async def last_removal(work: Transaction, stored: StoredMailServer | None) -> Revision | None:
    """Return who removed the last default server and when, if none is stored."""
    removed = None if stored else await work.mail_servers.removed_default()
    return removed.revision if removed else None
