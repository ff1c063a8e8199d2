"""The audit log: each entry is written in the transaction of the change it records; readers verify the chain."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from mailsettings.domain.access import Permission, Principal
from mailsettings.domain.audit_log import Action, AuditEntry, AuditOutcome, AuditRecord
from mailsettings.domain.audit_witness import AuditLogCheck, WitnessedEntry, WitnessUnreadable
from mailsettings.domain.errors import MailSettingsError, StoreUnavailable
from mailsettings.domain.history import difference
from mailsettings.domain.mail_server import MailServer
from mailsettings.store.transaction import Transaction
from mailsettings.store.transactions import SQLStore

ENTRIES_PER_PAGE = 500


@dataclass(frozen=True, slots=True)
class AuditLogVerdict:
    """What became of the check: the number and the hash of the last entry, and the first problem, if any."""

    sequence: int
    mac: bytes
    problem: str | None


async def _nothing() -> None:
    """Where there is no witness."""


class ReadAuditLog:
    """The audit log, as a principal may see it; *noted* is what its witness knows."""

    def __init__(self, store: SQLStore, noted: Callable[[], Awaitable[WitnessedEntry | None]] = _nothing) -> None:
        self._store = store
        self._noted = noted

    async def page(
        self, caller: Principal, after: int = 0, limit: int = ENTRIES_PER_PAGE, since: str = ""
    ) -> Sequence[AuditEntry]:
        """At most *limit* entries behind number *after*, none before *since*. Raises `PermissionDenied`."""
        caller.require(Permission.AUDIT_READ)
        async with self._store.reading() as view:
            return await view.audit.entries(after, limit, since)

    async def all(self, caller: Principal, since: str = "") -> AsyncIterator[AuditEntry]:
        """Every entry, none before *since*. Raises `PermissionDenied`."""
        after = 0
        while page := await self.page(caller, after, since=since):
            for entry in page:
                yield entry
            after = page[-1].sequence

    async def verify(self, caller: Principal, seen_before: WitnessedEntry | None = None) -> AuditLogVerdict:
        """Whether anything was removed, altered or reordered. Raises `PermissionDenied`, `SecretUnreadable`.

        The log has to have what its witness knows, and *seen_before*.
        """
        caller.require(Permission.AUDIT_READ)
        unreadable: str | None = None
        noted: WitnessedEntry | None = None
        try:
            noted = await self._noted()  # first: whatever it has is in the log by now
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
    """A change under way: the transaction to make it in, and what will be said of it.

    `replayed` means that it was made before, and told of then.
    """

    work: Transaction
    action: Action
    target: str | None
    details: dict[str, object] = field(default_factory=dict)
    replayed: bool = False

    async def write(self, caller: Principal) -> None:
        """Put the entry into the transaction, unless there is one already."""
        if self.replayed:
            return
        record = AuditRecord(caller.name, caller.origin, self.action, self.target, AuditOutcome.DONE, self.details)
        await self.work.audit.append(record)

    def note_difference(self, before: MailServer | None, after: MailServer | None) -> None:
        """Say which settings of a mail server changed, secrets by their labels."""
        self.details.update(difference(before, after))


@asynccontextmanager
async def audited(
    store: SQLStore, caller: Principal, action: Action, target: str | None = None
) -> AsyncIterator[AuditedChange]:
    """A transaction that is committed together with its entry; what the domain refuses gets an entry too."""
    try:
        async with store.writing() as work:
            change = AuditedChange(work, action, target)
            yield change
            await change.write(caller)
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
    """An entry about something that changed nothing here."""
    async with store.writing() as work:
        await work.audit.append(AuditRecord(caller.name, caller.origin, action, target, outcome, details))


def error_name(error: MailSettingsError) -> str:
    """What went wrong in a word; the sentence may name what the caller sent."""
    return type(error).__name__
