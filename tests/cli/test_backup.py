"""`mailsettings backup` and `restore`: a service moves from a file to a server and back; invalid requests fail."""

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from mailsettings.cli import main
from mailsettings.store import engine
from mailsettings.store.tables import accounts

from support.canary import Canary
from support.processes import clean_environment, serving
from support.request_bodies import checkmarx, oracle
from support.service import MAIL_SERVER, SMTP_SETTINGS, TOKEN

PASSPHRASE = "correct horse battery staple"
PASSWORD = "correct horse"


def private(path: Path, content: str) -> Path:
    path.touch(0o600)
    path.write_text(content)
    return path


class Move:
    """Commands by a file with the passphrase, and all that they said."""

    def __init__(self, tmp_path: Path, passphrase: str) -> None:
        self.said: list[str] = []
        self._passphrase = str(private(tmp_path / "passphrase", f"{passphrase}\n"))

    def done(self, environment: dict[str, str], *arguments: str) -> str:
        ran = CliRunner().invoke(main, arguments, env=environment, catch_exceptions=False)
        assert (ran.exit_code, ran.stderr) == (0, ""), ran.output
        self.said.append(ran.stdout)
        return ran.stdout

    def by_file(self, environment: dict[str, str], *arguments: str) -> str:
        return self.done(environment, *arguments, "--passphrase-file", self._passphrase)


def log_in(url: str, **form: str) -> dict[str, str]:
    answer = httpx.post(f"{url}{TOKEN}", data=form)
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_a_service_moves_between_databases_without_a_visible_change(
    tmp_path: Path, empty_postgres_url: str
) -> None:
    mailbox, passphrase = Canary(), Canary()
    move = Move(tmp_path, passphrase.secret)
    here, back = clean_environment(tmp_path / "here"), clean_environment(tmp_path / "back")
    there = clean_environment(tmp_path / "there", DATABASE_URL=empty_postgres_url)
    logs, made = [], str(tmp_path / "one")

    with serving(here) as (url, log):
        logs.append(log)
        bearer = log_in(url, grant_type="password", username="admin", password=PASSWORD)
        for password in (f"{mailbox}, before", mailbox.secret):
            assert httpx.put(url + MAIL_SERVER, json=oracle(password), headers=bearer).is_success
        assert httpx.post(url + SMTP_SETTINGS, json=checkmarx(mailbox.secret), headers=bearer).is_success
        secret = move.done(here, "client", "add", "robot", "--permission", "view-mail-settings").strip()
        move.said.clear()  # which is where it belongs
        shown = [httpx.get(url + path, headers=bearer).json() for path in (MAIL_SERVER, SMTP_SETTINGS)]
        told, past = move.by_file(here, "backup", made), move.done(here, "server", "history")
    move.done(there, "migrate")
    restored = move.by_file(there, "restore", made)
    in_order(move, there)
    assert move.done(there, "server", "history") == past
    with serving(there) as (url, log):
        logs.append(log)
        assert [httpx.get(url + path, headers=bearer).json() for path in (MAIL_SERVER, SMTP_SETTINGS)] == shown
        log_in(url, grant_type="password", username="admin", password=PASSWORD)
        log_in(url, grant_type="client_credentials", client_id="robot", client_secret=secret)
        move.by_file(there, "backup", str(tmp_path / "two"))
    move.by_file(back, "restore", str(tmp_path / "two"))
    in_order(move, back)
    with serving(back) as (url, log):
        logs.append(log)
        assert [httpx.get(url + path, headers=bearer).json() for path in (MAIL_SERVER, SMTP_SETTINGS)] == shown
        assert (
            httpx.post(url + SMTP_SETTINGS, json=checkmarx("x" * 8), headers=bearer).headers["Location"][-2:]
            == "/3"
        )

    rows = told.split()[0]
    assert told == f"{rows} rows are in {made}.\n"
    assert restored.startswith(f"{rows} rows restored from the backup ")
    hashes = [Canary(made=found) for found in password_hashes(here)]
    for canary in (mailbox, passphrase, *hashes, Canary(made=secret)):
        canary.assert_nowhere(*move.said, *logs, tmp_path / "one", tmp_path / "two")
    for canary in (mailbox, passphrase, Canary(made=secret)):
        canary.assert_nowhere(*(tmp_path / name for name in ("here", "there", "back")))


