"""The unit for systemd is valid, hardened, and about this program."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from pydantic import SecretStr

from mailsettings.cli import main
from mailsettings.cli.serving.start import WORKER_EXIT_MARGIN_SECONDS
from mailsettings.settings import PREFIX, Settings

from support.compose import ROOT

UNIT = ROOT / "deploy" / "systemd" / "mailsettings.service"
TEXT = UNIT.read_text()
PROGRAM = "/usr/local/bin/mailsettings"
MAX_EXPOSURE = 20
"""In tenths, of the scale of `systemd-analyze security`, which calls more than that no longer safe."""


def values(name: str) -> list[str]:
    """What the unit says about *name*, also in the lines to choose from."""
    return re.findall(rf"^#?{name}=(.*)$", TEXT, flags=re.MULTILINE)


def test_the_unit_uses_commands_and_settings_that_exist() -> None:
    commands = [line.removeprefix(PROGRAM).split()[0] for line in values("ExecStartPre") + values("ExecStart")]
    settings = [line.split("=")[0] for line in values("Environment")]

    assert set(commands) <= set(main.list_commands(click.Context(main)))
    assert {name.removeprefix(PREFIX).lower() for name in settings} <= set(Settings.model_fields)
    assert settings == [f"{PREFIX}DATA_DIR"]


def test_secrets_are_credentials_with_the_names_of_settings() -> None:
    names = {line.split(":")[0].removeprefix(PREFIX).lower() for line in values("LoadCredential")}
    fields = {name: Settings.model_fields[name] for name in names}

    assert names
    for field in fields.values():
        assert SecretStr in (field.annotation, *getattr(field.annotation, "__args__", ()))


def test_running_requests_have_their_time_to_finish() -> None:
    defaults = Settings.model_construct()
    takes = defaults.drain_timeout_seconds + defaults.grace_timeout_seconds + WORKER_EXIT_MARGIN_SECONDS

    assert [int(seconds) > takes for seconds in values("TimeoutStopSec")] == [True]


@pytest.fixture
def analyze(tmp_path: Path) -> Callable[..., str]:
    """Run systemd-analyze on the unit; skip where it is missing."""
    path = shutil.which("systemd-analyze") or pytest.skip("systemd-analyze is missing: it is part of systemd")
    installed = tmp_path / UNIT.name
    installed.write_text(TEXT.replace(PROGRAM, shutil.which("true") or "/bin/true"))

    def run(*arguments: str) -> str:
        ran = subprocess.run([path, *arguments, installed], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    return run


def test_systemd_accepts_every_line(analyze: Callable[..., str]) -> None:
    assert analyze("verify") == ""


def test_systemd_finds_the_service_little_exposed(analyze: Callable[..., str]) -> None:
    told = analyze("security", "--offline=true", f"--threshold={MAX_EXPOSURE}")

    assert "Overall exposure level" in told
