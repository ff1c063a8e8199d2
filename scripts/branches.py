"""Run the tests of `tested.py` once and count the branches; fail at a failed test or below 100 %."""

import os
import subprocess
import sys
from pathlib import Path

from tested import PARTS

MODULES = ",".join(f"src/mailsettings/{module}" for part in PARTS.values() for module in part.modules)
TESTS = sorted({f"tests/{test}" for part in PARTS.values() for test in part.tests})
PYTEST = [
    sys.executable,
    "-m",
    "pytest",
    "-q",
    "-n",
    "2",
    "--dist",
    "worksteal",
    "-p",
    "counted",
    "--part",
    "counted",
]
COUNT = ["--cov=mailsettings", "--cov-branch", "--cov-report="]
REPORT = [sys.executable, "-m", "coverage", "report", f"--include={MODULES}", "--show-missing", "--skip-covered"]


def main() -> int:
    """Return the exit status of the tests, or else of the report."""
    # The plugin is beside this script.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(_search_path())}
    tests = subprocess.run([*PYTEST, *COUNT, *TESTS], env=environment, check=False)
    return tests.returncode or subprocess.run([*REPORT, "--fail-under=100"], check=False).returncode


def _search_path() -> list[str]:
    return [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]


if __name__ == "__main__":
    sys.exit(main())
