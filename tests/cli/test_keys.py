"""`mailsettings key encryption`: every command by its words, and all of them while a real service serves."""

import asyncio
import os
import subprocess
from base64 import b64decode
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from mailsettings.domain.errors import SecretUnreadable
from mailsettings.domain.mail_server import ConnectionSecurity
from mailsettings.store import engine
from mailsettings.store.encryption.key_file import KeyFile
from mailsettings.store.encryption.sealing import MAIL_SERVER_SECRET, Sealer
from mailsettings.store.tables import mail_servers

from support import commands
from support.processes import serving
from support.smtp_server import AUTHORITY_PEM, HOST, USERNAME, Behaviour, real_server
from support.timeouts import GUARD_SECONDS

CANARY = "canary-7a90c1d4 with ünïcode"
MAIL_SERVER = "/api/20210901/system/mail/server"
SMTP_SETTINGS = "/cxrestapi/auth/SMTPSettings"
TESTERS = 1
WRITERS = 2


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAILSETTINGS_")}
    authority = tmp_path / "ca.pem"
    authority.write_text(AUTHORITY_PEM)
    return clean | {
        "MAILSETTINGS_DATA_DIR": str(tmp_path / "data"),
        "MAILSETTINGS_DEV": "true",
        "MAILSETTINGS_SMTP_CA_FILE": str(authority),
        "MAILSETTINGS_SMTP_MAX_TESTS_PER_MINUTE_PER_CLIENT": "10000",
    }


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return commands.run(environment, *arguments)


def done(environment: dict[str, str], *arguments: str) -> list[str]:
    """The words of a command that has to succeed."""
    ran = run(environment, *arguments)
    assert (ran.returncode, ran.stderr) == (0, ""), ran
    return ran.stdout.split()


def key_states(environment: dict[str, str]) -> dict[str, list[str]]:
    """For each encryption key its state, and the number of its secrets."""
    rows = run(environment, "key", "encryption", "status").stdout.splitlines()[1:]
    return {key: rest for key, *rest in map(str.split, rows)}


def test_keys_are_rotated_listed_and_dropped_and_refusals_explained(environment: dict[str, str]) -> None:
    done(environment, "migrate")
    first = key_states(environment)
    (second,) = done(environment, "key", "encryption", "rotate")
    current = run(environment, "key", "encryption", "drop", second)
    unknown = run(environment, "key", "encryption", "drop", "nonsense")
    resealed = done(environment, "key", "encryption", "reseal")
    done(environment, "key", "encryption", "drop", *first)

    assert list(first.values()) == [["current", "1"]]  # the key that signs tokens
    assert (current.returncode, unknown.returncode) == (4, 4)
    assert (
        current.stderr
        == f"Error: The key {second} is the current one; run `mailsettings key encryption rotate` first.\n"
    )
    assert unknown.stderr == "Error: There is no key of this id; see `mailsettings key encryption status`.\n"
    assert resealed == ["2", "resealed."]  # with the key of the audit log
    assert key_states(environment) == {second: ["current", "2"]}


def test_a_read_only_key_file_is_changed_by_hand(environment: dict[str, str], tmp_path: Path) -> None:
    mounted = tmp_path / "mounted"
    lines = [run(environment, "key", "encryption", "new").stdout for _ in range(2)]
    mounted.write_text(lines[0])
    mounted.chmod(0o440)
    environment["MAILSETTINGS_ENCRYPTION_KEYS_FILE"] = str(mounted)
    done(environment, "migrate")
    first = key_states(environment)
    refused = run(environment, "key", "encryption", "rotate")
    mounted.chmod(0o640)
    mounted.write_text("".join(lines))
    resealed = run(environment, "key", "encryption", "reseal")
    dropped = run(environment, "key", "encryption", "drop", *first)

    assert [len(b64decode(line.partition("#")[0])) for line in lines] == [32, 32]
    assert refused.returncode == 3
    assert refused.stderr.count("\n") == 1
    assert f"{mounted} is never written by mailsettings" in refused.stderr
    assert "mailsettings key encryption new" in refused.stderr
    assert resealed.returncode == dropped.returncode == 0
    assert f"remove its line from {mounted}" in dropped.stdout
    assert mounted.read_text() == "".join(lines)
    assert not (tmp_path / "data" / "sealing-keys").exists()


