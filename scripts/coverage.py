"""Branch coverage of the modules in `tested.py`, where a branch that nobody tried is a hole; 1 below 100 %."""

import subprocess
import sys

from tested import PARTS, PYTEST


def main() -> None:
    """Run the tests that are about them, and report what is left."""
    tests = sorted({f"tests/{test}" for part in PARTS.values() for test in part.tests})
    pytest = [sys.executable, "-m", "pytest", "-q", "-n", "2", *PYTEST, *tests]
    options = ["--cov=mailsettings", "--cov-branch", "--cov-report="]
    if subprocess.run([*pytest, *options], check=False).returncode:
        # Python 3.11 cannot begin to trace two threads at the same moment, and the thread that is late dies of it.
        # A test that failed for any other reason fails again.
        subprocess.run([*pytest, *options, "--last-failed", "--cov-append"], check=True)
    modules = ",".join(f"src/mailsettings/{module}" for part in PARTS.values() for module in part.modules)
    report = [sys.executable, "-m", "coverage", "report", f"--include={modules}", "--show-missing"]
    subprocess.run([*report, "--fail-under=100", "--skip-covered"], check=True)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as failed:
        sys.exit(failed.returncode)
