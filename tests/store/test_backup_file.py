"""The file of a backup: its content is read back exactly, or not at all."""

import io
import random
import struct
from collections.abc import Callable, Iterator

import pytest

from mailsettings.domain.backup import BackupUnusable, WrongPassphrase
from mailsettings.domain.values import Secret
from mailsettings.store.backup import file_format
from mailsettings.store.backup.file_format import (
    CHUNK_BYTES,
    HEAD_BYTES,
    MAGIC,
    MAX_COST,
    BackupReader,
    BackupWriter,
    Cost,
)

from support.canary import Canary

CHEAP = Cost(memory=8, passes=1, lanes=1)
PASSPHRASE = "correct horse battery staple"
SEALED_PIECE = CHUNK_BYTES + 16


def written(*lines: bytes, passphrase: str = PASSPHRASE, cost: Cost = CHEAP) -> bytes:
    file = io.BytesIO()
    writer = BackupWriter(file.write, Secret(passphrase), cost)
    for line in lines:
        writer.write(line + b"\n")
    writer.end()
    return file.getvalue()


def read(file: bytes, passphrase: str = PASSPHRASE) -> list[bytes]:
    return list(BackupReader(io.BytesIO(file), Secret(passphrase)).lines())


def some_lines(count: int) -> list[bytes]:
    return [f"{number} {'x' * (number % 997)}".encode() for number in range(count)]


LINES = some_lines(700)  # four pieces
WHOLE = written(*LINES)
SMALL = written(b"one", b"two")


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 2, CHUNK_BYTES - 1, CHUNK_BYTES, 3 * CHUNK_BYTES - 1])
def test_the_content_can_be_read_several_times(size: int) -> None:
    lines = [b"first", b"y" * size, b"last"] if size % 2 else [b"y" * size]
    reader = BackupReader(io.BytesIO(written(*lines)), Secret(PASSPHRASE))

    assert list(reader.lines()) == list(reader.lines()) == lines


def test_content_is_the_same_however_it_is_split() -> None:
    assert read(WHOLE) == LINES
    assert len(WHOLE) > HEAD_BYTES + 3 * SEALED_PIECE


def test_two_backups_of_the_same_content_share_no_bytes() -> None:
    one, other = written(b"one"), written(b"one")
    common = [here == there for here, there in zip(one, other, strict=True)]

    assert one[: len(MAGIC)] == other[: len(MAGIC)] == MAGIC
    assert sum(common[len(MAGIC) + 7 :]) < 20


def test_nothing_is_readable_without_the_passphrase() -> None:
    content, passphrase = Canary(), Canary()
    file = written(b"before", content.secret.encode(), passphrase=passphrase.secret)

    content.assert_nowhere(file)
    passphrase.assert_nowhere(file)
    with pytest.raises(WrongPassphrase, match="the backup has a different passphrase"):
        read(file, PASSPHRASE)


@pytest.mark.parametrize("position", range(len(SMALL)))
def test_no_byte_can_be_changed(position: int) -> None:
    for bit in (0, 7):
        changed = bytearray(SMALL)
        changed[position] ^= 1 << bit
        with pytest.raises(BackupUnusable):
            read(bytes(changed))


def test_a_damaged_head_is_not_reported_as_wrong_passphrase() -> None:
    salt = SMALL.index(MAGIC) + len(MAGIC) + 7
    with pytest.raises(BackupUnusable, match="damaged"):
        read(SMALL[:salt] + bytes([SMALL[salt] ^ 1]) + SMALL[salt + 1 :])


def cuts() -> Iterator[int]:
    ends = [HEAD_BYTES + number * SEALED_PIECE for number in range(4)]
    yield from (end + associated_data for end in ends for associated_data in (-17, -1, 0, 1, 16, 17))
    yield from (0, 1, len(MAGIC), len(MAGIC) + 1, len(WHOLE) - 17, len(WHOLE) - 16, len(WHOLE) - 1)


@pytest.mark.parametrize("length", sorted(set(cuts())))
def test_nothing_can_be_missing_at_the_end(length: int) -> None:
    with pytest.raises(BackupUnusable):
        read(WHOLE[:length])


def piece(number: int, of: bytes = WHOLE) -> bytes:
    return of[HEAD_BYTES + number * SEALED_PIECE :][:SEALED_PIECE]


