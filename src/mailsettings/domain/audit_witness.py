"""Reading the audit log back critically: whether it is the one that was written."""

import hmac
from collections.abc import Iterable, Sequence

from mailsettings.domain.audit_log import AuditChain, AuditEntry, AuditHead
from mailsettings.domain.seen_entry import WitnessedEntry


class AuditLogCheck:
    """Goes along the log from its first entry; `problem` is the first thing found wrong, in a sentence.

    *head* is what was written down about the last entry, *seen* what was noted outside the database. The log may
    grow while it is read, so more entries than the head tells of are no fault.
    """

    def __init__(self, chain: AuditChain, head: AuditHead | None, seen: Sequence[WitnessedEntry] = ()) -> None:
        self._chain = chain
        self._head = head
        self._seen = seen
        self.sequence = 0
        self.mac = b""
        self.problem: str | None = None

    def take(self, entries: Iterable[AuditEntry]) -> None:
        """The next entries, in the order of their numbers; nothing is looked at after a problem."""
        for entry in entries:
            if self.problem is None:
                self.problem = self._problem_of(entry)
                self.sequence, self.mac = entry.sequence, entry.mac

    def end(self) -> None:
        """There are no more entries."""
        if self.problem is None:
            self.problem = self._problem_at_end()

    def _problem_of(self, entry: AuditEntry) -> str | None:
        if entry.sequence != self.sequence + 1:
            return f"Entry {self.sequence + 1} is missing."
        mac = self._chain.mac(self.mac, entry.sequence, entry.at, entry.record)
        if not hmac.compare_digest(mac, entry.mac):
            return f"Entry {entry.sequence} was altered or moved."
        return next((problem for seen in self._seen if (problem := _difference(seen, entry))), None)

    def _problem_at_end(self) -> str | None:
        head = self._head
        for seen in self._seen:
            if seen.sequence > self.sequence:
                return seen.missing(self.sequence)
        if head is None or not self._chain.sealed(head):
            return "The note about the last entry is missing or was altered."
        if head.sequence > self.sequence:
            return f"The log ends at entry {self.sequence}; {head.sequence} entries were written."
        return None


def _difference(seen: WitnessedEntry, entry: AuditEntry) -> str | None:
    return seen.differs(entry) if seen.sequence == entry.sequence else None