def in_order(move: Move, environment: dict[str, str]) -> None:
    """The log equals the original, and every secret opens with the key."""
    assert "all as they were written" in move.done(environment, "audit", "verify")
    _, line = move.done(environment, "key", "encryption", "status").splitlines()
    assert line.split()[1:] == ["current", "5"]
    assert "backup.restore" in move.done(environment, "audit", "list").splitlines()[1]


def password_hashes(environment: dict[str, str]) -> list[str]:
    database = engine.sync_engine(f"sqlite:///{environment['MAILSETTINGS_DATA_DIR']}/mailsettings.db")
    with database.connect() as connection:
        found = list(connection.execute(select(accounts.c.password_hash)).scalars())
    database.dispose()
    assert len(found) == 2
    return found


Typed = Callable[..., Result]


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """A command in this process, with no terminal."""
    for name, value in clean_environment(tmp_path / "data").items():
        monkeypatch.setenv(name, value)

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return run


def refused(result: Result, code: int = 1) -> str:
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("Error: ").rstrip()


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return private(tmp_path / "good", PASSPHRASE)


def test_a_file_that_is_there_is_not_overwritten(typed: Typed, good: Path, tmp_path: Path) -> None:
    typed("migrate")
    typed("backup", tmp_path / "b", "--passphrase-file", good)
    before = (tmp_path / "b").read_bytes()

    assert refused(typed("backup", tmp_path / "b", "--passphrase-file", good)) == (
        f"{tmp_path / 'b'} exists already and is not overwritten."
    )
    assert (tmp_path / "b").read_bytes() == before
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600


def test_a_missing_database_is_not_backed_up(typed: Typed, good: Path, tmp_path: Path) -> None:
    told = refused(typed("backup", tmp_path / "b", "--passphrase-file", good), 3)

    assert told.startswith(f"There is no mail-settings database at {tmp_path / 'data' / 'mailsettings.db'}.")
    assert not (tmp_path / "data").exists()
    assert not (tmp_path / "b").exists()


def test_a_folder_that_is_not_there_is_told(typed: Typed, good: Path, tmp_path: Path) -> None:
    typed("migrate")
    sentence = refused(typed("backup", tmp_path / "nowhere" / "b", "--passphrase-file", good))

    assert sentence.endswith("nowhere/b cannot be written: No such file or directory.")


PASSPHRASES = {
    "too short": (b"hunter2", "A passphrase needs at least 12 characters."),
    "none": (b"", "must hold one line of text."),
    "two lines": (b"one line and\nanother\n", "must hold one line of text."),
    "no text": (b"\xff" * 20, "must hold one line of text."),
}


@pytest.mark.parametrize("name", PASSPHRASES)
def test_a_passphrase_that_will_not_do_is_refused(typed: Typed, tmp_path: Path, name: str) -> None:
    content, sentence = PASSPHRASES[name]
    typed("migrate")
    private(tmp_path / "p", "").write_bytes(content)

    assert refused(typed("backup", tmp_path / "b", "--passphrase-file", tmp_path / "p")).endswith(sentence)
    assert not (tmp_path / "b").exists()


def test_a_passphrase_that_others_can_read_is_refused(typed: Typed, good: Path, tmp_path: Path) -> None:
    typed("migrate")
    good.chmod(0o644)

    assert "can be read by others" in refused(typed("backup", tmp_path / "b", "--passphrase-file", good), 3)


@pytest.mark.parametrize("what", ["backup", "restore"])
def test_without_a_terminal_there_is_nobody_to_ask(typed: Typed, tmp_path: Path, what: str) -> None:
    typed("migrate")

    assert refused(typed(what, tmp_path / "b")).endswith("give the passphrase with --passphrase-file.")


