"""Servers in separate processes, for benchmarks."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SERVE = [sys.executable, "-m", "mailsettings", "serve"]
_START_SECONDS = 60


class Server(NamedTuple):
    """A loopback port, and the id of the process that listens on it."""

    port: int
    process: int


@contextlib.contextmanager
def serving(command: list[str], environment: dict[str, str]) -> Iterator[Server]:
    """Run *command*, which takes a port, until the block ends; another process reads its log from a pipe."""
    port = free_port()
    started = subprocess.Popen(
        [*command, "--port", str(port)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    with subprocess.Popen(["cat"], stdin=started.stdout, stdout=subprocess.DEVNULL):
        assert started.stdout is not None
        started.stdout.close()
        try:
            wait_for(port)
            yield Server(port, started.pid)
        finally:
            started.terminate()
            started.wait(60)


def uvicorn(target: str, *, log: bool = False) -> list[str]:
    """Return the command that serves an application of this folder, with uvicorn's access log if *log*."""
    command = [sys.executable, "-m", "uvicorn", target, "--app-dir", str(Path(__file__).parent)]
    return command if log else [*command, "--log-level", "warning", "--no-access-log"]


def migrate(environment: dict[str, str]) -> None:
    """Create the tables of the service with *environment*."""
    subprocess.run([*SERVE[:-1], "migrate"], env=environment, check=True, capture_output=True)


def make_token(environment: dict[str, str]) -> str:
    """Return a token that may change the settings of the service with *environment*."""
    made = subprocess.run(
        [sys.executable, "-m", "mailsettings", "token", "--permission", "manage-system-settings"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return made.stdout.strip()


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(port: int) -> None:
    """Wait until a server listens on *port*."""
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.1):
            return
        time.sleep(0.05)
    sys.exit("a server did not start")
