"""The README is true: its commands are those that exist, and its curl lines work when pasted."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from processes import serving

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PASSWORD = "correct-horse-battery"


def lines_of(section: str) -> str:
    """The commands of one section, as they stand there."""
    text = re.split(r"^## ", README, flags=re.MULTILINE)
    (found,) = (part for part in text if part.startswith(section))
    return "\n".join(line[4:] for line in found.splitlines() if line.startswith("    "))


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAILSETTINGS_")}
    return clean | {
        "MAILSETTINGS_DATA_DIR": str(tmp_path / "data"),
        "MAILSETTINGS_ADMIN_PASSWORD": PASSWORD,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }


def test_the_curl_lines_work_when_pasted(environment: dict[str, str]) -> None:
    script = lines_of("Oracle") + "\n" + lines_of("Checkmarx")
    script = script.replace(".venv/bin/", "")
    script = script.replace("export MAILSETTINGS_DATA_DIR=data ", ": ")
    script = script.replace("password=...", f"password={PASSWORD}")
    script = script.replace("curl ", "curl -sS -w '\\n<%{http_code}>\\n' ")

    with serving(environment, "--dev") as (url, _):
        script = script.replace("http://127.0.0.1:8080", url)
        ran = subprocess.run(
            ["bash", "-ec", script], env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    assert ran.stderr == ""
    # Put, get, delete; log in, create, list, and a test of a server that is not there.
    assert re.findall(r"<(\d+)>", ran.stdout) == ["200", "200", "200", "200", "201", "200", "400"]
    assert "Connecting failed" in ran.stdout


def test_every_command_of_the_readme_exists() -> None:
    documented = set(re.findall(r"^mailsettings (\S+)", lines_of("Command line"), flags=re.MULTILINE))
    told = subprocess.run(
        [sys.executable, "-m", "mailsettings", "--help"], capture_output=True, text=True, check=True
    ).stdout
    existing = set(re.findall(r"^  ([a-z-]+)  ", told.partition("Commands:")[2], flags=re.MULTILINE))

    assert documented == existing


def test_every_make_target_of_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for_contributors = set(re.findall(r"make ([a-z]+)", (ROOT / "CONTRIBUTING.md").read_text()))

    assert set(re.findall(r"make ([a-z]+)", README)) <= targets
    assert for_contributors == targets - {"help", "check"}


def test_every_folder_of_the_readme_exists() -> None:
    for folders in re.findall(r"^\| `((?:src|alembic|tests|docs)[^|]*)` ", README, flags=re.MULTILINE):
        for folder in re.split(r"`, `", folders):
            base, _, names = folder.partition("{")
            for name in names.rstrip("}").split(","):
                assert (ROOT / (base + name)).is_dir(), base + name
