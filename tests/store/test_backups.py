"""Backups of real databases: all of one moment, carried to either kind, into nothing but a new database."""

import asyncio
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self
from urllib.parse import quote

import pytest
from sqlalchemy import func, insert, select, text, update

from mailsettings.domain.access import OPERATOR
from mailsettings.domain.audit_log import Action, AuditOutcome, AuditRecord
from mailsettings.domain.backup import Backup, BackupUnusable, DatabaseNotEmpty, WrongPassphrase
from mailsettings.domain.errors import StoreUnavailable
from mailsettings.domain.values import Secret
from mailsettings.store import migrations
from mailsettings.store.backup import writer as backups
from mailsettings.store.backup.contents import BACKED_UP, Batch, Preface, to_line
from mailsettings.store.backup.file_format import MAGIC
from mailsettings.store.backup.restore import verified_backup
from mailsettings.store.encryption.key_file import KeyFileContent as RingContent
from mailsettings.store.encryption.sealing import SEALED_COLUMNS
from mailsettings.store.tables import (
    accounts,
    audit_entries,
    data_version,
    encryption_keys,
    mail_server_versions,
    mail_servers,
    metadata,
    schema_support,
)
from mailsettings.use_cases.keys import ManageEncryptionKeys

from support.backups import DIRECTLY, PASSPHRASE, Place, fill, new_backup, no_file_longer_than, with_password
from support.canary import Canary

ENTRIES = 4
"""Those of `fill`, and that a backup was begun."""
NewPlace = Callable[[str], Place]


@pytest.fixture
async def place_on(tmp_path: Path) -> AsyncIterator[NewPlace]:
    """A place on each database that is named, with keys of its own."""
    places: list[Place] = []

    def make(url: str) -> Place:
        folder = tmp_path / f"place {len(places)}"
        folder.mkdir()
        places.append(Place(url, folder))
        return places[-1]

    yield make
    for place in places:
        await place.store.close()


@pytest.fixture
def second_sqlite_url(tmp_path: Path, migrated_sqlite: Path) -> str:
    return f"sqlite:///{shutil.copyfile(migrated_sqlite, tmp_path / 'second.db')}"


@pytest.fixture
def source(place_on: NewPlace, sqlite_url: str) -> Place:
    """A database in a file."""
    return place_on(sqlite_url)


@pytest.fixture
def target(kind: str, place_on: NewPlace, request: pytest.FixtureRequest) -> Place:
    """A new database of either kind."""
    return place_on(request.getfixturevalue("second_sqlite_url" if kind == "sqlite" else "postgres_url"))


def rows_in(place: Place) -> dict[str, int]:
    """How many rows there are in each table that has any, but for what the migrations wrote."""
    found = {}
    for table in metadata.sorted_tables:
        (row,) = place.sql(select(func.count().label("rows")).select_from(table))
        found[table.name] = row["rows"]
    return {
        name: rows for name, rows in found.items() if rows and name not in {schema_support.name, data_version.name}
    }


async def test_everything_is_restored_between_both_kinds_of_database(
    source: Place, place_on: NewPlace, postgres_url: str, second_sqlite_url: str, tmp_path: Path, canary: Canary
) -> None:
    there, back = place_on(postgres_url), place_on(second_sqlite_url)
    await fill(source, canary.secret)
    made = await source.make(tmp_path / "one")
    carried = source.contents(ENTRIES)
    restored = await there.restore(tmp_path / "one")
    made_there = await there.make(tmp_path / "two")
    await back.restore(tmp_path / "two")

    assert made == restored
    assert made_there.rows == made.rows + 2  # that it was restored, and that the next backup was begun
    assert all(carried.values())
    assert [row["sealed_secret"] for row in carried["mail_servers"]] == [
        canary.secret,
        f"{canary.secret} of OAuth2",
        None,
    ]
    assert there.contents(ENTRIES) == back.contents(ENTRIES) == carried
    for place, entries in ((source, 5), (there, 7), (back, 8 - 1)):
        verdict = await place.verify()
        assert (verdict.problem, verdict.sequence) == (None, entries)
    canary.assert_nowhere(tmp_path)


async def test_restored_secrets_are_sealed_with_the_newest_target_key(
    source: Place, target: Place, tmp_path: Path
) -> None:
    await fill(source, "a password")
    before = target.ring.newest().key_id
    target.ring.add()
    await source.make(tmp_path / "b")
    await target.restore(tmp_path / "b")

    report = await ManageEncryptionKeys(target.store, target.ring).status(OPERATOR)
    used = {key.key_id: key.secrets for key in report.keys}
    # Of two mail servers and of what two were before, of the audit log and what signs tokens.
    assert used == {before: 0, target.ring.newest().key_id: 6}
    assert report.unreadable == []


