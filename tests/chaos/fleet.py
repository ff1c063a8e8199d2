"""Several servers over one database, each a process of its own that can be killed and started again."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from support.processes import clean_environment, free_port
from support.timeouts import GUARD_SECONDS

READY_SECONDS = GUARD_SECONDS
_FORKING = Path(__file__).with_name("forking.py")


@dataclass
class Member:
    """One server. `down` is when it was not there, as seconds of the monotonic clock."""

    port: int
    output: Path
    process: int = 0
    down: list[tuple[float, float]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def was_down(self, begun: float, ended: float) -> bool:
        """Whether it was away at any time between these moments."""
        return any(gone <= ended and begun <= back for gone, back in self.down)

    def listens(self) -> bool:
        """Whether it takes connections."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def lives(self) -> bool:
        """Whether there is such a process."""
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return False
        return True


class Fleet:
    """All of them, and what forks them."""

    def __init__(self, folder: Path, environment: Mapping[str, str], size: int) -> None:
        self._forking = subprocess.Popen(
            [sys.executable, _FORKING],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.members = [Member(free_port(), folder / f"server-{number}.log") for number in range(size)]

    def start_all(self) -> None:
        """Start them side by side."""
        for member in self.members:
            self._fork(member)
        for member in self.members:
            self.start(member)

    def start(self, member: Member) -> None:
        """Start it, as often as it takes: without its database a server ends with a sentence."""
        end = time.monotonic() + READY_SECONDS
        while not member.listens():
            if not member.process or not member.lives():
                self._fork(member)
            if time.monotonic() > end:
                raise RuntimeError(f"a server did not start:\n{member.output.read_text()}")
            time.sleep(0.02)
        if member.down:
            member.down[-1] = (member.down[-1][0], time.monotonic())

    def kill(self, member: Member) -> None:
        """As the kernel does when memory is short; it is gone when this returns."""
        member.down.append((time.monotonic(), float("inf")))
        os.kill(member.process, signal.SIGKILL)
        while member.lives():
            time.sleep(0.001)
        member.process = 0

    def close(self) -> None:
        """End all."""
        for member in self.members:
            if member.process and member.lives():
                self.kill(member)
        if self._forking.stdin is not None and self._forking.stdout is not None:
            self._forking.stdin.close()
            self._forking.wait(10)
            self._forking.stdout.close()

    def _fork(self, member: Member) -> None:
        if self._forking.stdin is None or self._forking.stdout is None:
            raise RuntimeError("nothing forks")
        self._forking.stdin.write(f"{member.port} {member.output}\n")
        self._forking.stdin.flush()
        member.process = int(self._forking.stdout.readline())


@contextmanager
def running_fleet(folder: Path, size: int, **settings: str) -> Iterator[Fleet]:
    """*size* servers that take connections, with one data directory below *folder*."""
    # Who is killed leaves its temporary files behind.
    environment = clean_environment(folder / "data", **settings) | {"TMPDIR": str(folder)}
    fleet = Fleet(folder, environment, size)
    try:
        fleet.start_all()
        yield fleet
    finally:
        fleet.close()
