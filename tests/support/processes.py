"""The service as a process of its own, on a free port."""

import fcntl
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import pytest

from support import commands
from support.commands import Process
from support.timeouts import GUARD_SECONDS

READY_SECONDS = GUARD_SECONDS
END_SECONDS = GUARD_SECONDS


def clean_environment(data_dir: Path, **settings: str) -> dict[str, str]:
    """This process's environment with no other settings of the service than these."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAILSETTINGS_")}
    given = {f"MAILSETTINGS_{name}": value for name, value in settings.items()}
    return clean | {"MAILSETTINGS_DATA_DIR": str(data_dir), "MAILSETTINGS_ADMIN_PASSWORD": "correct horse"} | given


@dataclass
class Started:
    """A running server."""

    url: str
    output: Path
    process: Process

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return str(parts.hostname), int(parts.port or 0)

    def tell(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def status(self) -> int:
        """Its exit status, once it has ended."""
        return self.process.wait(END_SECONDS)


@contextmanager
def serving(environment: dict[str, str], *options: str) -> Iterator[tuple[str, Path]]:
    """A running server; its address, and the file that its output goes to."""
    with started(environment, *options) as server:
        yield server.url, server.output
        server.tell()
        assert server.status() == 0


@contextmanager
def started(
    environment: dict[str, str],
    *options: str,
    trust: ssl.SSLContext | None = None,
    limit_files: tuple[int, int] | None = None,
) -> Iterator[Started]:
    """A running server, which a signal may stop; with *trust* it uses TLS.

    *limit_files* are the soft and the hard limit of open files that it is started with.
    """
    port = free_port()
    output = Path(environment["MAILSETTINGS_DATA_DIR"]).with_suffix(f".{port}.log")
    with output.open("wb") as file:
        process = _start(environment, ["serve", "--port", str(port), *options], file, limit_files)
    server = Started(f"{'https' if trust else 'http'}://127.0.0.1:{port}", output, process)
    try:
        wait_until_ready(server, trust)
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(END_SECONDS)


def _start(
    environment: dict[str, str], arguments: list[str], output: BinaryIO, limit_files: tuple[int, int] | None
) -> Process:
    if limit_files is None:
        with Path(os.devnull).open() as nothing:
            return commands.start(environment, *arguments, stdin=nothing, stdout=output, stderr=output)
    soft, hard = limit_files
    limited = ["sh", "-c", f'ulimit -Sn {soft} && ulimit -Hn {hard} && exec "$@"', "sh"]
    command = [*limited, sys.executable, "-m", "mailsettings", *arguments]
    return subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)


def free_port() -> int:
    """Return a port of loopback on which no program listens, reserved for this process until it ends.

    It is below the ports that systems give to connections and to listeners on port 0. Other test processes, also
    those of another run, do not get it in the time until its server listens. The seed of the tests is the same in
    each process, so it is not used here.
    """
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            _reserve(port)
            probe.bind(("127.0.0.1", port))
            return port


def _reserve(port: int) -> None:
    """Lock the file of this port. Raises `BlockingIOError`, an `OSError`, if another process holds the lock."""
    folder = Path(tempfile.gettempdir()) / f"mailsettings-test-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    # A bare descriptor stays open until the process ends, and Python does not warn of it.
    descriptor = os.open(folder / str(port), os.O_WRONLY | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise


def make_token(environment: dict[str, str]) -> str:
    """A token that may change the settings of the server with this environment."""
    return commands.run(environment, "token", "--permission", "manage-system-settings").stdout.strip()


def wait_until_ready(server: Started, trust: ssl.SSLContext | None = None) -> None:
    """Until it answers that it is. Fails when it does not."""
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and server.process.poll() is None:
        try:
            with urllib.request.urlopen(f"{server.url}/health/ready", timeout=10, context=trust):
                return
        except OSError:
            time.sleep(0.05)
    pytest.fail(f"the server did not get ready:\n{server.output.read_text()}")
