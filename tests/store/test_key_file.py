"""The key file: created once, replaced as a whole, private; a given file is never written."""

import os
import stat
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailsettings.domain.errors import SecretUnreadable
from mailsettings.store import private_file
from mailsettings.store.encryption.key_file import KeyFile, LiveKeys, ReadOnlyKeyFile, new_key_line
from mailsettings.store.encryption.sealing import Sealer, key_id
from mailsettings.store.private_file import KeyFileUnusable

from support.databases import KEY

OTHER_KEY = bytes(32)


def line(key: bytes) -> str:
    return b64encode(key).decode()


def write(path: Path, text: str | bytes, mode: int = 0o600) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(mode)
    return path


def keys_in(path: Path) -> list[bytes]:
    return list(KeyFile(path).read()[1])


def test_a_key_file_is_created_once_complete_and_private(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "sealing-keys"
    before = os.umask(0)
    try:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda _: KeyFile(path).create(), range(16)))
            keys = {tuple(keys) for keys in threads.map(lambda _: keys_in(path), range(16))}
    finally:
        os.umask(before)

    assert [len(key) for ring in keys for key in ring] == [32]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_two_concurrent_first_starts_share_one_key(tmp_path: Path) -> None:
    path = tmp_path / "signing-key"
    with ThreadPoolExecutor(8) as threads:
        for made in [threads.submit(private_file.create, path, os.urandom(32)) for _ in range(16)]:
            made.result()
        keys = set(threads.map(lambda _: private_file.read(path)[1], range(16)))

    assert keys == {path.read_bytes()}


def test_the_last_line_seals_and_comments_are_ignored(tmp_path: Path) -> None:
    text = f"\ufeff# ours, für alle\n\n  {line(KEY)}  # the first\r\n{line(OTHER_KEY)}"
    path = write(tmp_path / "sealing-keys", text)

    assert keys_in(path) == [KEY, OTHER_KEY]
    assert LiveKeys(KeyFile(path)).newest().key_id == key_id(OTHER_KEY)


def test_comments_survive_added_and_removed_keys(tmp_path: Path) -> None:
    path = write(tmp_path / "sealing-keys", f"# kept\n{line(KEY)} # goes with its key\n\n# kept too")
    file = KeyFile(path)
    added = file.add()
    file.remove(key_id(KEY))
    text = path.read_text()

    assert text.startswith("# kept\n\n# kept too\n")
    assert "goes with its key" not in text
    assert [key_id(key) for key in keys_in(path)] == [added]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("content", "mode"),
    [
        *(
            (content, 0o600)
            for content in [
                "",
                "# nothing\n",
                "short",
                line(KEY)[:-4],
                f"{line(KEY)}x",
                f"{line(KEY)} bind",
                b"\xff\xfe",
            ]
        ),
        *((line(KEY), mode) for mode in [0o640, 0o604, 0o620]),
    ],
    ids=str,
)
def test_unsafe_or_damaged_key_file_is_refused_and_unchanged(
    tmp_path: Path, content: str | bytes, mode: int
) -> None:
    path = write(tmp_path / "sealing-keys", content, mode)

    with pytest.raises(KeyFileUnusable, match="sealing-keys") as refused:
        LiveKeys(KeyFile(path)).newest()

    assert line(KEY)[:8] not in str(refused.value)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)


def test_single_key_of_older_versions_survives_the_first_rotation(tmp_path: Path) -> None:
    old = write(tmp_path / "sealing-key", KEY)
    ring = LiveKeys(KeyFile(tmp_path / "sealing-keys", before=old))
    ring.file.create()
    sealed = ring.newest().seal("canary", "here")
    ids_before = ring.newest().key_ids
    added = ring.add()

    assert ids_before == {key_id(KEY)}
    assert ring.newest().key_id == added
    assert ring.newest().open(sealed, "here") == "canary"
    assert old.read_bytes() == KEY


