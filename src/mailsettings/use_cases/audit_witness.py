"""The witness of the audit log: a record of its last entry outside the database, which reveals a cut-off end.

The witness follows the log shortly after each commit, outside of requests, and records only committed entries. So
after a crash or with several replicas it may be behind the log, but never ahead: if the log lacks the witnessed
entry, the log was cut, replaced by an older copy, or lost entries in a fail-over. The process logs that once, and
the witness stays unchanged until an operator accepts the log as it is now. Writing to the log continues.
"""

import asyncio
import logging
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass

from mailsettings.domain.access import Principal
from mailsettings.domain.audit_log import (
    Action,
    AuditEntry,
    AuditHead,
    AuditOutcome,
    AuditRecord,
    WitnessedEntry,
    WitnessUnreadable,
    WitnessUnwritable,
)
from mailsettings.domain.errors import StoreUnavailable
from mailsettings.store.audit_log import SQLAuditLog
from mailsettings.store.audit_witness import WitnessFile
from mailsettings.store.database import SQLStore

PAUSE_SECONDS = 0.5
"""The delay between an entry and its record; it batches entries, because each record flushes the disk twice."""
REMEDY = (
    "After a restored backup, a fail-over or a deliberate reset, run: mailsettings audit accept. "
    "Otherwise entries were removed, or an older copy of the database was put back."
)
_log = logging.getLogger("mailsettings.audit")


@dataclass(frozen=True, slots=True)
class AcceptedLog:
    """The entry that is recorded now, and the previous one (None: it could not be read)."""

    before: WitnessedEntry | None
    now: WitnessedEntry


class AuditWitness:
    """The witness in one data directory, maintained by one process."""

    def __init__(self, store: SQLStore, file: WitnessFile, pause_seconds: float = PAUSE_SECONDS) -> None:
        self._store = store
        self._file = file
        self._pause_seconds = pause_seconds
        self._latest: WitnessedEntry | None = None
        self._following: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._reported: set[object] = set()

    async def noted(self) -> WitnessedEntry | None:
        """Return the recorded entry. Raises `WitnessUnreadable`."""
        return await asyncio.to_thread(self._file.read)

    def appended(self, entry: AuditEntry) -> None:
        """Record *entry*, which was committed, soon."""
        self._latest = WitnessedEntry(entry.sequence, entry.mac)
        if self._following is None or self._following.done():
            # In a context of its own, because its log lines do not belong to the current request.
            self._following = asyncio.get_running_loop().create_task(self._follow(), context=Context())

    async def look(self) -> None:
        """Compare log and witness when a process starts; let the witness catch up. Raises `StoreUnavailable`."""
        async with self._store.reading() as view:
            head = await _sealed_head(view.audit)
        await self._bring_to(WitnessedEntry(head.sequence, head.mac) if head else None)

    async def problem(self) -> str | None:
        """Return how the log contradicts the witness. The caller reports it, so it is not logged again."""
        try:
            known = await self.noted()
        except WitnessUnreadable as unreadable:
            self._reported.add(str(unreadable))
            return str(unreadable)
        self._reported.add(known)
        return None if known is None else await self._contradiction(known)

    async def accept(self, caller: Principal) -> AcceptedLog | None:
        """Record the log's current end in the witness and in the audit log; return None if they already agree.

        Raises `WitnessUnwritable`, `StoreUnavailable`.
        """
        if await self.problem() is None:
            return None
        before: WitnessedEntry | None = None
        with suppress(WitnessUnreadable):
            before = await self.noted()
        now = await self._append(caller, before)
        await asyncio.to_thread(self._file.put, now)
        return AcceptedLog(before, now)

    async def _append(self, caller: Principal, before: WitnessedEntry | None) -> WitnessedEntry:
        """Write an audit entry about the acceptance, with the recorded entry and the end that was found."""
        async with self._store.reading() as view:
            head = await view.audit.head()
        found = WitnessedEntry(head.sequence, head.mac) if head else None
        details = {"noted": str(before or "unreadable"), "found": str(found or "nothing")}
        record = AuditRecord(caller.name, caller.origin, Action.AUDIT_ACCEPT, None, AuditOutcome.DONE, details)
        async with self._store.writing() as work:
            entry = await work.audit.append(record)
        return WitnessedEntry(entry.sequence, entry.mac)

    async def close(self) -> None:
        """Record the last entry before the process ends."""
        self._closing.set()
        if self._following is not None:
            await asyncio.wait({self._following})

    async def _follow(self) -> None:
        while self._latest is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause_seconds):
                    await self._closing.wait()
            latest, self._latest = self._latest, None
            with suppress(StoreUnavailable):  # the witness catches up with the next entry or at the next start
                await self._bring_to(latest)

    async def _bring_to(self, latest: WitnessedEntry | None) -> None:
        """Record *latest*, unless the log contradicts the recorded entry. Log each problem once."""
        try:
            while not await self._is_noted(latest):
                pass  # another process was quicker: compare with its record
        except WitnessUnreadable as unreadable:
            self._report(str(unreadable), str(unreadable))
        except WitnessUnwritable as unwritable:
            level = logging.INFO if unwritable.expected else logging.WARNING
            self._report(
                str(unwritable), f"Only this log has the last entry of the audit log. {unwritable}", level
            )

    async def _is_noted(self, latest: WitnessedEntry | None) -> bool:
        known = await self.noted()
        contradiction = None if known is None else await self._contradiction(known)
        if contradiction is not None:
            self._report(known, f"The audit log was changed. {contradiction}")
            return True
        if latest is None or (known is not None and known.sequence >= latest.sequence):
            return True
        return await asyncio.to_thread(self._file.replace, known, latest)

    async def _contradiction(self, known: WitnessedEntry) -> str | None:
        async with self._store.reading() as view:
            found = await view.audit.entries(known.sequence - 1, 1)
            head = await view.audit.head()
        if not found:
            return known.missing(head.sequence if head else 0)
        if found[0].sequence != known.sequence:
            return f"Entry {known.sequence} is missing."
        return known.differs(found[0])

    def _report(self, about: object, problem: str, level: int = logging.ERROR) -> None:
        if about not in self._reported:
            self._reported.add(about)
            _log.log(level, "%s", problem if level < logging.ERROR else f"{problem} {REMEDY}")


async def _sealed_head(audit: SQLAuditLog) -> AuditHead | None:
    """Return the head of the log if it was made with the log's key and the log is not empty."""
    chain, head = await audit.chain(), await audit.head()
    return head if chain is not None and head is not None and head.sequence and chain.sealed(head) else None