TAMPERED: dict[str, Callable[[], bytes]] = {
    "a byte more": lambda: WHOLE + b"\0",
    "much more": lambda: WHOLE + random.Random(1).randbytes(2 * SEALED_PIECE),
    "another whole file": lambda: WHOLE + WHOLE,
    "the last piece twice": lambda: WHOLE + piece(3),
    "a full last piece and more": lambda: written(b"x" * (CHUNK_BYTES - 1)) + b"\0",
    "two pieces swapped": lambda: (
        WHOLE[:HEAD_BYTES] + piece(1) + piece(0) + WHOLE[HEAD_BYTES + 2 * SEALED_PIECE :]
    ),
    "a piece left out": lambda: WHOLE[:HEAD_BYTES] + WHOLE[HEAD_BYTES + SEALED_PIECE :],
    "a piece twice": lambda: WHOLE[: HEAD_BYTES + SEALED_PIECE] + WHOLE[HEAD_BYTES:],
    "a piece of another": lambda: (
        WHOLE[:HEAD_BYTES] + piece(0, written(*LINES)) + WHOLE[HEAD_BYTES + SEALED_PIECE :]
    ),
    "the head of another": lambda: written(*LINES)[:HEAD_BYTES] + WHOLE[HEAD_BYTES:],
    "no piece": lambda: WHOLE[:HEAD_BYTES],
    "a line without its end": lambda: _without_line_feed(),
}


def _without_line_feed() -> bytes:
    file = io.BytesIO()
    writer = BackupWriter(file.write, Secret(PASSPHRASE), CHEAP)
    writer.write(b"a whole line\nhalf a li")
    writer.end()
    return file.getvalue()


@pytest.mark.parametrize("how", TAMPERED)
def test_nothing_can_be_moved_added_or_left_out(how: str) -> None:
    with pytest.raises(BackupUnusable, match="damaged or not whole; nothing of it was restored"):
        read(TAMPERED[how]())


@pytest.mark.parametrize("file", [b"", b"m", b"SQLite format 3\0" + bytes(500), b"x" * 500], ids=repr)
def test_a_file_that_is_no_backup_is_named_so(file: bytes) -> None:
    with pytest.raises(BackupUnusable, match="no backup of mailsettings"):
        read(file)


def test_a_backup_of_a_newer_program_is_named_so() -> None:
    with pytest.raises(BackupUnusable, match="newer version of mailsettings; use that version"):
        read(SMALL[: len(MAGIC)] + b"\2" + SMALL[len(MAGIC) + 1 :])


@pytest.mark.parametrize(
    "cost",
    [
        *(
            MAX_COST._replace(memory=MAX_COST.memory + 1),
            MAX_COST._replace(passes=65),
            MAX_COST._replace(lanes=65),
        ),
        *(Cost(7, 1, 1), Cost(8, 0, 1), Cost(8, 1, 0)),
    ],
    ids=str,
)
def test_a_file_cannot_demand_unlimited_memory_or_time(cost: Cost) -> None:
    fixed = struct.pack(f">{len(MAGIC)}sBIBB32s", MAGIC, 1, *cost, bytes(32))
    with pytest.raises(BackupUnusable, match="newer version"):
        read(fixed + file_format._checksum(fixed))  # noqa: SLF001  # as a foreign program would


def test_passphrase_is_the_same_however_a_keyboard_encodes_it() -> None:
    assert read(written(b"line", passphrase="geh\N{LATIN SMALL LETTER E WITH ACUTE}im"), "gehe\u0301im") == [
        b"line"
    ]


def test_a_guess_costs_what_rfc_9106_recommends() -> None:
    assert Cost() == (64 * 1024, 3, 4)


class Unreadable(io.BytesIO):
    """A disk that fails after the head."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() >= HEAD_BYTES:
            raise OSError(5, "Input/output error")
        return super().read(size)


def test_a_failing_disk_is_reported_in_one_sentence() -> None:
    reader = BackupReader(Unreadable(SMALL), Secret(PASSPHRASE))
    with pytest.raises(BackupUnusable, match=r"^The backup cannot be read: Input/output error\.$"):
        list(reader.lines())


def test_an_endless_line_is_not_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_format, "MAX_LINE_BYTES", CHUNK_BYTES // 2)

    with pytest.raises(BackupUnusable):
        read(written(b"y" * 3 * CHUNK_BYTES))
