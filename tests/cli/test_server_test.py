"""`mailsettings server test`: stored settings are tested, and told stage by stage."""

import asyncio
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mailsettings.cli.testing.probing import STORED_VOCABULARY, members
from mailsettings.cli.testing.report import render
from mailsettings.domain.connection_test import Outcome, ProbeReport, ProbeStage, StageReport
from mailsettings.store import migrations
from mailsettings.store.database import SQLStore
from mailsettings.store.encryption.sealing import Sealer

from support import commands
from support.databases import KEY
from support.smtp_server import Behaviour, real_server

REFUSING = Behaviour(recipient_reply="550 5.1.1 No such user")


async def stored(data_dir: Path, server: Any) -> None:
    """The settings of *server*, in the database that the command line finds in *data_dir*."""
    url = f"sqlite:///{data_dir / 'mailsettings.db'}"
    migrations.migrate(url)
    (data_dir / "sealing-key").write_bytes(KEY)
    (data_dir / "sealing-key").chmod(0o600)
    store = SQLStore(url, Sealer(KEY))
    async with store.writing() as work:
        await work.mail_servers.choose_default(await work.mail_servers.add(server))
    await store.close()


async def run(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"MAILSETTINGS_DATA_DIR": str(data_dir), "MAILSETTINGS_DEV": "true"}
    return await asyncio.to_thread(commands.run, environment, "server", "test", *arguments)


@pytest.mark.parametrize("which", [[], ["--api", "oracle"], ["--id", "1"], ["1"]], ids=" ".join)
async def test_stored_settings_that_work_are_told_to(tmp_path: Path, which: list[str]) -> None:
    async with real_server(Behaviour()) as server:
        await stored(tmp_path / "data", server.settings())
        told = await run(tmp_path / "data", *which, "--to", "receiver@example.com")

    assert (told.returncode, told.stderr) == (0, "")
    assert re.findall(r"^(\w+) +(\S+)", told.stdout, re.MULTILINE)[:-1] == [
        ("resolve", "ok"),
        ("connect", "ok"),
        ("greet", "ok"),
        ("secure", "-"),
        ("authenticate", "-"),
        ("sender", "ok"),
        ("recipient", "ok"),
        ("content", "ok"),
    ]
    assert told.stdout.endswith("The mail server works.\n")
    assert len(server.messages) == 1


async def test_failure_has_reply_and_remedy_and_exit_code_1(tmp_path: Path) -> None:
    async with real_server(REFUSING) as server:
        await stored(tmp_path / "data", server.settings())
        told = await run(tmp_path / "data", "--to", "receiver@example.com")

    assert (told.returncode, told.stderr) == (1, "")
    assert re.search(r"^recipient +FAILED", told.stdout, re.MULTILINE)
    assert "[recipient_refused]" in told.stdout
    assert "The server replied: 550 5.1.1 No such user" in told.stdout


async def test_the_json_report_is_in_snake_case(tmp_path: Path) -> None:
    async with real_server(REFUSING) as server:
        await stored(tmp_path / "data", server.settings())
        told = await run(tmp_path / "data", "--to", "receiver@example.com", "--json")

    report = json.loads(told.stdout)
    assert (told.returncode, report["failure"]["code"]) == (1, "recipient_refused")
    assert report["failure"]["reply"] == {"code": 550, "enhanced_code": "5.1.1", "text": "No such user"}
    assert not re.search(r'"[a-z]+[A-Z]\w*":', told.stdout)
    (address,) = report["stages"][1]["addresses"]
    assert address.keys() == {"address", "outcome", "milliseconds"}
    assert address["outcome"] == "connected"


async def test_without_a_receiver_the_report_says_nothing_was_sent(tmp_path: Path) -> None:
    async with real_server(Behaviour()) as server:
        await stored(tmp_path / "data", server.settings())
        told = await run(tmp_path / "data")

    assert told.returncode == 0
    assert "no mail was sent" in told.stdout
    assert server.messages == []


def test_on_a_terminal_outcomes_have_colours() -> None:
    stages = (
        StageReport(ProbeStage.RESOLVE, Outcome.PASSED),
        StageReport(ProbeStage.CONNECT, Outcome.FAILED),
        StageReport(ProbeStage.CONTENT, Outcome.UNKNOWN),
    )
    lines = render(members(ProbeReport(stages), STORED_VOCABULARY)).splitlines()

    assert [line[13:18] for line in lines[:3]] == ["\x1b[32m", "\x1b[31m", "\x1b[33m"]
