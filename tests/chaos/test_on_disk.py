"""What is acknowledged is on the disk: as the kernel sees it, and after the process was killed at any moment."""

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

import httpx
import pytest

from mailsettings.store import migrations
from mailsettings.store.engine import make_private

from bodies import checkmarx
from chaos.fleet import Fleet, running_fleet
from chaos.system_calls import Call, calls, can_be_traced, traced
from service import SMTP_SETTINGS, TOKEN

ROUNDS = 25
SEED = 20210901


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with running_fleet(tmp_path, 1) as fleet:
        yield fleet


@pytest.mark.skipif(not can_be_traced(), reason="there is no strace, or it may not be used")
def test_every_byte_of_a_change_is_synced_between_the_request_and_its_answer(fleet: Fleet, tmp_path: Path) -> None:
    """Case 39."""
    [member] = fleet.members
    trace, database = tmp_path / "trace", tmp_path / "data" / "mailsettings.db"
    form = {"grant_type": "password", "username": "admin", "password": "correct horse"}
    with httpx.Client(base_url=member.url, timeout=60) as http:
        http.headers["Authorization"] = f"Bearer {http.post(TOKEN, data=form).json()['access_token']}"
        http.post(SMTP_SETTINGS, json=checkmarx("a password")).raise_for_status()
        with traced(member.process, trace):
            http.post(SMTP_SETTINGS, json=checkmarx("a password")).raise_for_status()

    change = between(calls(trace), f'"POST {SMTP_SETTINGS}', '"HTTP/1.1 201')
    journal, log = Path(f"{database}-journal"), Path(f"{database}-wal")
    assert any(call.writes(file) for call in change for file in (database, log))
    assert [unsynced(change, file) for file in (database, journal, log)] == [[]] * 3
    assert not unsynced_removals(change, journal)


def between(done: list[Call], received: str, answered: str) -> list[Call]:
    begun = next(number for number, call in enumerate(done) if received in call.arguments)
    ended = next(number for number, call in enumerate(done) if number > begun and answered in call.arguments)
    return done[begun:ended]


def unsynced(change: list[Call], file: Path) -> list[Call]:
    """What was written to *file* and neither synced nor removed with it since."""
    pending: list[Call] = []
    for call in change:
        if call.writes(file):
            pending.append(call)
        elif call.syncs(file) or call.removes(file):
            pending.clear()
    return pending


def unsynced_removals(change: list[Call], file: Path) -> list[Call]:
    """A journal that is back after a power failure would undo what it belongs to: its folder is synced too."""
    pending: list[Call] = []
    for call in change:
        if call.removes(file):
            pending.append(call)
        elif call.syncs(file.parent):
            pending.clear()
    return pending


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
