"""`mailsettings doctor`: a line for each check, what to do where it is wrong, and exit code 1."""

import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from mailsettings.cli import main
from mailsettings.cli.doctor import clock_finding
from mailsettings.cli.findings import State
from mailsettings.store import migrations

from support.processes import clean_environment, free_port


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database with keys; its service does not run."""
    for name, value in clean_environment(tmp_path / "data", PORT=str(free_port())).items():
        monkeypatch.setenv(name, value)
    migrations.migrate(f"sqlite:///{tmp_path / 'data' / 'mailsettings.db'}")
    assert CliRunner().invoke(main, ["account", "list"]).exit_code == 0  # makes the keys
    return tmp_path / "data"


def checked(code: int) -> dict[str, Any]:
    """Each finding by its check."""
    ran = CliRunner().invoke(main, ["doctor", "-o", "yaml"])
    assert ran.exit_code == code, ran.output
    return {finding["check"]: finding for finding in yaml.safe_load(ran.stdout)}


def test_a_good_installation_has_nothing_wrong(data: Path) -> None:
    found = checked(0)

    assert {name for name, finding in found.items() if finding["state"] != "ok"} == set()
    assert set(found) == {
        *("version", "settings", "database", "schema", "keys", "clock"),
        *("audit log", "files", "egress", "listener"),
    }
    assert "MAILSETTINGS_DATA_DIR (environment)" in found["settings"]["found"]
    assert "No program listens" in found["listener"]["found"]


def test_people_get_a_line_for_each_check(data: Path) -> None:
    (data / "mailsettings.db").chmod(0o640)
    data.chmod(0o755)
    ran = CliRunner().invoke(main, ["doctor"])

    assert ran.exit_code == 1
    assert f"wrong files       {data} is open to every user of this machine. Run: chmod 700 {data}\n" in ran.stdout


def test_an_older_schema_is_wrong_and_stays(data: Path) -> None:
    with closing(sqlite3.connect(data / "mailsettings.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '0006'")

    assert "run: mailsettings migrate" in checked(1)["schema"]["found"]


def test_a_missing_key_file_is_wrong_and_not_made(data: Path) -> None:
    (data / "sealing-keys").unlink()

    assert checked(1)["keys"]["advice"] == "Put it back."
    assert not (data / "sealing-keys").exists()


def test_wrong_settings_are_named(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILSETTINGS_LOG_LEVEL", "loud")

    assert "MAILSETTINGS_LOG_LEVEL is not valid" in checked(1)["settings"]["found"]


def test_a_missing_database_is_named_and_not_made(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = data.parent / "elsewhere"
    monkeypatch.setenv("MAILSETTINGS_DATA_DIR", str(elsewhere))

    assert "There is no mail-settings database" in checked(1)["database"]["found"]
    assert not elsewhere.exists()


def test_another_program_on_the_port_is_reported(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        taken.settimeout(0)
        monkeypatch.setenv("MAILSETTINGS_PORT", str(taken.getsockname()[1]))
        monkeypatch.setattr("mailsettings.cli.checkup._LISTENER_SECONDS", 0.2)
        assert "Another program listens" in checked(1)["listener"]["found"]


@pytest.mark.parametrize(("seconds", "state"), [(59, State.GOOD), (-61, State.WRONG), (3600, State.WRONG)])
def test_a_clock_may_differ_by_a_minute(seconds: float, state: State) -> None:
    assert clock_finding(seconds, "the database's").state is state
