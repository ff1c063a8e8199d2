"""A command works on an existing database; without one it fails and creates nothing."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner

from mailsettings.cli import main
from mailsettings.store import database_url

from support import commands

COMMANDS = {
    "audit list": ["audit", "list"],
    "audit verify": ["audit", "verify"],
    "backup": ["backup", "new.backup", "--passphrase-file", "no-such-file"],
    "client": ["client", "list"],
    "server history": ["server", "history"],
    "key encryption": ["key", "encryption", "status"],
    "server restore": ["server", "restore", "relay", "1"],
    "server secret-expiry": ["server", "secret-expiry", "--never"],
    "key signing": ["key", "signing", "list"],
    "server test": ["server", "test"],
    "token": ["token", "--permission", "view-metrics"],
    "account": ["account", "list"],
    "monitoring": ["monitoring", "status"],
}


def refused(arguments: list[str], **environment: str | None) -> str:
    ran = CliRunner().invoke(main, arguments, env={"MAILSETTINGS_DATABASE_URL": None, **environment})
    assert ran.exit_code == 3, ran.output
    return ran.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_a_mistyped_data_directory_is_named_and_not_made(tmp_path: Path, name: str) -> None:
    told = refused(COMMANDS[name], MAILSETTINGS_DATA_DIR=str(tmp_path / "dta"))

    assert f"There is no mail-settings database at {tmp_path / 'dta' / 'mailsettings.db'}." in told
    assert "MAILSETTINGS_DATA_DIR decides where it is" in told
    assert list(tmp_path.iterdir()) == []


def test_without_any_setting_both_variables_are_named(tmp_path: Path) -> None:
    told = refused(
        ["account", "list"], MAILSETTINGS_DATA_DIR=None, XDG_DATA_HOME=str(tmp_path), HOME=str(tmp_path)
    )

    assert f"{tmp_path}/mailsettings/mailsettings.db" in told
    assert "Neither MAILSETTINGS_DATA_DIR nor MAILSETTINGS_DATABASE_URL is set" in told
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "mailsettings.db").touch(mode=0o600)

    assert "There is no mail-settings database" in refused(
        ["account", "list"], MAILSETTINGS_DATA_DIR=str(tmp_path)
    )
    assert [path.name for path in tmp_path.iterdir()] == ["mailsettings.db"]


@pytest.mark.parametrize("name", COMMANDS)
def test_an_empty_database_server_is_named(tmp_path: Path, empty_postgres_url: str, name: str) -> None:
    told = refused(
        COMMANDS[name],
        MAILSETTINGS_DATABASE_URL=empty_postgres_url,
        MAILSETTINGS_DATA_DIR=str(tmp_path / "data"),
    )

    database = empty_postgres_url.rpartition("/")[2].partition("?")[0]
    assert f"There is no mail-settings database named {database} at " in told
    assert "MAILSETTINGS_DATABASE_URL selects the database" in told
    assert list(tmp_path.iterdir()) == []


def test_where_a_database_is_tells_no_password() -> None:
    urls = {
        "sqlite:////data/mailsettings.db": "at /data/mailsettings.db",
        "postgresql://me:canary@db.example.org:5433/a?password=canary": "named a at db.example.org:5433",
        "postgresql://me:canary@first,second/settings": "named settings at first,second",
        "postgresql:///settings": "named settings",
    }

    assert {url: database_url.location(url) for url in urls} == urls


def installed(data_dir: Path) -> Mapping[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAILSETTINGS_")}
    return clean | {"MAILSETTINGS_DATA_DIR": str(data_dir)}


def test_after_migrate_every_command_works(tmp_path: Path) -> None:
    def run(*arguments: str) -> int:
        return commands.run(installed(tmp_path / "data"), *arguments).returncode

    assert (run("account", "list"), run("migrate"), run("account", "list")) == (3, 0, 0)
