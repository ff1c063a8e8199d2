"""`make coverage` takes the first result of each test, and fails where a branch is not tested."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RULES = "def rule(flag):\n    if flag:\n        return 1\n    return 2\n"
TESTED = """\
from typing import NamedTuple


class Part(NamedTuple):
    modules: list[str]
    tests: list[str]


PARTS = {"all": Part(["rules.py"], ["test_rules.py"])}
"""
IMPORTS = "from pathlib import Path\nfrom mailsettings.rules import rule\n"
FAILS_ONCE = """\
def test_rule():
    assert (rule(True), rule(False)) == (1, 2)
    with Path('runs').open('a') as file:
        file.write('run ')
    assert Path('runs').read_text() != 'run '
"""
CASES = {
    "all is tested": ("def test_rule():\n    assert (rule(True), rule(False)) == (1, 2)\n", 0),
    "a branch is not tested": ("def test_rule():\n    assert rule(True) == 1\n", 2),
    "a test fails the first time only": (FAILS_ONCE, 1),
}


@pytest.mark.parametrize("case", CASES)
def test_the_first_result_counts(tmp_path: Path, case: str) -> None:
    test, status = CASES[case]
    for folder in ("scripts", "src/mailsettings", "tests"):
        (tmp_path / folder).mkdir(parents=True)
    for script in ("branches.py", "counted.py"):
        shutil.copy(ROOT / "scripts" / script, tmp_path / "scripts")
    (tmp_path / "scripts/tested.py").write_text(TESTED)
    (tmp_path / "src/mailsettings/__init__.py").touch()
    (tmp_path / "src/mailsettings/rules.py").write_text(RULES)
    (tmp_path / "tests/test_rules.py").write_text(IMPORTS + test)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST"))}
    environment |= {"PYTHONPATH": str(tmp_path / "src")}
    command = [sys.executable, "scripts/branches.py"]
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert ran.returncode == status, ran.stdout + ran.stderr
    assert "1 failed" in ran.stdout or status != 1


def test_nothing_runs_a_failed_test_again() -> None:
    files = [ROOT / "Makefile", ROOT / "pyproject.toml", ROOT / ".ci/run", *(ROOT / "scripts").glob("*.py")]
    told = "".join(file.read_text() for file in [*files, *(ROOT / "tests").rglob("conftest.py")])

    assert [
        word for word in ("--last-failed", "--lf", "--reruns", "flaky", "|| true", "\t-$") if word in told
    ] == []
