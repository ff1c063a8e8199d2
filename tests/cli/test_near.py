"""Commands on this machine call the same API in their own process, as the operator."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mailsettings.cli import main
from mailsettings.cli.server.stored import HEALTH
from mailsettings.domain.monitoring import Health
from mailsettings.store import migrations

from support.processes import clean_environment

CANARY = "canary-near-6c1d"
GUID = "11111111-2222-3333-4444-555555555555"


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

    assert (ran.exit_code, ran.stdout, ran.stderr) == (
        4,
        "",
        "Error: There is no such mail server. `mailsettings server list` prints all.\n",
    )


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


def shown(*arguments: str, code: int = 0, stdin: str | None = None) -> Any:
    """The JSON that a command prints; no secret is in its output."""
    ran = CliRunner().invoke(main, [*arguments, "-o", "json"], input=stdin)
    assert CANARY not in ran.output
    assert ran.exit_code == code, ran.output
    return json.loads(ran.stdout) if ran.stdout else ran.stderr


RELAY = ["--host", "mail.example.com", "--from", "reports@example.com"]


def test_a_server_is_created_changed_and_copied_by_options(data: Path, tmp_path: Path) -> None:
    created = shown(
        "server", "create", "relay", *RELAY, "--username", "u", "--password-stdin", stdin=f"{CANARY}\n"
    )
    labelled = shown(
        "server", "set", "relay", "--label", "site=berlin", "--label", "team=a", "--from-name", "Reports"
    )
    changed = shown("server", "set", "relay", "--remove-label", "team", "--rename", "relay-berlin")
    patched = shown("server", "patch", "relay-berlin", '{"description": "d", "sender": {"name": null}}')
    exported = shown("server", "export", "relay-berlin")
    (tmp_path / "copy.json").write_text(json.dumps(exported))
    (tmp_path / "secret").write_text(f"{CANARY}\n")
    copied = shown(
        *("server", "create", "copy", "--file", str(tmp_path / "copy.json"), "--disabled"),
        *("--password-file", str(tmp_path / "secret")),
    )

    assert (created["port"], created["security"]) == (587, "starttls")
    assert created["authentication"]["username"] == "u"
    assert created["authentication"]["password"]["stored"] is True
    assert labelled["labels"] == {"site": "berlin", "team": "a"}
    assert (changed["name"], changed["labels"]) == ("relay-berlin", {"site": "berlin"})
    assert (patched["description"], patched["sender"]["name"]) == ("d", None)
    assert not {"id", "version", "health", "default", "changed_at"} & set(exported)
    assert exported["authentication"] == {"kind": "password", "username": "u"}
    assert copied["authentication"]["password"]["stored"] is True
    assert (copied["enabled"], copied["labels"], copied["host"]) == (False, {"site": "berlin"}, "mail.example.com")
    assert [each["name"] for each in shown("server", "list", "--enabled")] == ["relay-berlin"]


def test_a_preset_fills_in_what_a_provider_needs(data: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(CANARY)
    fill = {"sender": "a@example.com", "mailbox": "a@example.com", "tenant": "example.com", "client_id": GUID}
    options = [word for name, value in fill.items() for word in ("--fill", f"{name}={value}")]
    create = ["server", "create", "m365", "--preset", "microsoft365", *options]
    created = shown(*create, "--secret-file", str(tmp_path / "secret"))

    assert (created["host"], created["port"]) == ("smtp.office365.com", 587)
    assert created["authentication"]["kind"] == "oauth2_client_credentials"
    assert created["authentication"]["client_id"] == GUID
    assert created["authentication"]["client_secret"]["stored"] is True
    assert "no blank to fill" in shown(*create, "--fill", "nonsense=x", code=2)
    assert "no blank to fill" in shown(*create, "--fill", f"client_secret={CANARY[:-4]}", code=2)


def test_a_rotated_secret_has_the_kind_of_the_stored_login(data: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(CANARY)
    by_file = ["--secret-file", str(tmp_path / "secret")]
    oauth2 = ["--oauth2-tenant", "example.com", "--oauth2-client-id", GUID, "--username", "a@example.com"]
    before = shown("server", "create", "m365", *RELAY, *oauth2, *by_file)
    after = shown("server", "set", "m365", *by_file)

    labels = [each["authentication"]["client_secret"]["label"] for each in (before, after)]
    assert labels[0] != labels[1]


WRONG_USE = {
    "nothing to change": (["set", "relay"], "Give at least one setting to change."),
    "a list as a change": (["patch", "relay", "[1]"], "CHANGE must be one object in JSON or YAML."),
    "two changes": (["patch", "relay", "{}", "--file", "x"], "either as an argument or by --file"),
    "no such file": (["create", "--file", "/nonexistent"], "Cannot read /nonexistent: No such file"),
    "a label without a value": (["create", "x", *RELAY, "--label", "site"], "--label must be like KEY=VALUE."),
    "two secrets": (
        ["set", "relay", "--password-file", "x", "--password-stdin"],
        "either by a file or by standard",
    ),
    "no terminal": (["create", "x", *RELAY, "--username", "u"], "give the password with --password-file"),
    "no terminal for a client secret": (
        ["create", "x", *RELAY, "--oauth2-tenant", "t", "--oauth2-client-id", GUID, "--username", "u"],
        "give the client secret with --secret-file",
    ),
    "an unknown health": (["list", "--health", "good"], "'unchecked', 'working', 'unconfirmed', 'failing'"),
    "neither host nor sender": (["create", "x"], "Give --host HOST and --from ADDRESS."),
    "a preset with blanks": (
        ["create", "x", "--preset", "microsoft365"],
        "Give --from ADDRESS, or fill the blanks of the preset; see `mailsettings preset show microsoft365`.",
    ),
    "two trusts": (["set", "relay", "--certificate", "x", "--system-trust"], "Give either --certificate or"),
}


@pytest.mark.parametrize("name", WRONG_USE)
def test_wrong_use_of_settings_is_explained(data: Path, name: str) -> None:
    run("server", "create", "relay", *RELAY)
    arguments, sentence = WRONG_USE[name]
    ran = run("server", *arguments)

    assert (ran.exit_code, ran.stdout) == (2, "")
    assert sentence in ran.stderr


def test_the_health_of_the_option_is_that_of_the_api() -> None:
    assert tuple(Health) == HEALTH


def test_a_table_of_usual_servers_fits_eighty_columns(data: Path) -> None:
    run("server", "create", "relay-berlin-2", *RELAY)
    plain = run("server", "list").stdout
    run("server", "default", "relay-berlin-2")

    assert max(map(len, plain.splitlines())) <= 80
    assert "DEFAULT" not in plain
    assert run("server", "list").stdout.split()[6] == "DEFAULT"
    assert "enabled,default" in run("server", "list", "-o", "csv").stdout


def test_every_wrong_field_is_a_line(data: Path) -> None:
    run("server", "create", "relay", *RELAY)
    ran = run("server", "patch", "relay", '{"host": 7, "sender": {"address": 7}}')

    assert ran.exit_code == 4
    fields = {line.removeprefix("Error: ").split()[0].rstrip(":") for line in ran.stderr.splitlines()}
    assert fields == {"host", "sender.address"}


def test_deleting_asks_first(data: Path) -> None:
    run("server", "create", "relay", *RELAY)
    kept = CliRunner().invoke(main, ["server", "delete", "relay"], input="n\n")
    deleted = CliRunner().invoke(main, ["server", "delete", "relay"], input="y\n")

    assert (kept.exit_code, deleted.exit_code) == (1, 0)
    assert shown("server", "list") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_of_a_shell_names_commands(data: Path, shell: str) -> None:
    script = run("completion", shell)
    words = {"bash": "mailsettings server e", "zsh": "mailsettings server e", "fish": "mailsettings server e"}[
        shell
    ]
    complete = {
        "_MAILSETTINGS_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": "e" if shell == "fish" else "2",
    }
    ran = CliRunner().invoke(main, [], prog_name="mailsettings", env=complete)

    assert "_MAILSETTINGS_COMPLETE" in script.stdout
    assert {"enable", "export"} <= set(re.findall(r"\w+", ran.stdout))


def test_a_command_tells_the_cause_of_a_database_failure(data: Path) -> None:
    with closing(sqlite3.connect(data / "mailsettings.db")) as database, database:
        database.execute("ALTER TABLE mail_server_versions RENAME TO elsewhere")
    ran = run("server", "history", "1")

    assert ran.exit_code == 3
    assert ran.stderr.startswith("Error: The database is not available: no such table: mail_server_versions")
    assert "The log of the service" not in ran.stderr


def test_a_command_shows_where_it_failed_unexpectedly(data: Path) -> None:
    run("server", "create", "relay", "--host", "mail.example.com", "--from", "reports@example.com")
    with closing(sqlite3.connect(data / "mailsettings.db")) as database, database:
        database.execute("PRAGMA ignore_check_constraints = ON")
        database.execute("UPDATE mail_servers SET security = ?", (CANARY,))
    ran = run("server", "show", "relay")

    assert ran.exit_code == 3
    assert "which is a bug. Please report this:\nTraceback (most recent call last):\n" in ran.stderr
    assert ran.stderr.rstrip().endswith("ValueError")
    assert CANARY not in ran.output
