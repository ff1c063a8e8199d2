"""A new dialect is one folder and two lines: the steps of docs/architecture.md, done on a copy of the sources.

The copy gets `tests/dialects/toy`. Then the tests of all dialects run on it, and it is served by a real process.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from support.processes import clean_environment, serving
from support.service import TOKEN
from support.timeouts import GUARD_SECONDS

ROOT = Path(__file__).parents[2]
TOY = Path(__file__).parent / "toy"
CONFIGURATIONS = "/toy/v2/email-configurations"
NEW = {
    "host": "smtp.example.com",
    "port": 587,
    "securityProtocol": "STARTTLS",
    "fromAddress": "a@example.com",
    "username": "mailer",
    "basicPassword": "a password",
}
CHANGED = {"id": "1", "fromName": "Reports"}


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, with the toy added as the page says."""
    copy = tmp_path_factory.mktemp("copy")
    for name in ("src", "tests", "docs", "alembic", "pyproject.toml"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / name)
    dialects = copy / "src" / "mailsettings" / "dialects"
    shutil.copytree(TOY, dialects / "toy", ignore=shutil.ignore_patterns("__pycache__"))
    registry = dialects / "__init__.py"
    text = registry.read_text(encoding="utf-8")
    listed = text.replace("V1)", "V1, TOY)")
    registry.write_text(f"from mailsettings.dialects.toy import TOY\n{listed}", encoding="utf-8")
    return copy


def environment(copy: Path) -> Mapping[str, str]:
    return {**os.environ, "PYTHONPATH": str(copy / "src")}


def run_tests(copy: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    ran = subprocess.run(command, cwd=copy, env=environment(copy), capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stdout[-5000:] + ran.stderr[-2000:]


def test_new_dialect_passes_the_tests_of_all_dialects(copied: Path) -> None:
    run_tests(copied, "tests/site/test_openapi.py", "--renew-openapi", "-k", "committed")
    run_tests(copied, "tests/site/test_openapi.py", "tests/dialects", "-k", "toy and not new_dialect")

    assert (copied / "docs" / "openapi" / "toy.json").exists()


def test_new_dialect_is_served_by_a_real_process(copied: Path, tmp_path: Path) -> None:
    settings = {**clean_environment(tmp_path / "data"), "PYTHONPATH": str(copied / "src")}
    with (
        serving(settings, "--workers", "1") as (url, _),
        httpx.Client(base_url=url, timeout=GUARD_SECONDS) as http,
    ):
        login = {
            "grant_type": "password",
            "username": "admin",
            "password": settings["MAILSETTINGS_ADMIN_PASSWORD"],
        }
        token = http.post(TOKEN, data=login).json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        created = http.post(CONFIGURATIONS, json=NEW)
        path = httpx.URL(created.headers["Location"]).path
        changed = http.patch(path, json={"fromName": "Reports"})
        moved = http.patch(path, json={"host": "other.example.com"})
        wrong = http.put(path, json=NEW)
        shown = http.get(path).json()

    assert (created.status_code, changed.status_code) == (201, 204)
    assert shown == {**{name: value for name, value in NEW.items() if name != "basicPassword"}, **CHANGED}
    assert (moved.status_code, moved.json()["message"].split()[0]) == (400, "basicPassword")
    assert (wrong.status_code, wrong.headers["Allow"]) == (405, "GET, HEAD, PATCH, DELETE")
