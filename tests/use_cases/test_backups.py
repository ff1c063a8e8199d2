"""Backups as a use case: what is told of them, and what becomes of a file that nothing is told of."""

from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mailsettings.domain.access import Origin, Permission, Principal
from mailsettings.domain.audit_log import Action, AuditOutcome
from mailsettings.domain.backup import Backup, BackupNotWritten, CopyResult, DatabaseNotEmpty
from mailsettings.domain.errors import StoreUnavailable
from mailsettings.domain.secret import Secret
from mailsettings.use_cases.backups import LINES_PER_BATCH, ManageBackups

from support.fakes import InMemoryAuditLog, InMemoryStore

ALICE = Principal("alice", frozenset(Permission), Origin())
PATH = Path("b")
COPIED = CopyResult(7, ["mail_servers|2|sealed_secret"])
DETAILS = {"rows": 7, "unreadable": 1}
Entry = tuple[str, str | None, str, dict[str, object]]


@dataclass
class Lines:
    """A database of so many lines, and how many entries the log had when the first was asked for."""

    store: "FillableStore"
    count: int = LINES_PER_BATCH + 1
    copied: CopyResult = COPIED
    entries_before: int = 0
    ended: bool = False

    def lines(self, backup_id: str, made_at: str) -> Generator[bytes]:
        self.entries_before = len(self.store.audit.records)
        try:
            yield f"{backup_id} {made_at}\n".encode()
            for number in range(self.count):
                yield f"{number}\n".encode()
        finally:
            self.ended = True


@dataclass
class Files:
    """Files in memory; `full` is the disk."""

    written: bytes = b""
    published: bool = False
    full: bool = False

    @contextmanager
    def __call__(self, path: Path, passphrase: Secret, /) -> Iterator["Files"]:
        assert (path, passphrase.reveal()) == (PATH, "passphrase")
        try:
            yield self
        except BaseException:
            self.published = False
            raise

    def write(self, lines: bytes) -> None:
        if self.full:
            raise BackupNotWritten("full")
        self.written += lines

    def publish(self) -> None:
        self.published = True


@dataclass
class Restored:
    """A backup that was read."""

    about: Backup = field(default_factory=lambda: Backup("b1", "2026-11-21", "1"))


@dataclass
class FillableStore(InMemoryStore):
    """Of which everything or nothing is committed, as far as the log goes."""

    filled: list[Restored] = field(default_factory=list)
    empty: bool = True
    away_after: int = 99

    @property
    def contents(self) -> "FillableStore":
        return self

    async def fill(self, backup: Restored) -> CopyResult:
        if not self.empty:
            raise DatabaseNotEmpty
        self.filled.append(backup)
        return COPIED

    @asynccontextmanager
    async def writing(self) -> AsyncIterator["FillableStore"]:
        if len(self.audit.records) >= self.away_after:
            raise StoreUnavailable
        yield self

    def entries(self) -> list[Entry]:
        assert isinstance(self.audit, InMemoryAuditLog)
        records = self.audit.records
        return [(each.action, each.target, each.outcome, dict(each.details)) for each in records]


@dataclass
class Kept:
    store: FillableStore = field(default_factory=FillableStore)
    files: Files = field(default_factory=Files)

    def __post_init__(self) -> None:
        self.lines = Lines(self.store)
        self.backups: ManageBackups[Restored] = ManageBackups(self.store, lambda: self.lines, self.files)

    async def make(self) -> CopyResult:
        return await self.backups.make(ALICE, PATH, Secret("passphrase"))


@pytest.fixture
def kept() -> Kept:
    return Kept()


async def test_a_backup_is_told_of_before_anything_is_read_and_when_it_is_there(kept: Kept) -> None:
    copied = await kept.make()
    backup_id = kept.files.written.split()[0].decode()

    assert copied == COPIED
    assert kept.files.published
    assert kept.files.written.count(b"\n") == 1 + kept.lines.count
    assert kept.lines.entries_before == 1
    assert kept.store.entries() == [
        (Action.BACKUP_MAKE, backup_id, AuditOutcome.BEGUN, {}),
        (Action.BACKUP_MAKE, backup_id, AuditOutcome.DONE, DETAILS),
    ]
    assert {each.actor for each in kept.store.audit.records} == {"alice"}


async def test_no_two_backups_have_one_name(kept: Kept) -> None:
    await kept.make()
    await kept.make()

    assert len({target for _, target, _, _ in kept.store.entries()}) == 2


async def test_a_backup_that_cannot_be_told_of_is_not_made(kept: Kept) -> None:
    kept.store.away_after = 0
    with pytest.raises(StoreUnavailable):
        await kept.make()

    assert (kept.files.written, kept.files.published) == (b"", False)


async def test_a_backup_whose_end_cannot_be_told_of_is_taken_back(kept: Kept) -> None:
    kept.store.away_after = 1
    with pytest.raises(StoreUnavailable):
        await kept.make()

    assert kept.files.written
    assert not kept.files.published


async def test_a_disk_that_is_full_ends_the_reading_at_once(kept: Kept) -> None:
    kept.files.full = True
    with pytest.raises(BackupNotWritten, match="full"):
        await kept.make()

    assert kept.lines.ended
    assert not kept.files.published


async def test_what_was_restored_is_told_of(kept: Kept) -> None:
    backup = Restored()

    assert await kept.backups.restore(ALICE, backup) == COPIED
    assert kept.store.filled == [backup]
    assert kept.store.entries() == [(Action.BACKUP_RESTORE, "b1", AuditOutcome.DONE, DETAILS)]


async def test_what_was_not_restored_because_something_is_there_is_told_of_there(kept: Kept) -> None:
    kept.store.empty = False
    with pytest.raises(DatabaseNotEmpty, match="restore into a new one"):
        await kept.backups.restore(ALICE, Restored())

    refused = {"problem": "DatabaseNotEmpty"}
    assert kept.store.entries() == [(Action.BACKUP_RESTORE, "b1", AuditOutcome.REFUSED, refused)]
