"""The command line, as a process of its own."""

import os
import re
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from mailsettings import __version__

from support import commands
from support.processes import free_port, serving

CANARY = "canary-5d0f7a1e"
MAIL_SERVER = "/api/20210901/system/mail/server"

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def environment(data_dir: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAILSETTINGS_")}
    return {**clean, "MAILSETTINGS_DATA_DIR": str(data_dir)}


@pytest.fixture
def run(environment: dict[str, str]) -> Run:
    """Run one command to its end."""

    def run(*arguments: str, stdin: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
        extra = {f"MAILSETTINGS_{name}": value for name, value in settings.items()}
        return commands.run(environment | extra, *arguments, stdin=stdin)

    return run


def test_first_start_creates_everything_and_a_second_keeps_it(environment: dict[str, str], data_dir: Path) -> None:
    body = {
        "host": "mail-server.com",
        "port": 587,
        "sender": {"displayName": "John Smith", "emailAddress": "john.smith@myorg.com"},
        "auth": {"authType": "USERNAME_PASSWORD_AUTH", "username": "u", "password": CANARY},
        "connectionSecurity": {"connectionSecurityType": "NO_CONNECTION_SECURITY"},
    }
    with serving(environment, "--dev") as (url, output):
        told = output.read_text()
        password = re.search(r"First account: admin {3}password: (\S+)", told)
        assert password is not None
        form = {"grant_type": "password", "username": "admin", "password": password[1]}
        answer = httpx.post(f"{url}/cxrestapi/auth/identity/connect/token", data=form)
        bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        assert httpx.put(url + MAIL_SERVER, json=body, headers=bearer).status_code == 200
        assert f"{url}/docs" in told
    with serving(environment, "--dev") as (url, output_of_second):
        again = httpx.get(url + MAIL_SERVER, headers=bearer)

    assert (again.status_code, again.json()["host"]) == (200, "mail-server.com")
    assert "password:" not in output_of_second.read_text()
    everything = b"".join(path.read_bytes() for path in data_dir.rglob("*") if path.is_file())
    logs = output.read_text() + output_of_second.read_text()
    assert CANARY.encode() not in everything
    assert CANARY not in logs
    assert logs.count(password[1]) == 1
    modes = {stat.S_IMODE(path.stat().st_mode) for path in data_dir.rglob("*") if path.is_file()}
    assert ({0o600}, 0o700) == (modes, stat.S_IMODE(data_dir.stat().st_mode))


def test_the_curl_line_of_the_greeting_works_when_pasted(environment: dict[str, str]) -> None:
    with serving(environment, "--dev") as (_, output):
        line = re.search(r"Try: +(curl .*)", output.read_text())
        assert line is not None
        pasted = subprocess.run(["sh", "-c", line[1]], capture_output=True, text=True, check=False)

    assert "200 OK" in pasted.stdout, pasted
    assert pasted.stdout.endswith("[]")


def test_options_of_serve_override_settings_for_its_workers_too(environment: dict[str, str]) -> None:
    environment |= {"MAILSETTINGS_HOST": "192.0.2.1", "MAILSETTINGS_PORT": str(free_port())}
    with serving(environment, "--host", "127.0.0.1", "--workers", "2") as (url, output):
        assert httpx.get(f"{url}/health/live").status_code == 200

    assert f"The documentation is at {url}/docs." in output.read_text()


def test_first_password_can_be_given_and_is_not_printed(environment: dict[str, str]) -> None:
    environment["MAILSETTINGS_ADMIN_PASSWORD"] = CANARY
    with serving(environment, "--dev") as (url, output):
        form = {"grant_type": "password", "username": "admin", "password": CANARY}
        answer = httpx.post(f"{url}/cxrestapi/auth/identity/connect/token", data=form)

    assert answer.status_code == 200
    assert CANARY not in output.read_text()


def test_two_workers_serve_one_database(environment: dict[str, str], run: Run) -> None:
    with serving(environment, "--workers", "2") as (url, _):
        token = run("token", "--permission", "manage-system-settings").stdout.strip()
        bearer = {"Authorization": f"Bearer {token}"}
        answers = []
        for number in range(20):
            body = {"host": f"h{number}", "port": 25, "fromAddress": "a@b"}
            created = httpx.post(f"{url}/cxrestapi/auth/SMTPSettings", json=body, headers=bearer)
            answers.append(httpx.get(created.headers["Location"], headers=bearer).json()["host"])

    assert [f"h{number}" for number in range(20)] == answers


def test_accounts_are_added_listed_changed_and_removed(run: Run) -> None:
    assert run("migrate").returncode == 0
    added = run(
        "account", "add", "alice", "--permission", "view-mail-settings", "--password-stdin", stdin=f"{CANARY}\n"
    )
    listed = run("account", "list")
    changed = run("account", "set-password", "alice", "--password-stdin", stdin=f"{CANARY}-2\n")
    removed = run("account", "remove", "alice")

    assert [each.returncode for each in (added, listed, changed, removed)] == [0, 0, 0, 0]
    assert [line.split()[::3] for line in listed.stdout.splitlines()[1:]] == [["alice", "view-mail-settings"]]
    assert run("account", "list", "-o", "csv").stdout.count("\n") == 1
    assert CANARY not in f"{added}{listed}{changed}{removed}".replace(f"{CANARY}\\n", "")


def test_a_token_is_printed_alone(run: Run) -> None:
    run("migrate")
    printed = run("token", "--subject", "robot", "--permission", "view-mail-settings", "--expires-in", "60")

    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+\n", printed.stdout)
    assert printed.stderr == ""


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["account", "--help"]], ids=" ".join)
def test_asking_is_no_failure(run: Run, arguments: list[str]) -> None:
    asked = run(*arguments)

    assert (asked.returncode, asked.stderr) == (0, "")
    if arguments == ["--version"]:
        assert asked.stdout == f"mailsettings {__version__}\n"


