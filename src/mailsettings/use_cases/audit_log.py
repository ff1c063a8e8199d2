"""Reading the audit log, and finding out whether it is the one that was written."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from mailsettings.domain.access import Permission, Principal
from mailsettings.domain.audit_log import AuditEntry
from mailsettings.domain.audit_witness import AuditLogCheck
from mailsettings.domain.seen_entry import WitnessedEntry, WitnessUnreadable
from mailsettings.use_cases.ports import Store

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

    def __init__(self, store: Store, noted: Callable[[], Awaitable[WitnessedEntry | None]] = _nothing) -> None:
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