def test_database_in_use_refuses_a_restore_and_logs_it(typed: Typed, good: Path, tmp_path: Path) -> None:
    typed("migrate")
    typed("backup", tmp_path / "b", "--passphrase-file", good)

    sentence = "The database is not empty; restore into a new database."
    assert refused(typed("restore", tmp_path / "b", "--passphrase-file", good)) == sentence
    assert "backup.restore" in typed("audit", "list").stdout.splitlines()[1]


def test_a_wrong_passphrase_or_another_file_makes_no_database(typed: Typed, good: Path, tmp_path: Path) -> None:
    typed("migrate")
    typed("backup", tmp_path / "b", "--passphrase-file", good)
    (tmp_path / "data").rename(tmp_path / "before")
    wrong = private(tmp_path / "wrong", f"{PASSPHRASE}!")

    told = [
        refused(typed("restore", tmp_path / name, "--passphrase-file", wrong)) for name in ("b", "good", "none")
    ]

    assert told == [
        "The passphrase is wrong: the backup has a different passphrase.",
        "The file is no backup of mailsettings.",
        f"{tmp_path / 'none'} cannot be read: No such file or directory.",
    ]
    assert not (tmp_path / "data").exists()


def test_restore_reads_a_file_even_if_its_name_is_a_number(typed: Typed, good: Path) -> None:
    typed("migrate")

    sentence = "7 cannot be read: No such file or directory."
    assert refused(typed("restore", "7", "--passphrase-file", good)) == sentence


@pytest.mark.parametrize("version", ["0", "9" * 5000, "./7"])
def test_server_restore_accepts_only_version_numbers(typed: Typed, version: str) -> None:
    typed("migrate")

    assert refused(typed("server", "restore", "1", "7"), 4) == (
        "There is no such mail server. `mailsettings server list` prints all."
    )
    assert typed("server", "restore", version).exit_code == 2


def test_unreadable_secrets_are_reported_by_backup_and_restore(typed: Typed, good: Path, tmp_path: Path) -> None:
    typed("migrate")
    typed("key", "signing", "rotate")
    database = tmp_path / "data" / "mailsettings.db"
    connection = engine.sync_engine(f"sqlite:///{database}")
    with connection.begin() as begun:
        begun.exec_driver_sql("UPDATE sealed_keys SET sealed = x'00' WHERE name LIKE 'signing:%' LIMIT 1")
    connection.dispose()

    made = typed("backup", tmp_path / "b", "--passphrase-file", good)
    (tmp_path / "data").rename(tmp_path / "before")
    restored = typed("restore", tmp_path / "b", "--passphrase-file", good)

    assert (made.exit_code, restored.exit_code) == (0, 0)
    assert made.stderr == restored.stderr
    assert made.stderr.startswith("cannot be opened: sealed_keys|signing:")


def on_a_terminal(environment: dict[str, str], answers: list[str], *arguments: str) -> tuple[int, str]:
    """Return the terminal output of a command, with *answers* typed at its prompts."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "mailsettings", *arguments]
    process = subprocess.Popen(
        command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    shown = ""
    for answer in answers:
        while not shown.endswith(": "):
            shown += os.read(ours, 1000).decode()
        os.write(ours, f"{answer}\n".encode())
        shown += os.read(ours, 1000).decode()
    try:
        while more := os.read(ours, 1000).decode():
            shown += more
    except OSError:  # Linux reports a closed terminal so
        pass
    os.close(ours)
    return process.wait(30), shown


def test_a_terminal_prompts_for_a_passphrase_without_echo(tmp_path: Path) -> None:
    environment = clean_environment(tmp_path / "data")
    assert CliRunner().invoke(main, ["migrate"], env=environment).exit_code == 0
    made = on_a_terminal(environment, [PASSPHRASE, PASSPHRASE], "backup", str(tmp_path / "b"))
    (tmp_path / "data").rename(tmp_path / "before")
    restored = on_a_terminal(environment, [PASSPHRASE], "restore", str(tmp_path / "b"))

    assert (made[0], restored[0]) == (0, 0), (made, restored)
    assert made[1].split("\r\n")[:2] == ["Passphrase: ", "Repeat for confirmation: "]
    assert restored[1].split("\r\n")[0] == "Passphrase: "
    assert PASSPHRASE not in made[1] + restored[1]
