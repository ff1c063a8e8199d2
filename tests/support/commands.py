"""Runs commands of the service and Python programs, each in its own process, which on Linux is forked.

The forked process has the environment, folder and standard files of a started process. Its imports are already
loaded, so tests about imports, about another copy of the sources, or about a terminal start Python themselves.
"""

import atexit
import json
import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import IO, Any, Self, TypeAlias

from support.timeouts import GUARD_SECONDS

Process: TypeAlias = "Forked | subprocess.Popen[bytes]"
CLIENT = Path(__file__).with_name("python_client.py")


def run(environment: Mapping[str, str], *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Return how `mailsettings ARGUMENTS` ends, and what it writes."""
    with ExitStack() as stack:
        given, output, errors = (stack.enter_context(tempfile.TemporaryFile("w+")) for _ in range(3))
        given.write(stdin)
        given.seek(0)
        with start(environment, *arguments, stdin=given, stdout=output, stderr=errors) as process:
            try:
                status = process.wait(GUARD_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return subprocess.CompletedProcess(arguments, status, _content(output), _content(errors))


def start(
    environment: Mapping[str, str], *arguments: str, stdin: IO[Any], stdout: IO[Any], stderr: IO[Any]
) -> Process:
    """Return `mailsettings ARGUMENTS` as a process that runs."""
    command = ["-m", "mailsettings", *arguments]
    if sys.platform != "linux" or environment.get("PYTHONPATH") != os.environ.get("PYTHONPATH"):
        return subprocess.Popen(
            [sys.executable, *command], env=environment, stdin=stdin, stdout=stdout, stderr=stderr
        )
    wanted = {"arguments": command, "environment": dict(environment), "folder": str(Path.cwd())}
    with tempfile.TemporaryFile("w+") as request:
        json.dump(wanted, request)
        request.seek(0)
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(_server())
        socket.send_fds(connection, [b"."], [file.fileno() for file in (request, stdin, stdout, stderr)])
        return Forked(connection)


@cache
def programs() -> Path:
    """Return a folder for the PATH of a shell: `python` and `mailsettings` in it run as forked processes."""
    if sys.platform != "linux":
        return Path(sys.executable).parent
    folder = Path(_server()).parent
    client = shlex.join([sys.executable, "-IS", str(CLIENT), _server()])
    for name, arguments in (("python", ""), ("mailsettings", "-m mailsettings ")):
        file = folder / name
        file.write_text(f'#!/bin/sh\nexec {client} {arguments}"$@"\n')
        file.chmod(0o700)
    return folder


def python() -> str:
    """Return a program to run instead of `sys.executable`, for what imports the service."""
    return str(programs() / "python") if sys.platform == "linux" else sys.executable


class Forked:
    """A process that the server forked; as `subprocess.Popen`."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._heard = b""
        self.pid = int(self._line(GUARD_SECONDS) or 0)
        self.returncode: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def poll(self) -> int | None:
        """Return the exit status, or None while the process runs."""
        if self.returncode is None and (line := self._line(0)) is not None:
            self.returncode = int(line)
            self._connection.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status, negative for a signal."""
        if self.returncode is None:
            line = self._line(timeout)
            if line is None:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            self.returncode = int(line)
            self._connection.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, if the process still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask the process to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process."""
        self.send_signal(signal.SIGKILL)

    def _line(self, timeout: float | None) -> bytes | None:
        """Return the next line of the server, or None if it does not come in time."""
        while b"\n" not in self._heard:
            if not select.select([self._connection], [], [], timeout)[0]:
                return None
            more = self._connection.recv(64)
            assert more, "the server of commands ended"
            self._heard += more
        line, _, self._heard = self._heard.partition(b"\n")
        return line


def _content(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


@cache
def _server() -> str:
    """Start the server of this process, and return where it is."""
    folder = tempfile.mkdtemp(prefix="mailsettings-commands-")
    address = f"{folder}/socket"
    process = subprocess.Popen(
        [sys.executable, "-m", "support.command_server", address],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(process.wait)
    atexit.register(process.stdin.close)
    return address