def test_a_database_without_its_key_is_not_migrated(environment: dict[str, str], tmp_path: Path) -> None:
    """Case 18."""
    done(environment, "migrate")
    done(environment, "key", "encryption", "rotate")
    data = tmp_path / "data"
    (data / "sealing-keys").unlink()
    database = engine.sync_engine(f"sqlite:///{data / 'mailsettings.db'}")
    with database.begin() as connection:
        connection.exec_driver_sql("DELETE FROM alembic_version")
    database.dispose()
    before = {path.name: path.read_bytes() for path in data.iterdir()}

    refused = run(environment, "serve")

    assert refused.returncode == 3
    assert refused.stderr.startswith(f"Error: There is no key file {data / 'sealing-keys'}")
    assert refused.stderr.count("\n") == 1
    assert {path.name: path.read_bytes() for path in data.iterdir()} == before


def settings_for(port: int, **changes: object) -> dict[str, object]:
    given = {"host": HOST, "port": port, "encryptionType": "Tls", "fromAddress": "scans@example.org"}
    return {**given, "username": USERNAME, "password": CANARY, **changes}


class Traffic:
    """Clients that write, read and test without a pause, and what they were answered."""

    def __init__(self, http: httpx.AsyncClient, port: int) -> None:
        self.http = http
        self.port = port
        self.answers: Counter[tuple[str, int]] = Counter()
        self.failed: list[str] = []

    async def write(self, number: int) -> None:
        body = settings_for(self.port, displayName=f"writer {number}")
        location = (await self.ask("POST", SMTP_SETTINGS, body)).headers["Location"]
        await self.ask("PUT", location, body)
        unsaid = {name: value for name, value in body.items() if name != "password"}
        await self.ask("PUT", location, unsaid)  # the stored secret is opened and sealed again
        await self.ask("GET", location)
        await self.ask("DELETE", location)

    async def test(self, _number: int) -> None:
        await self.ask("GET", MAIL_SERVER)
        await self.ask("POST", f"{MAIL_SERVER}/actions/test", {})

    async def ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        answer = await self.http.request(method, path, json=body)
        self.answers[method, answer.status_code] += 1
        if answer.status_code >= 400:
            self.failed.append(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer


async def repeat(action: Callable[[int], Awaitable[None]], number: int) -> None:
    while True:
        await action(number)


async def change_keys(environment: dict[str, str], old: str) -> None:
    """Rotate, reseal and drop the key *old*, by the command line."""
    for arguments in (["rotate"], ["reseal"], ["drop", old]):
        await asyncio.to_thread(done, environment, "key", "encryption", *arguments)


async def test_no_request_fails_while_keys_are_rotated_and_dropped(
    database_url: str, environment: dict[str, str], tmp_path: Path
) -> None:
    """Case 19."""
    environment["MAILSETTINGS_DATABASE_URL"] = database_url
    file = KeyFile(tmp_path / "data" / "sealing-keys")
    file.create()
    (first_key,) = file.read()[1]
    async with real_server(Behaviour(ConnectionSecurity.STARTTLS, CANARY)) as server:
        with serving(environment) as (url, _):
            token = done(environment, "token", "--permission", "manage-system-settings")[0]
            headers = {"Authorization": f"Bearer {token}"}
            async with httpx.AsyncClient(base_url=url, headers=headers, timeout=GUARD_SECONDS) as http:
                traffic = Traffic(http, server.port)
                for _ in range(120):  # more than two batches
                    created = await traffic.ask("POST", SMTP_SETTINGS, settings_for(server.port))
                server_id = int(created.headers["Location"].rpartition("/")[2])
                await traffic.ask("PUT", "/v1/mail-servers/default", {"id": server_id})
                clients = [
                    *(asyncio.create_task(repeat(traffic.write, number)) for number in range(WRITERS)),
                    *(asyncio.create_task(repeat(traffic.test, number)) for number in range(TESTERS)),
                ]
                await change_keys(environment, Sealer(first_key).key_id)
                ended = [client for client in clients if client.done()]
                for client in clients:
                    client.cancel()
                for client in clients:
                    with suppress(asyncio.CancelledError):
                        await client

    assert (traffic.failed, ended) == ([], [])
    assert traffic.answers["PUT", 204] + traffic.answers["PUT", 200] > 2 * WRITERS
    assert traffic.answers["POST", 200] > 1
    assert server.attempts
    assert opened(database_url, Sealer(first_key)) == []
    assert set(opened(database_url, Sealer(*file.read()[1]))) == {CANARY}


def opened(url: str, sealer: Sealer) -> list[str]:
    """What *sealer* can open of all that is stored."""
    database = engine.sync_engine(url)
    with database.connect() as connection:
        rows = connection.execute(select(mail_servers)).mappings().all()
    database.dispose()
    texts = []
    for row in rows:
        place, associated_data = MAIL_SERVER_SECRET.place(row["id"]), MAIL_SERVER_SECRET.associated_data_in(row)
        with suppress(SecretUnreadable):
            texts.append(sealer.open(row["sealed_secret"], place, associated_data))
    assert len(rows) >= 120
    return texts
