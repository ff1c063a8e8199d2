"""Commands on this machine call the same API in their own process, as the operator."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mailsettings.cli import main
from mailsettings.store import migrations

from support.processes import clean_environment


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings of a new database."""
    for name, value in clean_environment(tmp_path / "data").items():
        monkeypatch.setenv(name, value)
    migrations.migrate(f"sqlite:///{tmp_path / 'data' / 'mailsettings.db'}")
    return tmp_path / "data"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_an_unknown_server_is_refused_in_a_sentence(data: Path) -> None:
    ran = run("server", "show", "../7%2f?x=y#z")

    assert (ran.exit_code, ran.stdout, ran.stderr) == (4, "", "Error: There is no such mail server.\n")


def test_an_older_database_is_reported_and_not_migrated(data: Path) -> None:
    """Only `serve`, `migrate` and `restore FILE` migrate."""
    newest = migrations.head()
    with closing(sqlite3.connect(data / "mailsettings.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '0006'")
    ran = run("server", "list")

    assert (ran.exit_code, ran.stdout) == (3, "")
    assert f"it has schema 0006, and this version of mailsettings needs schema {newest}." in ran.stderr
    assert "To migrate it, run: mailsettings migrate" in ran.stderr
    with closing(sqlite3.connect(data / "mailsettings.db")) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [("0006",)]


def test_the_empty_list_has_headers_for_people_and_none_for_programs(data: Path) -> None:
    assert run("server", "list").stdout.split()[:3] == ["ID", "NAME", "SERVER"]
    assert json.loads(run("server", "list", "-o", "json").stdout) == []
