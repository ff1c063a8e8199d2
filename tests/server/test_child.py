"""A supervised child is restarted when it ends, and ends with its supervisor."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from mailsettings.server.child import SupervisedChild

from support.timeouts import GUARD_SECONDS

SUPERVISOR = """
import sys, time
from mailsettings.server.child import SupervisedChild
SupervisedChild("child", lambda pipe: ["sh", "-c", f"echo $$ >> {sys.argv[1]}; cat <&{pipe}"]).start()
time.sleep(1000)
"""


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + GUARD_SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def pids(file: Path) -> list[int]:
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.fixture
def started(tmp_path: Path) -> Path:
    """The file into which each child of `shell` writes its process id."""
    return tmp_path / "pids"


def shell(file: Path, script: str) -> Callable[[int], Sequence[str]]:
    return lambda pipe: ["sh", "-c", f"echo $$ >> {file}; {script}".replace("PIPE", str(pipe))]


def test_a_killed_child_is_started_again(started: Path) -> None:
    child = SupervisedChild("child", shell(started, "exec sleep 1000"), pause_seconds=0.01)
    child.start()
    wait_for(lambda: pids(started))
    os.kill(pids(started)[0], signal.SIGKILL)
    wait_for(lambda: len(pids(started)) == 2)
    child.stop(GUARD_SECONDS)

    assert not any(map(is_running, pids(started)))
    assert len(pids(started)) == 2


def test_a_child_that_gave_up_is_not_started_again(started: Path, caplog: pytest.LogCaptureFixture) -> None:
    child = SupervisedChild("relay", shell(started, "exit 3"), lambda status: status == 3, pause_seconds=0.01)
    child.start()
    wait_for(lambda: "continues without it" in caplog.text)
    child.stop(GUARD_SECONDS)

    assert len(pids(started)) == 1
    assert "The relay ended with status 3" in caplog.text


def test_a_child_that_ignores_the_signal_is_killed(started: Path) -> None:
    child = SupervisedChild("child", shell(started, "trap '' TERM; while :; do sleep 0.05; done"))
    child.start()
    wait_for(lambda: pids(started))
    child.stop(0.1)

    assert not is_running(pids(started)[0])


def test_a_signal_of_the_terminal_does_not_reach_the_child(started: Path) -> None:
    child = SupervisedChild("child", shell(started, "exec sleep 1000"))
    child.start()
    wait_for(lambda: pids(started))
    group = os.getpgid(pids(started)[0])
    child.stop(GUARD_SECONDS)

    assert group != os.getpgrp()


def test_a_child_ends_when_its_supervisor_is_killed(started: Path) -> None:
    supervisor = subprocess.Popen([sys.executable, "-c", SUPERVISOR, str(started)])
    wait_for(lambda: pids(started))
    supervisor.kill()
    supervisor.wait()

    wait_for(lambda: not is_running(pids(started)[0]))
