"""Help, and commands that call a service, start without the parts of the service."""

import json
import subprocess
import sys

import pytest

from support.processes import clean_environment

HEAVY = {"alembic", "asyncio", "cryptography", "fastapi", "pydantic", "sqlalchemy", "uvloop", "yaml"}
PROGRAM = """
import json, sys
from mailsettings.cli import main
code = 0
try:
    main(json.loads(sys.argv[1]))
except SystemExit as end:
    code = end.code
print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""
FAR = ["--url", "http://127.0.0.1:1", "--token-file", "TOKEN"]
COMMANDS = {
    "help": (0, ["--help"]),
    "help of a command": (0, ["server", "list", "--help"]),
    "a command for a service": (3, [*FAR, "server", "list"]),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_imports_only_what_it_needs(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    folder = tmp_path_factory.mktemp("start")
    (folder / "token").write_text("a-token\n")
    code, arguments = COMMANDS[name]
    given = json.dumps([str(folder / "token") if word == "TOKEN" else word for word in arguments])
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, given],
        env=clean_environment(folder),
        capture_output=True,
        text=True,
        check=True,
    )
    ended, modules = json.loads(ran.stderr.splitlines()[-1])

    assert ended == code, ran
    assert HEAVY & set(modules) == set()