def test_a_dropped_key_is_removed_from_every_own_file(tmp_path: Path) -> None:
    old = write(tmp_path / "sealing-key", KEY)
    ring = LiveKeys(KeyFile(tmp_path / "sealing-keys", before=old))
    added = ring.add()

    assert ring.remove(key_id(KEY)) is None
    assert ring.newest().key_ids == {added}
    assert [path.name for path in tmp_path.iterdir()] == ["sealing-keys"]
    assert line(KEY) not in (tmp_path / "sealing-keys").read_text()


def test_an_old_key_file_of_another_size_is_refused(tmp_path: Path) -> None:
    old = write(tmp_path / "sealing-key", KEY + b"x")

    with pytest.raises(KeyFileUnusable, match="sealing-key must hold 32 bytes"):
        KeyFile(tmp_path / "sealing-keys", before=old).read()


@pytest.mark.parametrize(
    ("mode", "taken"), [(0o440, True), (0o400, True), (0o444, False), (0o460, False)], ids=str
)
def test_mounted_key_file_is_readable_by_its_group_only(tmp_path: Path, mode: int, taken: bool) -> None:
    path = write(tmp_path / "keys", line(KEY), mode)
    file = KeyFile(path, given=True)
    if taken:
        assert list(file.read()[1]) == [KEY]
    else:
        with pytest.raises(KeyFileUnusable, match="chmod it to 440"):
            file.read()


def test_a_mounted_key_file_is_never_written(tmp_path: Path) -> None:
    path = write(tmp_path / "keys", f"{line(KEY)}\n{line(OTHER_KEY)}\n")
    ring = LiveKeys(KeyFile(path, given=True))
    absent = KeyFile(tmp_path / "absent", given=True)
    absent.create()

    with pytest.raises(ReadOnlyKeyFile, match="mailsettings key encryption new"):
        ring.add()
    assert ring.remove(key_id(KEY)) == ring.bind() == str(path)
    assert path.read_text() == f"{line(KEY)}\n{line(OTHER_KEY)}\n"
    with pytest.raises(KeyFileUnusable, match="absent cannot be used: No such file"):
        absent.read()


def test_a_kubernetes_swap_of_the_mount_is_followed(tmp_path: Path) -> None:
    for version, keys in [("1", [KEY]), ("2", [KEY, OTHER_KEY])]:
        (tmp_path / version).mkdir()
        write(tmp_path / version / "keys", "".join(f"{line(key)}\n" for key in keys), 0o440)
    (tmp_path / "..data").symlink_to("1")
    (tmp_path / "keys").symlink_to("..data/keys")
    ring = LiveKeys(KeyFile(tmp_path / "keys", given=True))
    before = ring.newest()
    (tmp_path / "..data_tmp").symlink_to("2")
    (tmp_path / "..data_tmp").replace(tmp_path / "..data")

    assert (before.key_id, ring.newest().key_id) == (key_id(KEY), key_id(OTHER_KEY))


def test_an_unknown_key_is_looked_up_in_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "sealing-keys", line(KEY))
    ring = LiveKeys(KeyFile(path))
    read_before = ring.known()
    write(path, line(OTHER_KEY))

    assert read_before.open(Sealer(OTHER_KEY).seal("new", "here"), "here") == "new"
    assert read_before.open(Sealer(KEY).seal("old", "here"), "here") == "old"


def test_a_missing_file_leaves_known_keys_usable(tmp_path: Path) -> None:
    path = write(tmp_path / "sealing-keys", line(KEY))
    known = LiveKeys(KeyFile(path)).known()
    path.unlink()

    assert known.open(Sealer(KEY).seal("old", "here"), "here") == "old"
    with pytest.raises(SecretUnreadable):
        known.open(Sealer(OTHER_KEY).seal("new", "here"), "here")


def test_an_unchanged_file_is_read_once(tmp_path: Path) -> None:
    ring = LiveKeys(KeyFile(write(tmp_path / "sealing-keys", line(KEY))))

    assert ring.known() is ring.newest() is ring.known()


