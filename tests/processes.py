"""The service as a process of its own, on a free port."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

READY_SECONDS = 30


def clean_environment(data_dir: Path, **settings: str) -> dict[str, str]:
    """This process's environment with no other settings of the service than these."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAILSETTINGS_")}
    given = {f"MAILSETTINGS_{name}": value for name, value in settings.items()}
    return clean | {"MAILSETTINGS_DATA_DIR": str(data_dir), "MAILSETTINGS_ADMIN_PASSWORD": "correct horse"} | given


@contextmanager
def serving(environment: dict[str, str], *options: str) -> Iterator[tuple[str, Path]]:
    """A running server; its address, and the file that its output goes to."""
    port = free_port()
    output = Path(environment["MAILSETTINGS_DATA_DIR"]).with_suffix(f".{port}.log")
    command = [sys.executable, "-m", "mailsettings", "serve", "--port", str(port), *options]
    with output.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(url, process, output)
        yield url, output
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in {0, -signal.SIGTERM}


def free_port() -> int:
    """A port of loopback that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], output: Path) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health/ready", timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    pytest.fail(f"the server did not get ready:\n{output.read_text()}")
