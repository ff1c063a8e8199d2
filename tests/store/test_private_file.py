"""A database file that every user of the machine can open is refused."""

from pathlib import Path

import pytest

from mailsettings.store import private_file
from mailsettings.store.private_file import DatabaseFileExposed, require_private


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A file for its owner and group, with a journal."""
    for name in ("a.db", "a.db-wal"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o660)
    return tmp_path / "a.db"


@pytest.mark.parametrize("name", ["a.db", "a.db-wal"])
@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601])
def test_a_file_open_to_every_user_is_named(database: Path, name: str, mode: int) -> None:
    require_private(database)
    database.with_name(name).chmod(mode)

    with pytest.raises(DatabaseFileExposed, match=f"{name} can be read or written by every user"):
        require_private(database)


def test_modes_say_nothing_on_other_systems(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database.chmod(0o666)
    monkeypatch.setattr(private_file, "_POSIX", False)

    require_private(database)
