"""What `make` does with a lock, in a project of its own, with any pip and an index of newer packages."""

import ensurepip
import os
import subprocess
import sys
import venv
from pathlib import Path

from support import stub_index
from support.stub_index import Stub

INSTALL = Path(__file__).parents[2] / "scripts" / "install.py"
LOCKED = {
    "requirements.lock": [
        Stub("msal", "1.0", ["Requires-Dist: pyjwt[crypto]>=1"]),
        Stub("pyjwt", "1.0", ["Provides-Extra: crypto", "Requires-Dist: cryptography; extra == 'crypto'"]),
        Stub("cryptography", "1.0"),
    ],
    "requirements-dev.lock": [
        Stub("pytest-cov", "1.0", ["Requires-Dist: coverage[toml]>=1"]),
        Stub("coverage", "1.0", ["Provides-Extra: toml", "Requires-Dist: tomli; extra == 'toml'"]),
        Stub("tomli", "1.0"),
    ],
}
"""As the real locks: each has a package that needs another with an extra, which the lock names without it."""
PROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
BACKEND = """\
from pathlib import Path

from support.stub_index import Stub


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    return Stub("project", "1.0", ["Requires-Dist: msal"]).write(Path(wheel_directory)).name
"""


def bundled_pip() -> Path:
    """Return the wheel of the pip that this Python brings."""
    [wheel] = (Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl")
    return wheel


def installed_versions(folder: Path, pip: Path, lock: str) -> list[str]:
    """Install *lock* and a project with `scripts/install.py` in *folder*; return the versions of all packages.

    *pip* is the wheel of a pip; the environment runs it from there. The index has a newer version of each package.
    """
    stubs = LOCKED[lock]
    index = stub_index.write_index(folder / "index", [*stubs, *(stub._replace(version="2.0") for stub in stubs)])
    (folder / lock).write_text(stub_index.lock(folder / "index", stubs))
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "backend.py").write_text(BACKEND)
    venv.create(folder / ".venv")
    [packages] = (folder / ".venv").glob("lib/python*/site-packages")
    (packages / "pip.pth").write_text(str(pip))
    paths = {"PYTHONPATH": str(Path(__file__).parents[1])}
    settings = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": index, **paths}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")} | settings
    subprocess.run([sys.executable, INSTALL, lock, "stamp"], cwd=folder, env=environment, check=True)
    assert (folder / "stamp").exists()
    names = ",".join([*(stub.module for stub in stubs), "project"])
    show = f"import {names}; print(*(module.version for module in ({names})))"
    python = folder / ".venv" / "bin" / "python"
    return subprocess.run([python, "-c", show], capture_output=True, text=True, check=True).stdout.split()
