"""`pipx install` of the built wheel gives an operator commands that work, with the migrations in the wheel."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mailsettings import __version__

from support.compose import ROOT
from support.external_programs import program
from support.processes import clean_environment


def run(*command: str | Path, environment: dict[str, str]) -> str:
    ran = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.mark.needs("pipx")
def test_pipx_installs_the_wheel_and_its_commands_work(tmp_path: Path) -> None:
    dist, programs = tmp_path / "dist", tmp_path / "bin"
    places = {"PIPX_HOME": str(tmp_path / "pipx"), "PIPX_BIN_DIR": str(programs)}
    environment = clean_environment(tmp_path / "data") | places
    environment.pop("PYTHONPATH", None)
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(dist)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = dist.iterdir()

    run(program("pipx"), "install", "--python", sys.executable, wheel, environment=environment)
    version = run(programs / "mailsettings", "--version", environment=environment)
    run(programs / "mailsettings", "migrate", environment=environment)

    assert version == f"mailsettings {__version__}\n"
    assert (tmp_path / "data" / "mailsettings.db").exists()
    assert os.access(programs / "mailsettings-sendmail", os.X_OK)
