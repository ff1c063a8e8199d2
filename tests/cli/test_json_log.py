"""Where the log has lines of JSON, no process of the service writes any other line."""

import asyncio
import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from support import commands
from support.processes import clean_environment, started
from support.relay_process import relay_environment
from support.waiting import eventually
from support.worker_forks import NAME as WORKER

SERVICES = ["serve", "serve --workers=2", "serve --relay", "relay"]


def lines(text: str) -> list[Mapping[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def relay_pair(folder: Path) -> dict[str, str]:
    """The settings that name a certificate for the relay."""
    pair = trustme.CA().issue_cert("127.0.0.1")
    files = {"CERTIFICATE": pair.cert_chain_pems[0], "KEY": pair.private_key_pem}
    for name, content in files.items():
        content.write_to_path(str(folder / name))
    return {f"RELAY_TLS_{name}": str(folder / name) for name in files}


def child(pid: int, name: str) -> int:
    """A child of the process *pid*, of any of its threads, with *name* in its command or its name."""
    found = " ".join(each.read_text() for each in Path(f"/proc/{pid}/task").glob("*/children"))
    return next(
        int(each)
        for each in found.split()
        if name in Path(f"/proc/{each}/comm").read_text() + Path(f"/proc/{each}/cmdline").read_text()
    )


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are found in Linux's /proc")
async def test_workers_and_a_relay_write_only_json(tmp_path: Path) -> None:
    environment = relay_environment(tmp_path / "data", DEV="false", LOG_LEVEL="debug", **relay_pair(tmp_path))
    del environment["MAILSETTINGS_ADMIN_PASSWORD"]
    with started(environment, "--workers=2", "--relay") as server:

        async def wait_for(message: str, count: int) -> None:
            await eventually(
                lambda: asyncio.to_thread(server.output.read_text), lambda text: text.count(message) >= count
            )

        await wait_for("Application startup complete.", 2)
        await wait_for("The relay takes mail on", 1)
        for name in (WORKER, "relay_process"):
            os.kill(child(server.process.pid, name), signal.SIGKILL)
        await wait_for("Application startup complete.", 3)
        await wait_for("The relay takes mail on", 2)
        await asyncio.to_thread(httpx.get, f"{server.url}/cxrestapi/auth/SMTPSettings")
        server.tell()
        status = await asyncio.to_thread(server.status)

    written = lines(server.output.read_text())
    messages = " ".join(line["message"] for line in written)
    assert status == 0
    assert all({"time", "level", "logger", "message", "request_id"} <= line.keys() for line in written)
    for part in ("The password of the first account", "The relay ended with status -9", "ended with status -9"):
        assert part in messages


@pytest.mark.parametrize("service", SERVICES)
def test_a_wrong_setting_is_told_in_the_format_of_the_log(tmp_path: Path, service: str) -> None:
    environment = clean_environment(tmp_path / "data", LOG_LEVEL="loud", PORT="0")
    as_json = commands.run(environment, *service.split())
    as_text = commands.run(environment | {"MAILSETTINGS_LOG_FORMAT": "text"}, *service.split())

    (line,) = lines(as_json.stdout + as_json.stderr)
    assert as_json.returncode == as_text.returncode == 2
    assert line["level"] == "ERROR"
    assert as_text.stderr == f"Error: {line['message']}\n"
    assert "MAILSETTINGS_LOG_LEVEL is not valid" in as_text.stderr
