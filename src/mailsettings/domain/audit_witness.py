"""Checks whether the audit log is unchanged, also against entries that were recorded outside the database."""

import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from mailsettings.domain.audit_log import AuditChain, AuditEntry, AuditHead

_NOTED = re.compile(r"([0-9]{1,15}):((?:[0-9a-f]{2}){1,32})")


class WitnessUnreadable(Exception):
    """The record outside the database is unreadable or malformed; `str()` is one sentence."""


class WitnessUnwritable(Exception):
    """The record cannot be written; `str()` is one sentence. `expected`: the directory is read-only by design."""

    def __init__(self, problem: str, *, expected: bool = False) -> None:
        super().__init__(problem)
        self.expected = expected


@dataclass(frozen=True, slots=True)
class WitnessedEntry:
    """Number and hash of an entry; the hash may be shortened. `place` says where it is recorded."""

    sequence: int
    mac: bytes
    place: str = ""

    @classmethod
    def parse(cls, text: str, place: str = "") -> Self:
        """Parse `NUMBER:HASH`. Raises `ValueError`."""
        found = _NOTED.fullmatch(text)
        if found is None:
            raise ValueError("not a number and a hash")
        return cls(int(found[1]), bytes.fromhex(found[2]), place)

    def __str__(self) -> str:
        return f"{self.sequence}:{self.mac.hex()}"

    def differs(self, entry: AuditEntry) -> str | None:
        """Return what is wrong if *entry*, which has the same number, is a different entry."""
        if hmac.compare_digest(entry.mac[: len(self.mac)], self.mac):
            return None
        return f"Entry {self.sequence} differs from the entry that {self._noted}."

    def missing(self, last: int) -> str:
        """Return the sentence that the log ends at entry *last*, before this entry."""
        return f"The log ends at entry {last}; entry {self.sequence} {self._noted}."

    @property
    def _noted(self) -> str:
        return f"is noted in {self.place}" if self.place else "was seen before"


class AuditLogCheck:
    """Checks the log entry by entry from the first; `problem` is a sentence about the first fault.

    *head* is the second record of the last entry, *seen* are entries recorded outside the database. The log may
    grow while it is read, so entries after the head are not a fault.
    """

    def __init__(self, chain: AuditChain, head: AuditHead | None, seen: Sequence[WitnessedEntry] = ()) -> None:
        self._chain = chain
        self._head = head
        self._seen = seen
        self.sequence = 0
        self.mac = b""
        self.problem: str | None = None

    def take(self, entries: Iterable[AuditEntry]) -> None:
        """Check the next entries, in the order of their numbers; after a problem, ignore them."""
        for entry in entries:
            if self.problem is None:
                self.problem = self._problem_of(entry)
                self.sequence, self.mac = entry.sequence, entry.mac

    def end(self) -> None:
        """Check what can be checked only after the last entry."""
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
            return "The record of the last entry is missing or was altered."
        if head.sequence > self.sequence:
            return f"The log ends at entry {self.sequence}; {head.sequence} entries were written."
        return None


def _difference(seen: WitnessedEntry, entry: AuditEntry) -> str | None:
    return seen.differs(entry) if seen.sequence == entry.sequence else None
