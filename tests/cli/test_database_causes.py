"""Every command says why it cannot use the database, in one sentence, and repeats no password."""

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner
from starlette.types import Message

from mailsettings.bootstrap.backend import create_backend
from mailsettings.bootstrap.service import create_service
from mailsettings.cli import main
from mailsettings.settings import read
from mailsettings.store.encryption.key_file import KeyFile

from support import commands
from support.canary import Canary
from support.processes import clean_environment, free_port

REFUSED = (
    'The database is not available: connection to server at "127.0.0.1", port 1 failed: Connection refused. Check'
)


@pytest.fixture
def environment(tmp_path: Path, canary: Canary) -> dict[str, str]:
    """A database on a port where nothing listens."""
    url = f"postgresql://u:{canary.secret.encode().hex()}@127.0.0.1:1/d"
    return clean_environment(tmp_path / "data", DATABASE_URL=url, PORT=str(free_port()))


@pytest.mark.parametrize(
    "words",
    ["migrate", "account list", "server list", "token --permission view-mail-settings", "audit verify", "doctor"],
)
def test_a_command_says_why_the_database_is_away(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, canary: Canary, words: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    ran = CliRunner().invoke(main, words.split())

    assert ran.exit_code == (1 if words == "doctor" else 3)
    assert ran.output.count(REFUSED) == 1
    assert "Traceback" not in ran.output
    canary.assert_nowhere(ran.output)


def test_serve_says_why_the_database_is_away(environment: dict[str, str], canary: Canary) -> None:
    ran = commands.run(environment, "serve")

    assert ran.returncode == 3
    assert ran.stderr.count("port 1 failed: Connection refused. Check") == 1
    assert "Traceback" not in ran.stderr
    canary.assert_nowhere(ran.stdout, ran.stderr)


def test_an_unknown_parameter_is_a_wrong_setting(environment: dict[str, str]) -> None:
    ran = commands.run({**environment, "MAILSETTINGS_DATABASE_URL": "postgresql://h/d?colour=red"}, "migrate")

    assert ran.returncode == 2
    assert ran.stderr.startswith(
        "Error: The database URL has the parameter colour, which PostgreSQL does not know"
    )


async def test_a_worker_that_cannot_start_logs_one_line(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, canary: Canary
) -> None:
    """The database may go away between the checks of the parent and the start of a worker."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    (tmp := Path(environment["MAILSETTINGS_DATA_DIR"])).mkdir(mode=0o700)
    KeyFile(tmp / "sealing-keys").create()
    service = create_service(create_backend(read()))
    received, sent = asyncio.Queue[Message](), list[Message]()
    await received.put({"type": "lifespan.startup"})

    async def send(message: Message) -> None:
        sent.append(message)

    await service({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, received.get, send)
    lines = [record.getMessage() for record in caplog.records]

    assert sent == [{"type": "lifespan.startup.failed", "message": ""}]
    assert len([line for line in lines if REFUSED in line]) == 1
    canary.assert_nowhere(*lines)
