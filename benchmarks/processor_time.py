"""The processor time and memory of a server, with all of its processes; Linux only."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def processor_seconds(process: int, *, ended: bool = False) -> float:
    """Return what *process* and its living descendants have used; with *ended*, also the children that ended."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    own = sum(map(int, fields[11 : 15 if ended else 13])) / _TICKS
    return own + sum(processor_seconds(child, ended=ended) for child in _children(process))


def memory_megabytes(process: int) -> float:
    """Return the memory of *process* and its descendants; pages that they share count once."""
    own = 0.0
    with suppress(OSError):
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        own = next(int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:"))
    return own + sum(map(memory_megabytes, _children(process)))


def _children(process: int) -> Iterator[int]:
    with suppress(OSError):
        yield from map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split())
