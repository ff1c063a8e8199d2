"""A world-readable database file stops the start, as a world-readable key file does."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from support import commands
from support.processes import clean_environment, serving

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there are no modes elsewhere")
BESIDE = ["", "-wal", "-shm", "-journal"]


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return commands.run(environment, *arguments)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    environment = clean_environment(tmp_path / "data")
    assert run(environment, "migrate").returncode == 0
    return environment


def file_beside(tmp_path: Path, suffix: str) -> Path:
    file = tmp_path / "data" / f"mailsettings.db{suffix}"
    if suffix:
        file.write_bytes(b"")  # as a process that was killed leaves it
    return file


@pytest.mark.parametrize(
    ("suffix", "mode"),
    [("", 0o604), ("", 0o602), *((suffix, 0o644) for suffix in BESIDE)],
    ids=lambda value: oct(value) if isinstance(value, int) else value or "the file itself",
)
def test_a_file_that_everybody_can_open_stops_the_start(
    environment: dict[str, str], tmp_path: Path, suffix: str, mode: int
) -> None:
    file = file_beside(tmp_path, suffix)
    file.chmod(mode)
    before = sorted(path.name for path in file.parent.iterdir())
    commands = (
        [["serve"], ["migrate"], ["key", "encryption", "status"]] if (suffix, mode) == ("", 0o644) else [["serve"]]
    )
    for command in commands:
        refused = run(environment, *command)

        sentence = f"{file} can be read or written by every user; chmod it to 600."
        told = json.loads(refused.stderr)["message"] if command == ["serve"] else refused.stderr
        assert (refused.returncode, told) == (3, sentence if command == ["serve"] else f"Error: {sentence}\n")
    assert sorted(path.name for path in file.parent.iterdir()) == before


@pytest.mark.parametrize("mode", [0o640, 0o660], ids=oct)
def test_permissions_of_a_group_are_left_to_the_volume(
    environment: dict[str, str], tmp_path: Path, mode: int
) -> None:
    (tmp_path / "data" / "mailsettings.db").chmod(mode)
    with serving(environment) as (url, _):
        assert url