AWAY = f"postgresql://u:{CANARY}@127.0.0.1:1/d"
FAILURES = {
    "unknown setting": (2, ["migrate"], {"NONSENSE": "1"}, "MAILSETTINGS_NONSENSE is not a setting"),
    "malformed setting": (2, ["migrate"], {"LOG_LEVEL": "loud"}, "MAILSETTINGS_LOG_LEVEL is not valid"),
    "unknown database": (2, ["migrate"], {"DATABASE_URL": f"mysql://u:{CANARY}@h/d"}, "database"),
    "no database": (
        3,
        ["migrate"],
        {"DATABASE_URL": f"postgresql://u:{CANARY}@127.0.0.1:1/d"},
        "not available",
    ),
    "no such user": (4, ["account", "remove", "nobody"], {}, "no account named nobody"),
    "short password": (4, ["account", "set-password", "x", "--password-stdin"], {}, "password "),
    "nothing to test": (4, ["server", "test"], {}, "There is no such mail server: no default is chosen."),
    "unknown permission": (2, ["token", "--permission", "all"], {}, "Invalid value"),
    "no permission": (2, ["token"], {}, "Missing option"),
    "unknown command": (2, ["sing"], {}, "No such command"),
    **{
        f"renamed: {' '.join(old)}": (2, old, {}, f"No such command '{old[0]}'")
        for old in (
            *(["test-connection"], ["history"], ["secret-ends", "--never"], ["watch", "status"]),
            *(["user", "list"], ["keys", "status"], ["signing-keys", "list"]),
        )
    },
    "audit without a verb": (2, ["audit"], {}, "COMMAND [ARGS]"),
    "bad port": (2, ["serve", "--port", "70000"], {}, "70000"),
    "a token for too long": (
        2,
        ["token", "--permission", "view-audit-log", "--expires-in", "31622401"],
        {},
        "31622401 is not in the range 1<=x<=31622400",
    ),
    "an id beyond the databases'": (
        2,
        ["server", "history", "--id", "2147483648"],
        {},
        "2147483648 is not in the range",
    ),
    "a test of such an id": (2, ["server", "test", "--id", "2147483648"], {}, "2147483648 is not in the range"),
    "before the calendar": (2, ["audit", "list", "--since", "999999d"], {}, "give a time"),
    "two servers": (2, ["server", "test", "relay", "--all"], {}, "Give names, --all or --label"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_is_one_sentence_and_an_exit_code(run: Run, name: str) -> None:
    code, arguments, settings, sentence = FAILURES[name]
    if not settings:
        run("migrate")

    failed = run(*arguments, **settings)

    assert code == failed.returncode, failed
    assert sentence in failed.stderr
    assert "Traceback" not in failed.stderr
    assert CANARY not in failed.stderr
    assert failed.stdout == ""
    if code != 2 or settings:
        assert len(failed.stderr.strip().splitlines()) == 1


def test_an_account_cannot_have_a_name_reserved_for_issuers(run: Run) -> None:
    name = "login.example.org|alice"
    run("migrate")
    refused = run("account", "add", name, "--permission", "view-mail-settings", "--password-stdin", stdin=CANARY)

    assert refused.returncode == 4
    sentence = "name must not have |, which is reserved for the names of an external issuer's callers."
    assert refused.stderr == f"Error: {sentence}\n"
