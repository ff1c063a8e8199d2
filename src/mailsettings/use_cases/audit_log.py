"""The audit log: each entry is written in the transaction of the change it records; readers verify the chain."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from mailsettings.domain.access import Permission, Principal
from mailsettings.domain.audit_log import (
    Action,
    AuditEntry,
    AuditFilter,
    AuditLogCheck,
    AuditOutcome,
    AuditRecord,
    WitnessedEntry,
    WitnessUnreadable,
)
from mailsettings.domain.change import difference
from mailsettings.domain.errors import MailSettingsError, StoreUnavailable
from mailsettings.domain.mail_server import MailServer
from mailsettings.store.database import SQLStore
from mailsettings.store.transaction import Transaction

ENTRIES_PER_PAGE = 500


@dataclass(frozen=True, slots=True)
class AuditLogVerdict:
    """The result of a check: number and hash of the last entry, and the first problem, if any."""

    sequence: int
    mac: bytes
    problem: str | None


async def _nothing() -> None:
    """Return no entry, for a service without a witness."""


class ReadAuditLog:
    """Reads the audit log for a principal; *noted* returns the entry that its witness recorded."""

    def __init__(self, store: SQLStore, noted: Callable[[], Awaitable[WitnessedEntry | None]] = _nothing) -> None:
        self._store = store
        self._noted = noted

    async def page(
        self, caller: Principal, after: int = 0, limit: int = ENTRIES_PER_PAGE, since: str = ""
    ) -> Sequence[AuditEntry]:
        """Return at most *limit* entries after number *after* and not before *since*.

        Raises `PermissionDenied`.
        """
        caller.require(Permission.AUDIT_READ)
        async with self._store.reading() as view:
            return await view.audit.entries(after, limit, since)

    async def newest(
        self, caller: Principal, wanted: AuditFilter, before: int | None = None, limit: int = ENTRIES_PER_PAGE
    ) -> Sequence[AuditEntry]:
        """Return at most *limit* entries of *wanted*, newest first, after entry *before* in this order.

        Raises `PermissionDenied`.
        """
        caller.require(Permission.AUDIT_READ)
        async with self._store.reading() as view:
            return await view.audit.newest(wanted, before, limit)

    async def all(self, caller: Principal, since: str = "") -> AsyncIterator[AuditEntry]:
        """Yield every entry that is not before *since*. Raises `PermissionDenied`."""
        after = 0
        while page := await self.page(caller, after, since=since):
            for entry in page:
                yield entry
            after = page[-1].sequence

    async def verify(self, caller: Principal, seen_before: WitnessedEntry | None = None) -> AuditLogVerdict:
        """Check whether entries were removed, altered or reordered. Raises `PermissionDenied`, `SecretUnreadable`.

        The log must contain the entry of its witness, and *seen_before*.
        """
        caller.require(Permission.AUDIT_READ)
        unreadable: str | None = None
        noted: WitnessedEntry | None = None
        try:
            noted = await self._noted()  # before the log: the witness only has entries that the log already has
        except WitnessUnreadable as problem:
            unreadable = str(problem)
        verdict = await self._verify(caller, [seen for seen in (seen_before, noted) if seen is not None])
        return replace(verdict, problem=verdict.problem or unreadable)

    async def _verify(self, caller: Principal, seen: Sequence[WitnessedEntry]) -> AuditLogVerdict:
        async with self._store.reading() as view:
            chain, head = await view.audit.chain(), await view.audit.head()
        if chain is None:
            return AuditLogVerdict(0, b"", await self._problem_without_key(caller, seen))
        check = AuditLogCheck(chain, head, seen)
        async for entry in self.all(caller):
            check.take([entry])
        check.end()
        return AuditLogVerdict(check.sequence, check.mac, check.problem)

    async def _problem_without_key(self, caller: Principal, seen: Sequence[WitnessedEntry]) -> str | None:
        if await self.page(caller, limit=1):
            return "The key of the log is missing."
        return seen[0].missing(0) if seen else None


@dataclass
class AuditedChange:
    """A change in progress: its transaction, and the content of its audit entry.

    `replayed` means that an earlier request made the change and wrote the entry.
    """

    work: Transaction
    action: Action
    target: str | None
    details: dict[str, object] = field(default_factory=dict)
    replayed: bool = False

    async def write(self, caller: Principal) -> None:
        """Write the entry in the transaction, unless an earlier request wrote it."""
        if self.replayed:
            return
        record = AuditRecord(caller.name, caller.origin, self.action, self.target, AuditOutcome.DONE, self.details)
        await self.work.audit.append(record)

    def note_difference(self, before: MailServer | None, after: MailServer | None) -> None:
        """Record which settings of a mail server changed, secrets by their labels."""
        self.details.update(difference(before, after))


@asynccontextmanager
async def audited(
    store: SQLStore, caller: Principal, action: Action, target: str | None = None
) -> AsyncIterator[AuditedChange]:
    """Run a transaction that is committed together with its audit entry; record what the domain refuses, too."""
    try:
        async with store.writing() as work:
            change = AuditedChange(work, action, target)
            yield change
            await change.write(caller)
    # Without a database there is no audit log to write to.
    except StoreUnavailable:
        raise
    except MailSettingsError as refused:
        await write_audit_entry(
            store, caller, action, target, AuditOutcome.REFUSED, {"problem": error_name(refused)}
        )
        raise


async def write_audit_entry(  # noqa: PLR0913, PLR0917  # the parts of a record
    store: SQLStore,
    caller: Principal,
    action: Action,
    target: str | None,
    outcome: AuditOutcome,
    details: Mapping[str, object],
) -> None:
    """Write an audit entry in a transaction of its own, about an action that changed nothing in the database."""
    async with store.writing() as work:
        await work.audit.append(AuditRecord(caller.name, caller.origin, action, target, outcome, details))


def error_name(error: MailSettingsError) -> str:
    """Return the name of the error, because its sentence may contain what the caller sent."""
    return type(error).__name__
