"""Only locked packages are installed, byte for byte; an audit without a network reports it."""

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from typing import Any

import pip
import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"
LOCK = (
    "click==8.5.1 \\\n    --hash=sha256:00\ncolorama==0.4.6 ; sys_platform == 'win32' \\\n    --hash=sha256:00\n"
)
FINE = {"name": "click", "version": "8.5.1", "vulns": []}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an environment of its own, and one package that installs without a network."""
    folder = tmp_path_factory.mktemp("project")
    venv.create(folder / ".venv")
    [packages] = (folder / ".venv").glob("lib/python*/site-packages")
    (packages / "borrowed.pth").write_text(str(Path(pip.__file__).parents[1]))  # pip itself, without its minute
    with zipfile.ZipFile(folder / "tiny-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny.py", "")
        wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        wheel.writestr(
            "tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("tiny-1.0.dist-info/RECORD", "tiny.py,,\n")
    return folder


def install(project: Path, lock: str) -> tuple[subprocess.CompletedProcess[str], bool]:
    """What `make` does with *lock*, and whether the package is there afterwards."""
    (project / "tiny.lock").write_text(lock)
    environment = {
        **os.environ,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(project),
    }
    script = [sys.executable, str(SCRIPTS / "install.py"), "tiny.lock", "stamp"]
    done = subprocess.run(script, cwd=project, env=environment, capture_output=True, text=True, check=False)
    python = project / ".venv" / "bin" / "python"
    there = subprocess.run([python, "-c", "import tiny"], capture_output=True, check=False).returncode == 0
    return done, there


@pytest.mark.parametrize(
    ("hashes", "installed"),
    [
        (lambda digest: f" --hash=sha256:{digest[::-1]}", False),
        (lambda digest: "", False),
        (lambda digest: f" --hash=sha256:{digest}", True),
    ],
    ids=["another hash", "no hash", "its hash"],
)
def test_only_packages_with_the_locked_hash_are_installed(project: Path, hashes: Any, installed: bool) -> None:
    python = project / ".venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "uninstall", "-qy", "tiny"], capture_output=True, check=False)
    digest = hashlib.sha256((project / "tiny-1.0-py3-none-any.whl").read_bytes()).hexdigest()

    done, there = install(project, f"tiny==1.0{hashes(digest)}\n")

    assert there is installed
    # With the right hash it continues to the project itself, which does not exist in this folder.
    assert "the install stopped" in done.stderr
    assert ("hash" in done.stderr.lower()) is not installed
    assert not (project / "stamp").exists()


@pytest.fixture(scope="module")
def audit() -> Any:
    spec = importlib.util.spec_from_file_location("audit", SCRIPTS / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def report(*dependencies: dict[str, Any]) -> str:
    return json.dumps({"dependencies": dependencies, "fixes": []})


UNCLEAN = {
    "no report": (1, "", "gave no report"),
    "half a report": (0, '{"dependencies": [', "gave no report"),
    "another report": (0, "[]", "gave no report"),
    "nothing asked": (0, report(), "click 8.5.1 was not asked about"),
    "another version": (0, report(FINE | {"version": "8.5.0"}), "click 8.5.1 was not asked about"),
    "skipped": (0, report({"name": "click", "skip_reason": "not found on PyPI"}), "click was skipped"),
    "vulnerable": (0, report(FINE | {"vulns": [{"id": "CVE-1"}]}), "click 8.5.1: CVE-1"),
    "failed for no reason": (1, report(FINE), "ended with 1"),
}


@pytest.mark.parametrize("case", UNCLEAN)
def test_an_audit_that_is_not_about_every_package_fails(
    audit: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    status, output, problem = UNCLEAN[case]

    assert run(audit, tmp_path, status, output) == 1
    assert problem in capsys.readouterr().out


def test_an_audit_of_every_package_that_found_nothing_passes(audit: Any, tmp_path: Path) -> None:
    assert run(audit, tmp_path, 0, report(FINE)) == 0


def test_an_audit_of_nothing_fails(audit: Any, tmp_path: Path) -> None:
    assert run(audit, tmp_path, 0, report(), lock="") == 1
    with pytest.raises(SystemExit, match="1"):
        audit.main()


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_every_pin_of_the_locks_has_a_hash(audit: Any, name: str) -> None:
    text = (SCRIPTS.parent / name).read_text()
    pins = [line for line in text.splitlines() if line and not line.startswith(" ")]

    seen = audit.locked(text)

    assert len(seen) == len({line.split("==")[0] for line in pins if ";" not in line}) > 30
    assert all(line.endswith("\\") for line in pins)
    assert "://" not in text


def run(audit: Any, folder: Path, status: int, output: str, lock: str = LOCK) -> int:
    """What `make audit` ends with when the tool says *output* and ends with *status*."""
    (folder / "some.lock").write_text(lock)
    tool = folder / "tool.py"
    tool.write_text(f"import sys\nprint({output!r})\nsys.exit({status})\n")
    with pytest.raises(SystemExit) as ended:
        audit.main(str(folder / "some.lock"), tool=[sys.executable, str(tool)])
    return int(str(ended.value.code))