async def test_numbers_of_deleted_rows_are_not_reused(source: Place, target: Place, tmp_path: Path) -> None:
    await fill(source, "a password")
    await source.make(tmp_path / "b")
    await target.restore(tmp_path / "b")

    assert await target.add(with_password("new")) == 5
    new = {name: value for name, value in DIRECTLY[mail_server_versions].items() if name != "id"} | {"version": 6}
    (row,) = target.sql(insert(mail_server_versions).values(new).returning(mail_server_versions.c.id))
    assert row["id"] >= 72


async def test_empty_tables_keep_their_last_numbers(source: Place, target: Place, tmp_path: Path) -> None:
    gone = await source.add(with_password("gone"))
    async with source.store.writing() as work:
        await work.mail_servers.delete(gone)
    await source.make(tmp_path / "b")
    await target.restore(tmp_path / "b")

    assert await target.add(with_password("new")) == gone + 1


BACKUPS = 4


class Writer:
    """Changes two rows together, with an entry of the log, again and again in a thread of its own."""

    def __init__(self, place: Place) -> None:
        self._place = Place(place.url, place.ring.file.path.parent)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._write()))
        self.failed: list[Exception] = []
        self.written = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    async def _write(self) -> None:
        try:
            while not self._stop.is_set():
                began = time.monotonic()
                await self._change()
                # SQLite has no queue: leave half of the time to waiting writers.
                await asyncio.sleep(time.monotonic() - began)
        except StoreUnavailable as failed:
            self.failed.append(failed)
        await self._place.store.close()

    def wait_beyond(self, written: int) -> None:
        """Return when there was a change after so many."""
        while self.written <= written and self._thread.is_alive():
            self._thread.join(0.001)

    async def _change(self) -> None:
        record = AuditRecord("writer", OPERATOR.origin, Action.MAIL_SERVER_REPLACE, None, AuditOutcome.DONE)
        async with self._place.store.writing() as work:
            for server_id in (1, 2):
                await work.mail_servers.replace(
                    server_id, with_password(f"{self.written}", f"h{self.written}.example")
                )
            await work.audit.append(record)
        self.written += 1


async def test_a_backup_shows_one_moment_despite_concurrent_writes(
    database_url: str, place_on: NewPlace, tmp_path: Path
) -> None:
    place = place_on(database_url)
    for _ in range(2):
        await place.add(with_password("first"))
    rows = [{"name": f"n{n}", "password_hash": "", "grants": "[]", "created_at": func.now()} for n in range(1000)]
    place.sql(insert(accounts).values(rows))
    with Writer(place) as writer:
        for number in range(BACKUPS):
            before = writer.written
            await place.make(tmp_path / f"{number}")
            await asyncio.to_thread(writer.wait_beyond, before)

    assert writer.failed == []
    moments = [moment_of(tmp_path / f"{number}") for number in range(BACKUPS)]
    assert len({changes for _, _, changes, _ in moments}) > 1
    for hosts, versions, changes, rows_of_the_log in moments:
        assert len(hosts) == len(versions) == 1
        assert versions == {changes + 1}
        assert rows_of_the_log == set(range(1, len(rows_of_the_log) + 1))


async def test_writers_do_not_wait_for_a_backup(database_url: str, place_on: NewPlace) -> None:
    place = place_on(database_url)
    await fill(place, "a password")
    lines = place.snapshot().lines("b", "now")
    begun = [next(lines), next(lines)]
    await place.add(with_password("late", "late.example.org"))
    async with place.store.writing() as work:
        await work.accounts.remove("a user")
    rest = b"".join([*begun, *lines])

    assert b"oauth2.example.org" in rest
    assert b"late.example.org" not in rest
    assert b"a user" in rest


async def test_a_slow_disk_does_not_end_a_backup(place_on: NewPlace, postgres_url: str) -> None:
    limit = f"-c idle_in_transaction_session_timeout={LIMIT_SECONDS * 1000:.0f}"
    place = place_on(f"{postgres_url}?options={quote(limit)}")
    lines = place.snapshot().lines("b", "now")
    begun = [next(lines), next(lines)]
    await asyncio.sleep(2 * LIMIT_SECONDS)

    assert [*begun, *lines][-1] == to_line({"rows": 0})


