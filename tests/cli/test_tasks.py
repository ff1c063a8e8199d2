"""The commands of docs/tasks.md run as they stand there: on this machine, and at a running service."""

import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from mailsettings.cli import main

from support.processes import clean_environment, free_port, serving
from support.smtp_server import AUTHORITY_PEM

PAGE = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text()
TASKS = {
    title: [line[4:] for line in body.splitlines() if line.startswith("    ")]
    for title, body in re.findall(r"^### (.+)\n((?:(?!#).*\n)*)", PAGE, flags=re.MULTILINE)
}
MAX_COMMANDS = 5
CANARY = "canary-tasks-2b7e"
FILES = {
    **dict.fromkeys(("password", "new-password", "client-secret", "new-client-secret", "passphrase"), CANARY),
    "authority.pem": AUTHORITY_PEM,
}
FAILS = {
    "mailsettings server test microsoft365 --to me@example.com",
    "mailsettings server test relay",
    "mailsettings server test relay -o json > report.json",
    "mailsettings server test --all",
    "mailsettings server diff relay 1",
    "diff staging.yaml production.yaml",
}
"""Commands that exit with 1 here: no mail server listens for the stored servers, and there are differences."""
ELSEWHERE = ("python3 -m venv", "/opt/mail-settings/bin/pip")
"""Installing is tested in tests/test_install.py."""
OF_A_SERVICE = [title for title, lines in TASKS.items() if any("--url" in line for line in lines)]
OF_THE_MACHINE = ["Install without containers", "Upgrade", "Uninstall"]
PERMISSIONS = (
    "manage-system-settings",
    "manage-accounts",
    "manage-devices",
    "test-mail-servers",
    "view-audit-log",
    "view-mail-settings",
    "view-messages",
)


class Shell:
    """Runs lines of the page in *folder*: mailsettings in this process, other programs as the system has them."""

    def __init__(self, folder: Path, environment: Mapping[str, str], replaced: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = environment
        self._replaced = replaced
        for name, content in FILES.items():
            (folder / name).write_text(f"{content}\n")
            (folder / name).chmod(0o600)

    def run(self, line: str) -> tuple[int, str]:
        """Run one line; return its exit code and output, in which no secret is."""
        for text, replacement in self._replaced.items():
            line = line.replace(text, replacement)
        words = shlex.split(line)
        *words, _, target = words if ">" in words else [*words, ">", ""]
        code, printed = self._ran(words)
        assert CANARY not in printed, line
        if target:
            (self._folder / target).write_text(printed)
        return code, printed

    def do(self, task: str) -> None:
        """Run all lines of a task."""
        for line in TASKS[task]:
            if line.startswith(ELSEWHERE):
                continue
            if "test microsoft365" in line:  # the real provider is not for tests
                assert (
                    self.run("mailsettings server set microsoft365 --host 127.0.0.1 --secret-file password")[0]
                    == 0
                )
            code, printed = self.run(line)
            assert code == (1 if line in FAILS else 0), f"{task}: {line}\n{printed}"

    def _ran(self, words: Sequence[str]) -> tuple[int, str]:
        if words[0] != "mailsettings":
            ran = subprocess.run(words, cwd=self._folder, capture_output=True, text=True, check=False)
            return ran.returncode, ran.stdout + ran.stderr
        foreign = {name: None for name in os.environ if name.startswith("MAILSETTINGS_")}
        result = CliRunner().invoke(main, words[1:], env={**foreign, **self._environment})
        assert result.exception is None or isinstance(result.exception, SystemExit), (words, result.exc_info)
        return result.exit_code, result.stdout if result.exit_code == 0 else result.output


def prepare(shell: Shell) -> None:
    """Store the mail servers that the page names."""
    place = f"--host 127.0.0.1 --port {free_port()} --security none --from reports@example.com"
    for command in (
        f"server create relay {place} --username u --password-file password",
        f"server create spare {place}",
        "server set relay --description first",
    ):
        code, printed = shell.run(f"mailsettings {command}")
        assert code == 0, printed


def settings(folder: Path) -> dict[str, str]:
    given = clean_environment(folder / "data", DEV="true")
    return {name: value for name, value in given.items() if name.startswith("MAILSETTINGS_")}


def test_each_task_takes_at_most_five_commands() -> None:
    assert len(TASKS) >= 23
    assert {title: len(lines) for title, lines in TASKS.items() if not 0 < len(lines) <= MAX_COMMANDS} == {}


def test_every_task_works_on_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    environment = settings(tmp_path)
    (tmp_path / "opt").mkdir()
    data = environment["MAILSETTINGS_DATA_DIR"]
    shell = Shell(
        tmp_path, environment, {"/opt/mail-settings": str(tmp_path / "opt"), "$MAILSETTINGS_DATA_DIR": data}
    )
    shell.do("Install without containers")
    prepare(shell)
    for task in TASKS:
        if task not in {*OF_A_SERVICE, *OF_THE_MACHINE}:
            shell.do(task)
    shell.do("Upgrade")
    shell.do("Uninstall")

    assert not Path(data).exists()
    assert (tmp_path / "last.backup").exists()


def test_every_task_works_at_a_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "staging").mkdir()
    (tmp_path / "production").mkdir()
    staging, production = settings(tmp_path / "staging"), settings(tmp_path / "production")
    with (
        serving({**os.environ, **staging}) as (staging_url, _),
        serving({**os.environ, **production}) as (production_url, _),
    ):
        options = [word for name in PERMISSIONS for word in ("--permission", name)]
        tokens = {}
        for name, environment in (("staging", staging), ("production", production)):
            code, token = Shell(tmp_path, environment, {}).run(f"mailsettings token {' '.join(options)}")
            assert code == 0
            tokens[name] = token.strip()
            (tmp_path / f"{name}-token").write_text(token)
        (tmp_path / "sso-token").write_text(tokens["staging"])
        places = {"https://staging.example.com": staging_url, "https://production.example.com": production_url}
        chosen = {"MAILSETTINGS_URL": staging_url, "MAILSETTINGS_TOKEN": tokens["staging"]}
        shell = Shell(tmp_path, chosen, places)
        prepare(shell)
        for task in TASKS:
            if task not in OF_THE_MACHINE:
                shell.do(task)
        code, printed = shell.run("mailsettings doctor")

    assert code == 0, printed
    assert "These differ from the defaults: MAILSETTINGS_" in printed
