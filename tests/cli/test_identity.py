"""The commands about accounts, keys and the audit log, as a person types them."""

import json
import os
import re
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from mailsettings.store import migrations

from support import commands

CANARY = "canary-77d1e0aa"
Run = Callable[..., subprocess.CompletedProcess[str]]
HINT = "`mailsettings account list` and `mailsettings client list` print all."


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run one command to its end, on a data directory of its own that has a new database."""
    migrations.migrate(f"sqlite:///{tmp_path / 'data' / 'mailsettings.db'}")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAILSETTINGS_")}
    environment = {**clean, "MAILSETTINGS_DATA_DIR": str(tmp_path / "data")}

    def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return commands.run(environment, *arguments, stdin=stdin)

    return run


def test_a_generated_client_secret_is_nowhere_in_clear(run: Run, tmp_path: Path) -> None:
    made = run("client", "add", "robot", "--permission", "view-mail-settings")
    again = run("client", "new-secret", "robot")
    listed = run("client", "list")
    users = run("account", "list")
    as_user = run("account", "remove", "robot")
    gone = run("client", "remove", "robot")

    first, second = made.stdout.strip(), again.stdout.strip()
    assert re.fullmatch(r"[\w-]{43}", first)
    assert re.fullmatch(r"[\w-]{43}", second)
    assert first != second
    assert listed.stdout.splitlines()[1].split()[::3] == ["robot", "view-mail-settings"]
    assert "robot" not in users.stdout
    assert (as_user.returncode, as_user.stderr) == (4, f"Error: There is no account named robot. {HINT}\n")
    assert gone.returncode == 0
    everything = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file())
    assert first.encode() not in everything
    assert second.encode() not in everything


@pytest.mark.parametrize("name", ["operator:root", "issuer.example.org|alice"])
def test_names_of_others_are_not_given_to_accounts(run: Run, name: str) -> None:
    made = run("client", "add", name, "--permission", "view-mail-settings")

    assert (made.returncode, made.stdout) == (4, "")
    assert "is reserved for" in made.stderr


def test_signing_keys_rotate_and_the_signing_key_stays(run: Run) -> None:
    def states(table: str) -> dict[str, str]:
        rows = [line.split() for line in table.splitlines()[1:]]
        return {row[0]: row[-1] for row in rows}

    (old,) = states(run("key", "signing", "list").stdout)
    new = run("key", "signing", "rotate").stdout.strip()
    both = run("key", "signing", "list").stdout
    in_use = run("key", "signing", "drop", new)
    dropped = run("key", "signing", "drop", old)
    unknown = run("key", "signing", "drop", old)

    assert states(both) == {old: "verifies", new: "signs"}
    assert (in_use.returncode, dropped.returncode, unknown.returncode) == (4, 0, 4)
    assert in_use.stderr == f"Error: The key {new} signs; rotate the signing keys first.\n"
    assert unknown.stderr.startswith("Error: There is no signing key of this id")
    assert states(run("key", "signing", "list").stdout) == {new: "signs"}


def test_a_client_is_unlocked_as_a_user_is(run: Run) -> None:
    run("client", "add", "robot", "--permission", "view-mail-settings")
    unlocked = run("client", "unlock", "robot")
    as_user = run("account", "unlock", "robot")

    assert (unlocked.returncode, unlocked.stdout, unlocked.stderr) == (0, "", "")
    assert (as_user.returncode, as_user.stderr) == (4, f"Error: There is no account named robot. {HINT}\n")


def test_the_audit_log_is_printed_verified_and_tampering_reported(run: Run, tmp_path: Path) -> None:
    arguments = ["alice", "--permission", "view-mail-settings", "--password-stdin"]
    run("account", "add", *arguments, stdin=f"{CANARY}\n")
    run("account", "set-permissions", "alice", "--permission", "manage-system-settings")
    run("account", "unlock", "alice")
    run("token", "--subject", "robot", "--permission", "view-mail-settings")
    run("account", "remove", "nobody")
    printed = run("audit", "list", "--since", "1h")
    lines = json.loads(run("audit", "list", "--json").stdout)
    nothing = run("audit", "list", "--since", "2999-01-01")
    good = run("audit", "verify")
    noted = good.stdout.rpartition(" ")[2].strip()
    seen = run("audit", "verify", "--seen", noted)

    changes = [(line["action"], line["target"], line["outcome"]) for line in reversed(lines)]
    assert changes == [
        ("account.add", "alice", "done"),
        ("account.set-permissions", "alice", "done"),
        ("account.unlock", "alice", "done"),
        ("token.issue", "robot", "done"),
        ("account.remove", "nobody", "refused"),
    ]
    assert all(line["actor"].startswith("operator:") for line in lines)
    assert re.search(r"operator:\S+ +- +account.set-permissions +alice +done +", printed.stdout)
    assert "permissions: view-mail-settings -> manage-system-settings" in printed.stdout
    assert nothing.stdout.count("\n") == 1  # the headers
    assert good.stdout.startswith("5 entries, all as they were written; the last is 5:")
    assert seen.returncode == 0
    assert CANARY not in printed.stdout + str(lines)

    with closing(sqlite3.connect(tmp_path / "data" / "mailsettings.db")) as database, database:
        database.execute("DELETE FROM audit_entries WHERE sequence = 3")
    found = run("audit", "verify")
    assert (found.returncode, found.stdout, found.stderr) == (1, "", "Entry 3 is missing.\n")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [(["list", "--since", "yesterday"], "give a time like"), (["verify", "--seen", "x"], "give number and hash")],
)
def test_what_is_not_understood_is_said_with_an_example(run: Run, arguments: list[str], problem: str) -> None:
    refused = run("audit", *arguments)

    assert refused.returncode == 2
    assert problem in refused.stderr