LIMIT_SECONDS = 1.0


def moment_of(path: Path) -> tuple[set[str], set[int], int, set[int]]:
    """Return the hosts and versions of the two servers in a backup, the changes in its log, and its numbers."""
    with verified_backup(path, PASSPHRASE) as backup:
        found = {batch.table: batch.rows for batch in backup.batches()}
    servers, entries = found[mail_servers], found[audit_entries]
    changes = sum(entry["actor"] == "writer" for entry in entries)
    head = {entry["sequence"] for entry in entries}
    return {row["host"] for row in servers}, {row["version"] for row in servers}, changes, head


async def test_unreadable_secrets_are_reported_and_copied_unchanged(
    source: Place, target: Place, tmp_path: Path
) -> None:
    await fill(source, "a password")
    lost = [f"mail_servers|{number}|sealed_secret" for number in (1, 2)]
    source.sql(update(mail_servers).where(mail_servers.c.id == 1).values(sealed_secret=b"damaged"))
    source.sql(update(mail_servers).where(mail_servers.c.id == 2).values(host="moved.example.org"))

    made, restored = await source.make(tmp_path / "b"), await target.restore(tmp_path / "b")

    assert list(made.unreadable) == list(restored.unreadable) == lost
    assert target.contents(ENTRIES) == source.contents(ENTRIES)
    assert (
        target.sql(select(mail_servers.c.sealed_secret).where(mail_servers.c.id == 1))[0]["sealed_secret"]
        == b"damaged"
    )
    assert (await ManageEncryptionKeys(target.store, target.ring).status(OPERATOR)).unreadable == lost


async def test_only_an_empty_database_can_be_restored_into(
    source: Place, place_on: NewPlace, migrated_sqlite: Path, tmp_path: Path
) -> None:
    await fill(source, "a password")
    await source.make(tmp_path / "b")
    for table in {*metadata.sorted_tables} - {schema_support, data_version, encryption_keys}:
        target = place_on(f"sqlite:///{shutil.copyfile(migrated_sqlite, tmp_path / table.name)}")
        row = DIRECTLY.get(table) or dict(source.sql(select(table))[0])
        unreadable = {column.sealed.name: b"of no key" for column in SEALED_COLUMNS if column.table is table}
        target.sql(insert(table).values(row | unreadable))

        with pytest.raises(DatabaseNotEmpty, match="restore into a new database"):
            await target.restore(tmp_path / "b")

        # The log records it, possibly as the first use of the audit key.
        assert set(rows_in(target)) <= {table.name, "audit_entries", "audit_head", "sealed_keys", "sealing_keys"}
        assert max(rows_in(target).values()) <= 2


async def test_a_key_dropped_during_the_backup_is_in_it(source: Place, tmp_path: Path) -> None:
    await fill(source, "a password")
    keys = source.ring.file.read().keys
    reads = iter([keys[:1], keys[1:]])
    snapshot = source.snapshot()
    snapshot._ring = Ring(reads)  # type: ignore[assignment]  # noqa: SLF001  # the moment between two looks

    list(snapshot.lines("b", "now"))
    assert snapshot.copied.unreadable == []


@dataclass
class Ring:
    """A ring that changes between two looks."""

    reads: Iterator[Sequence[bytes]]

    def read(self) -> RingContent:
        return RingContent((0, 0, 0), next(self.reads), frozenset())


class Interrupted(Exception):
    pass


def ending_early(batches: Sequence[Batch]) -> Iterator[Batch]:
    """Yield all rows, but not the end."""
    yield from batches
    raise Interrupted


