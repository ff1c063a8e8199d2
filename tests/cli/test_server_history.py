"""`mailsettings server history`, `restore` and `forget-history`."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from mailsettings import settings
from mailsettings.bootstrap.backend import create_backend, prepare
from mailsettings.domain.access import OPERATOR
from mailsettings.domain.change import Replacement
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, PasswordAuthentication, Sender
from mailsettings.domain.values import Secret

from support import commands
from support.canary import Canary


@pytest.fixture
async def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, canary: Canary) -> Path:
    """A data directory in which a setting was changed once."""
    monkeypatch.setenv("MAILSETTINGS_DATA_DIR", str(tmp_path / "data"))
    chosen = settings.read()
    prepare(chosen)
    backend = create_backend(chosen)
    await backend.establish()
    login = PasswordAuthentication("reports", Secret(canary.secret))
    for host in ("a.example.org", "b.example.org"):
        server = MailServer(host, 587, ConnectionSecurity.STARTTLS, Sender("a@example.org"), login)
        await backend.use_cases.mail_servers.put_default(OPERATOR, Replacement(server))
    await backend.close()
    return tmp_path / "data"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return commands.run(os.environ, *arguments)


def test_versions_are_listed_restored_and_forgotten(data: Path, canary: Canary) -> None:
    listed = run("server", "history")
    restored = run("server", "restore", "1")
    as_json = json.loads(run("server", "history", "--json", "--id", "1").stdout)
    unknown = run("server", "restore", "9")
    forgotten = run("server", "forget-history")
    left = json.loads(run("server", "history", "-o", "json").stdout)

    head, second, first = listed.stdout.splitlines()
    assert head.split() == ["VERSION", "CHANGED", "AT", "CHANGED", "BY", "CHANGES"]
    assert second.split()[0] == "2"
    assert re.search("operator +host: a.example.org -> b.example.org", second)
    assert re.search("password: label [0-9a-f]{12}", first)
    assert [one["secret"] for one in as_json] == ["kept", "kept", "set"]
    assert restored.stdout == "Restored version 1 of mail server 1 as version 3.\n"
    assert [one["version"] for one in as_json] == [3, 2, 1]
    assert (unknown.returncode, unknown.stderr) == (
        4,
        "Error: This mail server has no version 9. `mailsettings server history NAME` prints all.\n",
    )
    assert (forgotten.returncode, len(left)) == (0, 1)
    canary.assert_nowhere(listed.stdout, str(as_json), data)
