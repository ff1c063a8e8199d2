"""What a client was told about what it wrote, and how that compares with what is there."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Content = str | None
"""What is stored, by a name that is used once; None for nothing."""


@dataclass
class Written:
    """One stored mail server: what was last acknowledged, and what was tried since without a word on it."""

    acknowledged: Content
    possible: set[Content] = field(default_factory=set)

    def settle(self, content: Content) -> None:
        """It was said, by an answer to a write or to a read, that this is what is stored."""
        self.acknowledged = content
        self.possible.clear()

    def may_be(self, content: Content) -> bool:
        """Whether no answer contradicts that this is stored."""
        return content == self.acknowledged or content in self.possible


@dataclass
class Ledger:
    """Everything that one client wrote; `unheard` are contents whose creation was not answered."""

    written: dict[int, Written] = field(default_factory=dict)
    unheard: set[str] = field(default_factory=set)
    acknowledged: int = 0
    complaints: list[str] = field(default_factory=list)

    def read(self, server_id: int, found: Content) -> None:
        """A read answered with this."""
        known = self.written[server_id]
        if not known.may_be(found):
            self.complaints.append(f"{server_id}: read {found}, after {known.acknowledged} was acknowledged")
        known.settle(found)

    def lost(self, stored: Mapping[int, str]) -> list[str]:
        """What was acknowledged and is not in *stored*."""
        return [
            f"{server_id}: {stored.get(server_id)} is stored, and {known.acknowledged} was acknowledged"
            for server_id, known in self.written.items()
            if not known.may_be(stored.get(server_id))
        ]


def duplicated(stored: Mapping[int, str]) -> list[str]:
    """Contents that are there more than once."""
    return [content for content, times in Counter(stored.values()).items() if times > 1]


def stray(stored: Mapping[int, str], ledgers: Sequence[Ledger]) -> list[str]:
    """What is there and was never written, or was refused."""
    known = {server_id for ledger in ledgers for server_id in ledger.written}
    unheard = set().union(*(ledger.unheard for ledger in ledgers))
    return [content for server_id, content in stored.items() if server_id not in known and content not in unheard]
