"""An entry of the audit log as it was noted outside the database, and what a log says that contradicts it."""

import hmac
import re
from dataclasses import dataclass
from typing import Self

from mailsettings.domain.audit_log import AuditEntry

_NOTED = re.compile(r"([0-9]{1,15}):((?:[0-9a-f]{2}){1,32})")


class WitnessUnreadable(Exception):
    """What is noted outside the database cannot be read, or is something else; `str()` is one sentence."""


class WitnessUnwritable(Exception):
    """Nothing can be noted there; `str()` is one sentence. `expected`: the directory is not for writing."""

    def __init__(self, problem: str, *, expected: bool = False) -> None:
        super().__init__(problem)
        self.expected = expected


@dataclass(frozen=True, slots=True)
class WitnessedEntry:
    """Number and hash of an entry; the hash may be shortened. `place` says where it is noted."""

    sequence: int
    mac: bytes
    place: str = ""

    @classmethod
    def parse(cls, text: str, place: str = "") -> Self:
        """Read `NUMBER:HASH`. Raises `ValueError`."""
        found = _NOTED.fullmatch(text)
        if found is None:
            raise ValueError("not a number and a hash")
        return cls(int(found[1]), bytes.fromhex(found[2]), place)

    def __str__(self) -> str:
        return f"{self.sequence}:{self.mac.hex()}"

    def differs(self, entry: AuditEntry) -> str | None:
        """Say what is wrong where *entry*, which has the same number, is another one."""
        if hmac.compare_digest(entry.mac[: len(self.mac)], self.mac):
            return None
        return f"Entry {self.sequence} is not the one that {self._noted}."

    def missing(self, last: int) -> str:
        """Say that the log ends at entry *last*, before this one."""
        return f"The log ends at entry {last}; entry {self.sequence} {self._noted}."

    @property
    def _noted(self) -> str:
        return f"is noted in {self.place}" if self.place else "was seen before"
