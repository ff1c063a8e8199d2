"""Backups are audited, and a backup that cannot be audited leaves no file."""

from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from mailsettings.domain.access import Origin, Permission, Principal
from mailsettings.domain.audit_log import Action, AuditOutcome
from mailsettings.domain.backup import BackupNotWritten, CopyResult, DatabaseNotEmpty
from mailsettings.domain.errors import StoreUnavailable
from mailsettings.domain.values import Secret
from mailsettings.store.backup.restore import verified_backup
from mailsettings.store.backup.snapshot import Snapshot
from mailsettings.store.backup.writer import NewBackup
from mailsettings.store.transaction import Transaction
from mailsettings.use_cases.backups import LINES_PER_BATCH, ManageBackups

from support.backups import PASSPHRASE, Place
from support.databases import LocalStore, new_file, records

ALICE = Principal("alice", frozenset(Permission), Origin())
PATH = Path("b")
COPIED = CopyResult(7, ["mail_servers|2|sealed_secret"])
DETAILS = {"rows": 7, "unreadable": 1}
Entry = tuple[str, str | None, str, dict[str, object]]


class Lines(Snapshot):
    """A database of so many lines; `writes_before` is how often was written before the first was read."""

    def __init__(self, store: "CountedStore") -> None:
        self.store = store
        self.count = LINES_PER_BATCH + 1
        self.writes_before = 0
        self.ended = False

    @property
    def copied(self) -> CopyResult:
        return COPIED

    def lines(self, backup_id: str, made_at: str) -> Generator[bytes]:
        self.writes_before = self.store.writes
        try:
            yield f"{backup_id} {made_at}\n".encode()
            for number in range(self.count):
                yield f"{number}\n".encode()
        finally:
            self.ended = True


class MemoryFile(NewBackup):
    """A file in memory; `full` is the disk."""

    def __init__(self) -> None:
        self.written = b""
        self.published = self.full = False

    @contextmanager
    def open(self, path: Path, passphrase: Secret, /) -> Iterator["MemoryFile"]:
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


class CountedStore(LocalStore):
    """A store that goes away after so many writes."""

    writes = 0
    away_after = 99

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Transaction]:
        if self.writes >= self.away_after:
            raise StoreUnavailable
        async with super().writing() as work:
            yield work
        self.writes += 1


class Kept:
    def __init__(self, store: CountedStore) -> None:
        self.store = store
        self.file = MemoryFile()
        self.lines = Lines(store)
        self.backups = ManageBackups(store, lambda: self.lines, self.file.open)

    async def make(self) -> CopyResult:
        return await self.backups.make(ALICE, PATH, Secret("passphrase"))

    async def entries(self) -> list[Entry]:
        found = await records(self.store)
        return [(each.action, each.target, each.outcome, dict(each.details)) for each in found]


@pytest.fixture
async def kept(sqlite_url: str) -> AsyncIterator[Kept]:
    store = CountedStore(sqlite_url)
    yield Kept(store)
    await store.close()


async def test_backup_is_audited_before_and_after_it_is_made(kept: Kept) -> None:
    copied = await kept.make()
    backup_id = kept.file.written.split()[0].decode()

    assert copied == COPIED
    assert kept.file.published
    assert kept.file.written.count(b"\n") == 1 + kept.lines.count
    assert kept.lines.writes_before == 1
    assert await kept.entries() == [
        (Action.BACKUP_MAKE, backup_id, AuditOutcome.BEGUN, {}),
        (Action.BACKUP_MAKE, backup_id, AuditOutcome.DONE, DETAILS),
    ]
    assert {each.actor for each in await records(kept.store)} == {"alice"}


async def test_no_two_backups_have_the_same_id(kept: Kept) -> None:
    await kept.make()
    await kept.make()

    assert len({target for _, target, _, _ in await kept.entries()}) == 2


async def test_a_backup_that_cannot_be_audited_is_not_made(kept: Kept) -> None:
    kept.store.away_after = 0
    with pytest.raises(StoreUnavailable):
        await kept.make()

    assert (kept.file.written, kept.file.published) == (b"", False)


async def test_a_backup_whose_end_cannot_be_audited_is_withdrawn(kept: Kept) -> None:
    kept.store.away_after = 1
    with pytest.raises(StoreUnavailable):
        await kept.make()

    assert kept.file.written
    assert not kept.file.published


async def test_a_full_disk_stops_reading_at_once(kept: Kept) -> None:
    kept.file.full = True
    with pytest.raises(BackupNotWritten, match="full"):
        await kept.make()

    assert kept.lines.ended
    assert not kept.file.published


async def test_a_restore_and_its_refusal_are_in_the_log(sqlite_url: str, tmp_path: Path) -> None:
    source, target = Place(sqlite_url, tmp_path), place_in(tmp_path / "target")
    await source.make(tmp_path / "b")
    with verified_backup(tmp_path / "b", PASSPHRASE) as backup:
        restored = await target.backups.restore(ALICE, backup)
        with pytest.raises(DatabaseNotEmpty, match="restore into a new database"):
            await target.backups.restore(ALICE, backup)
    found = [record for record in await records(target.store) if record.action == Action.BACKUP_RESTORE]
    for place in (source, target):
        await place.store.close()

    assert [(each.actor, each.target, each.outcome, each.details) for each in found] == [
        ("alice", backup.about.id, AuditOutcome.DONE, {"rows": restored.rows, "unreadable": 0}),
        ("alice", backup.about.id, AuditOutcome.REFUSED, {"problem": "DatabaseNotEmpty"}),
    ]


def place_in(folder: Path) -> Place:
    folder.mkdir()
    return Place(new_file(folder / "data" / "mailsettings.db"), folder)