def test_dropping_a_newer_key_leaves_the_old_key_file(tmp_path: Path) -> None:
    old = write(tmp_path / "sealing-key", KEY)
    file = KeyFile(tmp_path / "sealing-keys", before=old)
    dropped, last = file.add(), file.add()
    file.remove(dropped)

    assert old.read_bytes() == KEY
    assert [key_id(key) for key in keys_in(file.path)] == [key_id(KEY), last]


def test_a_key_file_works_without_file_modes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_file, "_POSIX", False)
    file = KeyFile(write(tmp_path / "sealing-keys", line(KEY), 0o666))

    assert [key_id(key) for key in file.read()[1]] == [key_id(KEY)]
    added = file.add()
    assert [key_id(key) for key in keys_in(file.path)] == [key_id(KEY), added]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "holds no key."),
        ("short", "holds a line that is not a key of 32 bytes in base64."),
        (b"\xff\xfe", "is no text; see `mailsettings key encryption new` for a line."),
    ],
    ids=["empty", "too short", "not text"],
)
def test_an_unusable_key_file_says_why(tmp_path: Path, text: str | bytes, sentence: str) -> None:
    path = write(tmp_path / "sealing-keys", text)

    with pytest.raises(KeyFileUnusable) as refused:
        KeyFile(path).read()

    assert str(refused.value) == f"{path} {sentence}"


@pytest.mark.parametrize(
    ("given", "whom", "mode"), [(False, "its owner", "600"), (True, "its owner and group", "440")]
)
def test_a_key_file_readable_by_others_says_the_remedy(tmp_path: Path, given: bool, whom: str, mode: str) -> None:
    path = write(tmp_path / "sealing-keys", line(KEY), 0o666)

    with pytest.raises(KeyFileUnusable) as refused:
        KeyFile(path, given=given).read()

    said = f"{path} can be read by others than {whom}, or written; chmod it to {mode}."
    assert str(refused.value) == said


def test_new_line_has_a_key_its_id_and_date(tmp_path: Path) -> None:
    text = new_key_line()
    [key] = keys_in(write(tmp_path / "sealing-keys", text))

    assert text == f"{line(key)} bound # {key_id(key)}, made {datetime.now(UTC):%Y-%m-%d}\n"


def test_keys_are_marked_in_place_new_ones_always(tmp_path: Path) -> None:
    path = write(tmp_path / "sealing-keys", f"# kept\n{line(KEY)}# the first\n\n{line(OTHER_KEY)} bound\n")
    ring = LiveKeys(KeyFile(path))
    before = ring.file.read().bound
    added = ring.add()
    left = ring.bind()

    assert before == {key_id(OTHER_KEY)}
    assert left is None
    assert ring.file.read().bound == {key_id(KEY), key_id(OTHER_KEY), added}
    assert path.read_text().startswith(f"# kept\n{line(KEY)} bound # the first\n\n{line(OTHER_KEY)} bound\n")


def test_marking_moves_the_single_old_key_into_a_file(tmp_path: Path) -> None:
    old = write(tmp_path / "sealing-key", KEY)
    ring = LiveKeys(KeyFile(tmp_path / "sealing-keys", before=old))
    before = ring.file.read()

    assert (before.keys, before.bound) == ([KEY], frozenset())
    assert ring.bind() is None
    assert KeyFile(tmp_path / "sealing-keys").read().bound == {key_id(KEY)}
    assert old.read_bytes() == KEY


def test_a_new_key_file_says_what_it_is(tmp_path: Path) -> None:
    KeyFile(tmp_path / "sealing-keys").create()

    assert (
        (tmp_path / "sealing-keys")
        .read_text()
        .startswith(
            "# What secrets are sealed with: a key a line, the newest last. "
            "Keep a copy, apart from the database's.\n"
        )
    )


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give files away")
def test_a_key_file_replaced_by_root_keeps_its_owner(tmp_path: Path) -> None:
    old = write(tmp_path / "sealing-key", KEY)
    os.chown(old, 10001, 10001)
    file = KeyFile(tmp_path / "sealing-keys", before=old)
    file.add()
    first = file.path.stat()
    file.add()

    assert {(found.st_uid, found.st_gid) for found in (first, file.path.stat())} == {(10001, 10001)}