async def test_an_interrupted_restore_leaves_an_empty_database(
    source: Place, target: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(source, "a password")
    await source.make(tmp_path / "b")
    with verified_backup(tmp_path / "b", PASSPHRASE) as backup:
        whole = list(backup.batches())
        monkeypatch.setattr(backup, "batches", lambda: ending_early(whole))
        with pytest.raises(Interrupted):
            await target.backups.restore(OPERATOR, backup)

    assert rows_in(target) == {}
    await target.restore(tmp_path / "b")
    assert target.contents(ENTRIES) == source.contents(ENTRIES)


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from support.backups import PASSPHRASE, Place
from mailsettings.domain.access import OPERATOR
from mailsettings.store.backup.file_format import MAGIC
from mailsettings.store.backup.restore import verified_backup

class Killed:
    def __init__(self, backup):
        self.about, self.keys, self.bound = backup.about, backup.keys, backup.bound
        self.batches_of = backup.batches
    def batches(self):
        yield from self.batches_of()
        os.kill(os.getpid(), signal.SIGKILL)

with verified_backup(Path(sys.argv[3]), PASSPHRASE) as backup:
    asyncio.run(Place(sys.argv[1], Path(sys.argv[2])).backups.restore(OPERATOR, Killed(backup)))
"""


async def test_a_killed_restore_leaves_an_empty_database(source: Place, target: Place, tmp_path: Path) -> None:
    await fill(source, "a password")
    await source.make(tmp_path / "b")

    killed = child(KILLED, target.url, str(target.ring.file.path.parent), str(tmp_path / "b"))

    assert killed.returncode == -signal.SIGKILL, killed
    assert rows_in(target) == {}
    assert await target.add(with_password("the first")) == 1


def child(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A process that can import what tests can."""
    paths = {"PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, env=paths, capture_output=True, text=True, timeout=120, check=False)


async def test_a_file_changed_after_its_check_restores_nothing(
    source: Place, target: Place, tmp_path: Path
) -> None:
    await fill(source, "a password")
    await source.make(tmp_path / "b")
    with verified_backup(tmp_path / "b", PASSPHRASE) as backup:
        content = bytearray((tmp_path / "b").read_bytes())
        content[-1] ^= 1
        (tmp_path / "b").write_bytes(content)
        with pytest.raises(BackupUnusable, match="damaged"):
            await target.backups.restore(OPERATOR, backup)

    assert rows_in(target) == {}


def test_guessing_the_passphrase_of_a_backup_is_costly(tmp_path: Path) -> None:
    with backups.new_backup(tmp_path / "b", PASSPHRASE) as file:
        file.publish()

    assert struct.unpack_from(">IBB", (tmp_path / "b").read_bytes(), len(MAGIC) + 1) == (64 * 1024, 3, 4)


def test_a_wrong_passphrase_and_a_missing_file_differ(tmp_path: Path) -> None:
    backup_of(tmp_path / "b", b"")
    with pytest.raises(WrongPassphrase), verified_backup(tmp_path / "b", Secret("another one")):
        pass
    with pytest.raises(BackupUnusable, match="No such file"), verified_backup(tmp_path / "c", PASSPHRASE):
        pass
    with pytest.raises(BackupUnusable, match="Is a directory"), verified_backup(tmp_path, PASSPHRASE):
        pass


def backup_of(path: Path, *lines: bytes) -> None:
    with new_backup(path, PASSPHRASE) as file:
        for line in lines:
            file.write(line)
        file.publish()


PREFACE = Preface(Backup("b", "2026-11-21", "9.9.9"), migrations.head(), [bytes(32)])


@pytest.mark.parametrize("revision", ["0001", "9999"])
def test_a_backup_of_another_schema_names_the_fitting_version(tmp_path: Path, revision: str) -> None:
    backup_of(tmp_path / "b", replace(PREFACE, revision=revision).line())
    with pytest.raises(BackupUnusable) as refused, verified_backup(tmp_path / "b", PASSPHRASE):
        pass

    assert str(refused.value) == (
        f"The backup was made by mailsettings 9.9.9 and has the schema {revision}, this program has "
        f"{migrations.head()}; restore it with that version, then migrate."
    )


async def test_database_of_another_version_is_not_partly_backed_up(source: Place, tmp_path: Path) -> None:
    source.sql(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(BackupUnusable, match="has the schema 9999, which is not this program's"):
        await source.make(tmp_path / "b")

    assert not (tmp_path / "b").exists()


def whole() -> list[bytes]:
    """The lines of a backup of nothing."""
    heads = [
        {"table": table.name, "columns": [c.name for c in table.columns], "last_number": None}
        for table in BACKED_UP
    ]
    return [PREFACE.line(), *map(to_line, heads), to_line({"rows": 0})]


MALFORMED: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "nothing": lambda lines: [],
    "no JSON": lambda lines: [b"x\n"],
    "no preface": lambda lines: lines[1:],
    "a preface of other things": lambda lines: [to_line({"keys": []}), *lines[1:]],
    "no key": lambda lines: [lines[0].replace(b'"keys":["', b'"keys":["!'), *lines[1:]],
    "a table is missing": lambda lines: [*lines[:2], *lines[3:]],
    "tables in another order": lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
    "a table with other columns": lambda lines: [lines[0], lines[1].replace(b'"port",', b""), *lines[2:]],
    "a table with no number": lambda lines: [lines[0], lines[1].replace(b"null", b'"1"'), *lines[2:]],
    "a row too short": lambda lines: [*lines[:2], b"[1]\n", *lines[2:-1], to_line({"rows": 1})],
    "fewer rows than it says": lambda lines: [*lines[:-1], to_line({"rows": 1})],
    "no end": lambda lines: lines[:-1],
    "more after the end": lambda lines: [*lines, b"[]\n"],
}


@pytest.mark.parametrize("how", MALFORMED)
def test_decrypted_content_of_another_form_is_refused(tmp_path: Path, how: str) -> None:
    backup_of(tmp_path / "b", *MALFORMED[how](whole()))
    with pytest.raises(BackupUnusable, match="damaged or not whole"), verified_backup(tmp_path / "b", PASSPHRASE):
        pass


def test_an_empty_database_can_be_backed_up(tmp_path: Path) -> None:
    backup_of(tmp_path / "b", *whole())
    with verified_backup(tmp_path / "b", PASSPHRASE) as backup:
        assert [batch.table for batch in backup.batches()] == list(BACKED_UP)
        assert backup.about == PREFACE.backup


async def test_rows_that_the_database_refuses_name_their_table(
    source: Place, place_on: NewPlace, postgres_url: str, tmp_path: Path
) -> None:
    await fill(source, "a password")
    source.sql(update(accounts).values(security_stamp="longer than SQLite cares about, which is 32"))
    await source.make(tmp_path / "b")
    target = place_on(postgres_url)
    with pytest.raises(BackupUnusable, match=r"for accounts: StringDataRightTruncation \(SQLSTATE 22001\)\."):
        await target.restore(tmp_path / "b")

    assert rows_in(target) == {}


def test_without_room_for_the_copy_no_backup_is_made(source: Place) -> None:
    rows = [
        {"name": f"n{n}", "password_hash": "x" * 2000, "grants": "", "created_at": func.now()} for n in range(2000)
    ]
    source.sql(insert(accounts).values(rows))
    with pytest.raises(StoreUnavailable), no_file_longer_than(100_000):
        list(source.snapshot().lines("b", "now"))


@pytest.mark.parametrize("how", ["no database", "cut off"])
def test_a_damaged_database_is_reported_as_unavailable(tmp_path: Path, migrated_sqlite: Path, how: str) -> None:
    whole = migrated_sqlite.read_bytes()
    (tmp_path / "damaged").write_bytes(b"no database" * 1000 if how == "no database" else whole[: len(whole) // 2])
    snapshot = Place(f"sqlite:///{tmp_path / 'damaged'}", tmp_path).snapshot()
    with pytest.raises(StoreUnavailable):
        list(snapshot.lines("b", "now"))


MEASURED = """
import asyncio, re, sys
from pathlib import Path
from support.backups import Place

def peak():
    # What getrusage says begins with the memory of the process that started us.
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024

async def measured(small, new, large, other, folder):
    await Place(small, folder).make(folder / "small")
    await Place(new, folder).restore(folder / "small")
    peaks = [peak()]
    made = await Place(large, folder).make(folder / "large")
    peaks.append(peak())
    await Place(other, folder).restore(folder / "large")
    peaks.append(peak())
    await Place(other, folder).make(folder / "again")
    peaks.append(peak())
    print(made.rows, *(after - before for before, after in zip(peaks, peaks[1:])))

asyncio.run(measured(*sys.argv[1:5], Path(sys.argv[5])))
"""
MANY = 100_000
MOST_MEGABYTES = 16


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measured by Linux alone")
def test_a_hundred_thousand_rows_need_few_megabytes(
    migrated_sqlite: Path, postgres_url: str, tmp_path: Path
) -> None:
    small, new, large = (f"sqlite:///{shutil.copyfile(migrated_sqlite, tmp_path / str(n))}" for n in range(3))
    numbers = f"WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {MANY})"
    values = f"{numbers} SELECT 'a' || n, '{'x' * 200}', '[]', '2026-11-21 14:00:00.000000' FROM numbers"
    (tmp_path / "keys").mkdir()
    Place(large, tmp_path / "keys").sql(
        text(f"INSERT INTO accounts (name, password_hash, grants, created_at) {values}")
    )

    measured = child(MEASURED, small, new, large, postgres_url, str(tmp_path))

    assert measured.stderr == ""
    rows, *growth = map(int, measured.stdout.split())
    assert rows > MANY
    assert len(growth) == 3
    assert max(growth) < MOST_MEGABYTES
