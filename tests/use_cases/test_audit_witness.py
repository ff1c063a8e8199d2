"""The witness of the audit log while other processes record entries too."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mailsettings.domain.audit_log import WitnessedEntry
from mailsettings.store.audit_witness import WitnessFile
from mailsettings.use_cases.audit_witness import AuditWitness


class SharedFile(WitnessFile):
    """A witness file that another process changes once between our look and our note."""

    def __init__(self) -> None:
        super().__init__(Path("nowhere"))
        self.tries: list[WitnessedEntry] = []

    def read(self) -> WitnessedEntry | None:
        return None

    def replace(self, expected: WitnessedEntry | None, new: WitnessedEntry) -> bool:
        assert expected is None
        self.tries.append(new)
        return len(self.tries) > 1

    def put(self, new: WitnessedEntry) -> None:
        raise AssertionError(new)


async def test_a_concurrent_process_makes_the_witness_compare_again() -> None:
    file, nothing_stored = SharedFile(), SimpleNamespace()
    store: Any = nothing_stored
    entry: Any = SimpleNamespace(sequence=7, mac=b"\x07" * 32)
    witness = AuditWitness(store, file)

    witness.appended(entry)
    await witness.close()

    assert [str(each) for each in file.tries] == [str(WitnessedEntry(7, entry.mac))] * 2


class Log:
    """A store with an audit log that continues with entry 9."""

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Any]:
        yield SimpleNamespace(audit=self)

    async def entries(self, _after: int, _limit: int) -> list[Any]:
        return [SimpleNamespace(sequence=9, mac=b"\x09" * 32)]

    async def head(self) -> Any:
        return SimpleNamespace(sequence=9)


async def test_a_removed_entry_is_named() -> None:
    file: Any = SimpleNamespace(read=lambda: WitnessedEntry(7, b"\x07" * 32))
    store: Any = Log()

    assert await AuditWitness(store, file).problem() == "Entry 7 is missing."
