"""Files that are whole or not there, and in no other file's place."""

import os
import stat
from pathlib import Path

import pytest

from mailsettings.domain.backup import BackupNotWritten
from mailsettings.store.backup.writer import new_file

from support.backups import no_file_longer_than


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("umask", [0, 0o022], ids=oct)
def test_only_its_owner_can_read_the_complete_file(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with new_file(tmp_path / "b") as file:
            file.write(b"one")
            unfinished = [*tmp_path.iterdir()]
            file.write(b"two")
            file.publish()
            assert (tmp_path / "b").read_bytes() == b"onetwo"
    finally:
        os.umask(before)

    assert [path.name == "b" for path in unfinished] == [False]
    assert names(tmp_path) == ["b"]
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o600


def test_a_file_is_published_where_folders_cannot_be_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailsettings.store.private_file._POSIX", False)
    with new_file(tmp_path / "b") as file:
        file.publish()

    assert names(tmp_path) == ["b"]


@pytest.mark.parametrize("when", ["writing", "published", "never"])
def test_an_interrupted_write_leaves_nothing(tmp_path: Path, when: str) -> None:
    class Interrupted(BaseException):
        pass

    def write() -> None:
        with new_file(tmp_path / "b") as file:
            file.write(b"one")
            if when == "never":
                return
            if when == "published":
                file.publish()
            raise Interrupted

    if when == "never":
        write()
    else:
        with pytest.raises(Interrupted):
            write()

    assert names(tmp_path) == []


def test_no_file_is_overwritten_not_even_a_concurrent_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("link", "."):
        with (
            pytest.raises(BackupNotWritten, match="exists already and is not overwritten"),
            new_file(tmp_path / name),
        ):
            pass

    def come_second() -> None:
        with new_file(tmp_path / "b") as file:
            (tmp_path / "b").write_bytes(b"somebody else's")
            file.publish()

    with pytest.raises(BackupNotWritten, match="exists already"):
        come_second()

    assert (tmp_path / "b").read_bytes() == b"somebody else's"
    assert names(tmp_path) == ["b", "link"]


@pytest.mark.parametrize("size", [10, 100_000], ids=["while it is flushed", "while it is written"])
def test_a_full_disk_is_reported_and_nothing_is_left(tmp_path: Path, size: int) -> None:

    def fill() -> None:
        with no_file_longer_than(5), new_file(tmp_path / "b") as file:
            file.write(bytes(size))
            file.publish()

    with pytest.raises(BackupNotWritten, match=r"b cannot be written: File too large\."):
        fill()

    assert names(tmp_path) == []


def test_a_missing_folder_is_reported_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "b"
    with (
        pytest.raises(BackupNotWritten, match=r"b cannot be written: No such file or directory\."),
        new_file(path),
    ):
        pass
