"""The README is true: its commands are those that exist, and its curl lines work when pasted."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from support import commands
from support.processes import free_port, serving
from support.timeouts import GUARD_SECONDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMAND_LINE = (ROOT / "docs" / "command-line.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
MAX_WORDS = 900
PASSWORD = "correct-horse-battery"


def lines_of(section: str) -> str:
    """The commands of one section, as they stand there."""
    text = re.split(r"^## ", README, flags=re.MULTILINE)
    (found,) = (part for part in text if part.startswith(section))
    return "\n".join(line[4:] for line in found.splitlines() if line.startswith("    "))


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAILSETTINGS_")}
    return clean | {
        "MAILSETTINGS_DATA_DIR": str(tmp_path / "data"),
        "MAILSETTINGS_ADMIN_PASSWORD": PASSWORD,
        "PATH": f"{commands.programs()}:{os.environ['PATH']}",
    }


def test_the_curl_lines_work_when_pasted(environment: dict[str, str]) -> None:
    script = "\n".join(map(lines_of, ("Oracle", "Checkmarx", "Send through it")))
    relay = free_port()
    environment["MAILSETTINGS_RELAY_LISTEN"] = f"starttls://127.0.0.1:{relay}"
    data = environment["MAILSETTINGS_DATA_DIR"]
    script = script.replace(".venv/bin/", "")
    script = script.replace("export MAILSETTINGS_DATA_DIR=data ", ": ")
    script = script.replace("password=...", f"password={PASSWORD}")
    script = script.replace("curl ", "curl -sS -w '\\n<%{http_code}>\\n' ")

    with serving(environment, "--dev", "--relay") as (url, _), catching_all() as (port, printed):
        script = script.replace("1025", str(port)).replace("http://127.0.0.1:8080", url)
        script = script.replace("127.0.0.1:2587", f"127.0.0.1:{relay}").replace(" data/", f" {data}/")
        wait_for_connection(relay)
        ran = subprocess.run(
            ["bash", "-ec", script], env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        mails = printed.read_text()

    assert ran.stderr == ""
    # Put, get, put, test, delete; log in, create, list, test; the reply to the content.
    assert re.findall(r"<(\d+)>", ran.stdout) == [*(["200"] * 5), "200", "201", "200", "200", "250"]
    assert re.findall(r"--- mail from (\S+) to (\S+)", mails) == [
        ("reports@example.com", "me@example.com"),
        ("scans@example.com", "me@example.com"),
        ("scan@example.com", "me@example.com"),
        ("scan@example.com", "me@example.com"),
    ]
    assert mails.count("Subject: Test of mail settings\n") == 3
    assert "Subject: Scan\n" in mails
    assert f"scanner-1 -> relay at starttls://127.0.0.1:{relay}\n" in ran.stdout


def wait_for_connection(port: int) -> None:
    end = time.monotonic() + GUARD_SECONDS
    while True:
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), GUARD_SECONDS):
            return
        assert time.monotonic() < end
        time.sleep(0.05)


@contextmanager
def catching_all() -> Iterator[tuple[int, Path]]:
    """The mail server of `make catch-all`, on a free port; and the file with what it prints."""
    port, script = free_port(), ROOT / "scripts" / "catch_all.py"
    with TemporaryDirectory() as folder:
        printed = Path(folder) / "printed"
        with printed.open("wb") as file:
            process = subprocess.Popen([sys.executable, str(script), "--port", str(port)], stdout=file)
        try:
            while b"Ctrl-C" not in printed.read_bytes():
                assert process.poll() is None
                time.sleep(0.05)
            yield port, printed
        finally:
            process.terminate()
            process.wait()


def test_the_curl_lines_of_v1_work_when_pasted(environment: dict[str, str]) -> None:
    page = (ROOT / "docs" / "v1.md").read_text(encoding="utf-8")
    script = "\n".join(line[4:] for line in page.splitlines() if line.startswith("    "))
    script = script.replace("password=...", f"password={PASSWORD}")

    with serving(environment, "--dev") as (url, _), catching_all() as (port, printed):
        script = script.replace("1025", str(port)).replace("http://127.0.0.1:8080", url)
        ran = subprocess.run(
            ["bash", "-ec", script], env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        mails = printed.read_text()

    assert ran.stderr == ""
    assert '"labels":{"site":"berlin"}' in ran.stdout
    assert re.findall(r"event: (\w+)\n", ran.stdout) == ["begun", *["stage"] * 8, "done"]
    assert '"succeeded":true' in ran.stdout
    assert re.findall(r"--- mail from (\S+) to (\S+)", mails) == [("reports@example.com", "me@example.com")]


def test_make_catch_all_starts_the_mail_server_of_readme() -> None:
    told = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "--always-make", "catch-all"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert told.splitlines()[-1].endswith("python scripts/catch_all.py --port 1025")


def test_taken_port_of_the_catch_all_is_one_sentence() -> None:
    with catching_all() as (port, _):
        command = [sys.executable, str(ROOT / "scripts" / "catch_all.py"), "--port", str(port)]
        second = subprocess.run(command, capture_output=True, text=True, check=False)

    assert second.returncode == 1
    assert second.stderr.startswith(f"127.0.0.1:{port} cannot be used: ")
    assert second.stderr.endswith("Choose another one: make catch-all CATCH_ALL_PORT=2525\n")


def test_the_page_of_commands_lists_every_command() -> None:
    program = "import command_list as it; print(it.with_table(it.PAGE.read_text()), end='')"
    renewed = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT / "scripts", capture_output=True, text=True, check=True
    ).stdout

    assert renewed == COMMAND_LINE, "run: .venv/bin/python scripts/command_list.py"


def test_every_make_target_of_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for_contributors = set(re.findall(r"make ([a-z-]+)", (ROOT / "CONTRIBUTING.md").read_text()))

    assert set(re.findall(r"make ([a-z-]+)", README)) <= targets
    assert for_contributors == targets - {"help", "check"}


def test_the_map_of_the_code_has_every_folder() -> None:
    rows = re.findall(r"^\| (`[a-z_/<>]+`(?:, `[a-z_]+`)*) \|", ARCHITECTURE, flags=re.MULTILINE)
    named = {name.partition("/")[0] for row in rows for name in re.findall(r"`([^`]+)`", row)}
    folders = {path.parent.name for path in (ROOT / "src" / "mailsettings").glob("*/__init__.py")}

    assert folders == named


def test_every_file_on_the_map_exists() -> None:
    files = {str(path) for folder in ("src", "scripts") for path in (ROOT / folder).rglob("*.py")}
    named = set(re.findall(r"`((?:\w+/)*\w+\.py)`", ARCHITECTURE))

    assert [name for name in named if not any(file.endswith(f"/{name}") for file in files)] == []


def test_readme_shows_a_report_as_the_product_prints_it() -> None:
    with catching_all() as (port, _):
        printed = with_script(f"print(it.report({port}), end='')")

    assert re.sub(r" +\d+ ms", " 0 ms", printed) == re.sub(
        r" +\d+ ms", " 0 ms", with_script("print(it.shown(), end='')")
    )


def with_script(expression: str) -> str:
    """Return what *expression* prints; `it` is the script that writes the report into the README."""
    program = f"import readme_report as it; {expression}"
    return subprocess.run(
        [commands.python(), "-c", program], cwd=ROOT / "scripts", capture_output=True, text=True, check=True
    ).stdout


def test_the_readme_is_short() -> None:
    assert len(README.split()) < MAX_WORDS


def test_every_link_of_the_readme_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", README)

    assert [link for link in links if not (ROOT / link).exists()] == []
