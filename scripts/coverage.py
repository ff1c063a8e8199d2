"""Branch coverage of the modules in `tested.py`, where a branch that nobody tried is a hole; 1 below 100 %."""

import subprocess
import sys

from tested import PARTS, PYTEST

MODULES = ",".join(f"src/mailsettings/{module}" for part in PARTS.values() for module in part.modules)
TESTS = sorted({f"tests/{test}" for part in PARTS.values() for test in part.tests})
RUN = [sys.executable, "-m", "pytest", "-q", "-n", "2", *PYTEST, *TESTS]
COUNT = ["--cov=mailsettings", "--cov-branch", "--cov-report="]
REPORT = [sys.executable, "-m", "coverage", "report", f"--include={MODULES}", "--show-missing"]


def main() -> int:
    """Run the tests that are about them, and report what is left.

    Python 3.11 may lose a thread, or a line, to the counting: a thread that begins while another does, a coroutine
    that goes on after an error. So what fails is tried once more, and what is missing counted once more. What is
    wrong or was never tried is so the second time too.
    """
    if _fails(*RUN, *COUNT) and _fails(*RUN, *COUNT, "--last-failed", "--cov-append"):
        return 1
    if not _fails(*REPORT, "--fail-under=100", "--skip-covered"):
        return 0
    return _fails(*RUN, *COUNT, "--cov-append") or _fails(*REPORT, "--fail-under=100", "--skip-covered")


def _fails(*command: str) -> int:
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
