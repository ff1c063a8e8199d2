"""What is acknowledged is on the disk after the process was killed at any moment."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mailsettings.store import migrations
from mailsettings.store.engine import make_private

ROUNDS = 25
SEED = 20210901


@pytest.fixture
def database(tmp_path: Path) -> Path:
    file = tmp_path / "data" / "mailsettings.db"
    make_private(file)
    migrations.migrate(f"sqlite:///{file}")
    return file


@pytest.fixture
def writers(database: Path) -> Iterator["subprocess.Popen[str]"]:
    """What forks writers of *database*; each line that is written to it is one."""
    command = [sys.executable, str(Path(__file__).with_name("writing.py")), str(database)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as forking:
        yield forking


def acknowledged_until_killed(writers: "subprocess.Popen[str]", name: str, seconds: float) -> list[str]:
    """What was acknowledged to a writer that is killed so long after it was first acknowledged something."""
    assert writers.stdin is not None
    assert writers.stdout is not None
    writers.stdin.write(f"{name}\n")
    process, first = int(writers.stdout.readline()), writers.stdout.readline()
    time.sleep(seconds)
    os.kill(process, signal.SIGKILL)
    heard = [first, *iter(writers.stdout.readline, "gone\n")]
    return [line.strip() for line in heard]


def test_killed_at_any_moment_a_writer_leaves_everything_it_acknowledged(
    writers: "subprocess.Popen[str]", database: Path
) -> None:
    """Case 39. The next writer finds what the one before left, a journal in mid-transaction included."""
    dice = random.Random(SEED)
    acknowledged = [
        host
        for number in range(ROUNDS)
        for host in acknowledged_until_killed(writers, f"w{number}", 0.05 * dice.random())
    ]

    with closing(sqlite3.connect(database)) as connection:
        stored = [host for (host,) in connection.execute("SELECT host FROM mail_servers ORDER BY id")]
        sound = connection.execute("PRAGMA integrity_check").fetchone()
    unheard = set(stored) - set(acknowledged)
    assert len(acknowledged) >= ROUNDS
    assert [host for host in stored if host not in unheard] == acknowledged
    assert len(unheard) <= ROUNDS
    assert sound == ("ok",)
