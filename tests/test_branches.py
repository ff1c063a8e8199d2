"""`make coverage` takes the first result of each test, and fails where a branch is not tested."""

import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
RULES = "def rule(flag):\n    if flag:\n        return 1\n    return 2\n"
IMPORTS = "from pathlib import Path\nfrom toy.rules import rule\n"
ALL_IS_TESTED = "def test_rule():\n    assert (rule(True), rule(False)) == (1, 2)\n"
FAILS_ONCE = """\
def test_rule():
    assert (rule(True), rule(False)) == (1, 2)
    with Path('runs').open('a') as file:
        file.write('run ')
    assert Path('runs').read_text() != 'run '
"""
CASES = {
    "all is tested": (ALL_IS_TESTED, True),
    "a branch is not tested": ("def test_rule():\n    assert rule(True) == 1\n", False),
    "a test fails the first time only": (FAILS_ONCE, False),
}


TESTED: Any = runpy.run_path(str(ROOT / "scripts/tested.py"))
PARTS = {"all": TESTED["Part"](["toy.rules"], ["tests/test_rules.py::test_rule"])}


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A project with one module, a test that is counted, and a test that is not."""
    for folder in ("toy", "tests"):
        (tmp_path / folder).mkdir()
    (tmp_path / "toy/__init__.py").touch()
    (tmp_path / "toy/rules.py").write_text(RULES)
    (tmp_path / "tests/test_other.py").write_text("def test_other():\n    pass\n")
    return tmp_path


def run(project: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run pytest as the Makefile does."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST"))}
    # Other plugins would take most of the time.
    environment |= {"PYTHONPATH": str(project), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    plugins = ["-p", "xdist.plugin", "-p", "pytest_cov.plugin"]
    command = [sys.executable, "-m", "pytest", *plugins, "-n", "2", "--dist", "worksteal", *options]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("case", CASES)
def test_the_first_result_counts(toy: Path, case: str) -> None:
    test, passes = CASES[case]
    (toy / "tests/test_rules.py").write_text(IMPORTS + test)
    ran = run(toy, *TESTED["counted"](PARTS))

    assert (ran.returncode == 0) == passes, ran.stdout + ran.stderr
    assert ("1 failed" in ran.stdout) == ("fails" in case)


def test_each_test_runs_once(toy: Path) -> None:
    (toy / "tests/test_rules.py").write_text(IMPORTS + ALL_IS_TESTED)
    counted, rest = (run(toy, "-v", *TESTED[options](PARTS)).stdout for options in ("counted", "rest"))

    assert ("test_rule" in counted, "test_other" in counted) == (True, False)
    assert ("test_rule" in rest, "test_other" in rest) == (False, True)
    assert "1 passed" in counted
    assert "1 passed" in rest


def test_nothing_runs_a_failed_test_again() -> None:
    files = [ROOT / "Makefile", ROOT / "pyproject.toml", ROOT / ".ci/run", *(ROOT / "scripts").glob("*.py")]
    told = "".join(file.read_text() for file in [*files, *(ROOT / "tests").rglob("conftest.py")])

    assert [
        word for word in ("--last-failed", "--lf", "--reruns", "flaky", "|| true", "\t-$") if word in told
    ] == []
