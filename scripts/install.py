"""Install a hashed lock and this project into .venv, then leave a stamp. Standard library only.

It is independent of the service; `make` calls it when a lock is newer than the stamp.
"""

import subprocess
import sys
import venv
from pathlib import Path

OLDEST = (3, 11)


def main(lock: str, *stamps: str) -> None:
    """Install the packages of *lock*, requiring hashes, and touch *stamps*."""
    if sys.version_info < OLDEST:
        sys.exit(f"Python {OLDEST[0]}.{OLDEST[1]} or newer is needed; try: make PYTHON=python3.12 …")
    home = Path(".venv")
    python = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not python.exists():
        print("making .venv …", flush=True)
        venv.create(home, with_pip=True)
    print(f"installing {lock} …", flush=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # The lock is whole, so pip has nothing to resolve. With dependencies, an old pip such as 23.2 reads the extra
    # in `pytest-cov -> coverage[toml]` as a requirement of its own that the lock does not pin, and stops.
    subprocess.run([*pip, "--no-deps", "--require-hashes", "--requirement", lock], check=True)
    # The lock includes the packages for the build, so this fetches nothing without a hash.
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--editable", "."], check=True)
    for stamp in stamps:
        Path(stamp).touch()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except subprocess.CalledProcessError as failed:
        sys.exit(f"the install stopped: {' '.join(failed.cmd[1:4])} ended with {failed.returncode}")
