"""Checks that all reads and writes of one register fit into one order that respects their times.

All written values differ. So the operations of one value, its write and its reads, form a zone between the first
response and the last invocation among them. Gibbons and Korach ("Testing Shared Memories", SIAM Journal on
Computing 26, 1997, section 4) proved that the history is linearizable if and only if

- no read returns a value that was never written, or ends before the write of its value began;
- no two forward zones (the first response before the last invocation) overlap;
- no backward zone lies within a forward zone.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

INITIALLY = float("-inf")
NEVER = float("inf")


@dataclass(frozen=True)
class Operation:
    """A write, or a read that returned *value*, between two times; a write without an answer ends `NEVER`."""

    is_write: bool
    value: str
    began: float
    ended: float


@dataclass(frozen=True)
class Zone:
    """When the register held a value for certain (forward), or at some time in between (backward)."""

    value: str
    first_response: float
    last_invocation: float

    @property
    def forward(self) -> bool:
        return self.first_response < self.last_invocation


def violations(initial: str, history: Iterable[Operation]) -> list[str]:
    """Return what contradicts a register, in words."""
    by_value: dict[str, list[Operation]] = defaultdict(list)
    by_value[initial].append(Operation(is_write=True, value=initial, began=INITIALLY, ended=INITIALLY))
    for operation in history:
        by_value[operation.value].append(operation)
    zones = [
        Zone(value, min(each.ended for each in operations), max(each.began for each in operations))
        for value, operations in by_value.items()
    ]
    return [*_impossible_reads(by_value), *_overlaps(zones)]


def _impossible_reads(by_value: dict[str, list[Operation]]) -> Iterator[str]:
    for value, operations in by_value.items():
        writes = [each.began for each in operations if each.is_write]
        if len(writes) != 1:
            yield f"{value} was written {len(writes)} times"
        elif min(each.ended for each in operations) < writes[0]:
            yield f"{value} was read before it was written"


def _overlaps(zones: list[Zone]) -> Iterator[str]:
    forward = sorted((zone for zone in zones if zone.forward), key=lambda zone: zone.first_response)
    for before, after in pairwise(forward):
        if after.first_response < before.last_invocation:
            yield f"{before.value} and {after.value} were both current"
    for zone in zones:
        if not zone.forward:
            for other in forward:
                if other.first_response < zone.last_invocation and zone.first_response < other.last_invocation:
                    yield f"{zone.value} came and went while {other.value} was current"
