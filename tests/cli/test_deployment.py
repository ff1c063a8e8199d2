"""As docker-compose.yml runs it, without containers: migrate, then serve, on PostgreSQL; and the wheel."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest

from mailsettings.store.encryption.key_file import KeyFile, new_key_line

from support import commands
from support.processes import serving

ROOT = Path(__file__).parents[2]
MAIL_SERVER = "/api/20210901/system/mail/server"
PASSWORD = "correct-horse-battery"
BODY = {
    "host": "mail-server.com",
    "port": 25,
    "sender": {"displayName": "John Smith", "emailAddress": "john.smith@myorg.com"},
    "auth": {"authType": "NO_AUTH"},
    "connectionSecurity": {"connectionSecurityType": "NO_CONNECTION_SECURITY"},
}


@pytest.fixture
def environment(empty_postgres_url: str, tmp_path: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAILSETTINGS_")}
    return clean | {
        "MAILSETTINGS_DATABASE_URL": empty_postgres_url,
        "MAILSETTINGS_DATA_DIR": str(tmp_path / "data"),
        "MAILSETTINGS_ADMIN_PASSWORD": PASSWORD,
    }


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return commands.run(environment, *arguments)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_database_server_is_migrated_by_demand_only(environment: dict[str, str]) -> None:
    refused = run(environment, "serve")
    migrated = run(environment, "migrate")

    assert refused.returncode == 3
    said = json.loads(refused.stderr)["message"]
    assert said.startswith("The database is not up to date: it is empty, and this version of ")
    assert said.endswith("To migrate it, run: mailsettings migrate")
    assert (migrated.returncode, migrated.stderr) == (0, "")


def test_two_services_share_one_database_server_and_its_keys(environment: dict[str, str]) -> None:
    run(environment, "migrate")
    with serving(environment) as (first, _), serving(environment) as (second, _):
        form = {"grant_type": "password", "username": "admin", "password": PASSWORD}
        token = httpx.post(f"{first}/cxrestapi/auth/identity/connect/token", data=form).json()["access_token"]
        bearer = {"Authorization": f"Bearer {token}"}
        stored = httpx.put(first + MAIL_SERVER, json=BODY, headers=bearer)
        shown = httpx.get(second + MAIL_SERVER, headers=bearer)
        tested = httpx.post(
            f"{second}/cxrestapi/auth/SMTPSettings/testconnection",
            json={"host": "127.0.0.1", "port": 25, "fromAddress": "a@example.org"},
            headers=bearer,
        )

    assert stored.status_code == 200
    assert shown.json() == BODY
    # Not started with --dev, so this machine is out of bounds.
    assert tested.status_code == 400
    assert "MAILSETTINGS_SMTP_ALLOWED_NETWORKS" in tested.json()["message"]


@pytest.mark.parametrize("found", ["another key file", "no key file"])
def test_a_start_without_the_right_key_fails_without_writing(
    environment: dict[str, str], tmp_path: Path, found: str
) -> None:
    """Case 18."""
    run(environment, "migrate")
    with serving(environment):
        pass
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if found == "another key file":
        ring = KeyFile(elsewhere / "sealing-keys")
        ring.create()
    before = files(elsewhere)

    refused = run(environment | {"MAILSETTINGS_DATA_DIR": str(elsewhere)}, "serve")

    assert refused.returncode == 3
    assert ("sealed with another key" if before else "There is no key file") in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert files(elsewhere) == before


def test_with_mounted_keys_only_the_database_is_written(environment: dict[str, str], tmp_path: Path) -> None:
    """As the pods of `deploy/kubernetes`, which have no disk: the migration has no keys."""
    mounted, no_disk = tmp_path / "mounted", tmp_path / "no-disk"
    mounted.write_text(new_key_line())
    mounted.chmod(0o440)
    keys = {"MAILSETTINGS_ENCRYPTION_KEYS_FILE": str(mounted)}
    environment["MAILSETTINGS_DATA_DIR"] = str(no_disk)
    migrated = run(environment, "migrate")
    with serving(environment | keys) as (url, _):
        ready = httpx.get(f"{url}/health/ready")

    assert (migrated.returncode, ready.status_code) == (0, 200)
    assert not no_disk.exists()


def test_a_wheel_holds_migrations_pages_and_programs(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", str(tmp_path), str(ROOT)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    (scripts,) = (name for name in names if name.endswith(".dist-info/entry_points.txt"))

    assert "mailsettings/store/alembic/env.py" in names
    assert "mailsettings/store/alembic/versions/0001_mail_servers_and_accounts.py" in names
    assert "mailsettings/site/static/docs.html" in names
    assert b"mailsettings-sendmail = mailsettings.sendmail:main\n" in zipfile.ZipFile(wheel).read(scripts)
    assert [name for name in names if not name.startswith("mailsettings")] == []
