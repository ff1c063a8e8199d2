"""Many real processes on one database, on both kinds: they begin at once, agree, and end when told to."""

import json
import re
import signal
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest

from mailsettings.store.encryption.key_file import KeyFile

from support.parallel_commands import Commands, at_once
from support.postgres import Postgres
from support.processes import READY_SECONDS, clean_environment, free_port
from support.recycled_databases import new_database

REPLICAS = {"sqlite": 5, "postgresql": 3}
MIGRATIONS = 4
MAIL_SERVER = "/api/20210901/system/mail/server"
SETTINGS = "/cxrestapi/auth/SMTPSettings"
TOKEN = "/cxrestapi/auth/identity/connect/token"
KEYS = "/cxrestapi/auth/identity/.well-known/openid-configuration/jwks"
PASSWORD = re.compile(r"The password of the first account, admin, is in (\S+)\. Delete")


@dataclass
class Replicas:
    """Servers that began at once on an empty database, and one client for each of them, as their admin."""

    commands: Commands
    clients: Sequence[httpx.Client]
    database_url: str
    data_dir: Path

    def count(self, table: str) -> int:
        query = f"SELECT count(*) FROM {table}"
        if self.database_url.startswith("sqlite"):
            connection = sqlite3.connect(self.database_url.removeprefix("sqlite:///"))
            (found,) = connection.execute(query).fetchone()
            connection.close()
        else:
            with psycopg.connect(self.database_url) as database:
                (found,) = database.execute(query.encode()).fetchone() or (0,)
        return int(found)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def replicas(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    folder = tmp_path_factory.mktemp("replicas")
    if request.param == "sqlite":
        yield from serve(folder, f"sqlite:///{folder / 'data' / 'mailsettings.db'}", REPLICAS["sqlite"])
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    for url in new_database(postgres, "template0"):
        environment = without_password(clean_environment(folder / "data", DATABASE_URL=url))
        with at_once(environment, folder, [["migrate"]] * MIGRATIONS) as migrating:
            assert migrating.statuses() == [0] * MIGRATIONS
            assert [output.read_text() for output in migrating.outputs] == [""] * MIGRATIONS
        yield from serve(folder, url, REPLICAS["postgresql"])


def without_password(environment: Mapping[str, str]) -> dict[str, str]:
    """So that the start that makes the first account says its password."""
    return {name: value for name, value in environment.items() if name != "MAILSETTINGS_ADMIN_PASSWORD"}


def serve(folder: Path, url: str, count: int) -> Iterator[Replicas]:
    environment = without_password(clean_environment(folder / "data", DATABASE_URL=url))
    ports = [free_port() for _ in range(count)]
    with at_once(environment, folder, [["serve", "--port", str(port)] for port in ports]) as commands:
        clients = [httpx.Client(base_url=f"http://127.0.0.1:{port}") for port in ports]
        replicas = Replicas(commands, clients, url, folder / "data")
        for client in clients:
            wait_until_ready(client, commands)
        log_in(replicas)
        yield replicas
        for client in clients:
            client.close()
        commands.tell(signal.SIGTERM)
        assert commands.statuses() == [0] * count


def wait_until_ready(client: httpx.Client, commands: Commands) -> None:
    end = time.monotonic() + READY_SECONDS
    while True:
        try:
            if client.get("/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        if time.monotonic() > end:
            pytest.fail("\n".join(output.read_text() for output in commands.outputs))
        time.sleep(0.1)


def log_in(replicas: Replicas) -> None:
    """At the first, for all."""
    (password,) = passwords(replicas)
    form = {"grant_type": "password", "username": "admin", "password": password}
    token = replicas.clients[0].post(TOKEN, data=form).json()["access_token"]
    for client in replicas.clients:
        client.headers["Authorization"] = f"Bearer {token}"


def passwords(replicas: Replicas) -> list[str]:
    text = "".join(output.read_text() for output in replicas.commands.outputs)
    return [Path(file).read_text().strip() for file in PASSWORD.findall(text)]


def require_private_password(replicas: Replicas) -> None:
    """The log in JSON names a private file with the password, and has no other lines."""
    text = "".join(output.read_text() for output in replicas.commands.outputs)
    (file,) = map(Path, PASSWORD.findall(text))
    others = set(replicas.data_dir.glob("mailsettings-first-password-*")) - {file}

    assert file.stat().st_mode & 0o777 == 0o600
    assert others == set()  # each replica but the first removed its file
    assert file.read_text().strip() not in text
    assert all(json.loads(line)["time"].endswith("Z") for line in text.splitlines())
    assert "\\u001b" not in text


def test_simultaneous_first_starts_create_one_account_and_all_serve(replicas: Replicas) -> None:
    """Case 40."""
    signing = [client.get(KEYS).json()["keys"] for client in replicas.clients]
    sealing = KeyFile(replicas.data_dir / "sealing-keys").read().keys

    assert [client.get(MAIL_SERVER).status_code for client in replicas.clients] == [404] * len(replicas.clients)
    require_private_password(replicas)
    assert (replicas.count("accounts"), replicas.count("sealing_keys"), len(sealing)) == (1, 1, 1)
    assert len(signing[0]) == 1
    assert signing == [signing[0]] * len(signing)


def body(host: str) -> dict[str, object]:
    return {
        "host": host,
        "port": 25,
        "sender": {"displayName": "Reports", "emailAddress": "reports@example.org"},
        "auth": {"authType": "NO_AUTH"},
        "connectionSecurity": {"connectionSecurityType": "NO_CONNECTION_SECURITY"},
    }


def test_an_acknowledged_change_is_visible_on_every_other_server(replicas: Replicas) -> None:
    for number, writer in enumerate([*replicas.clients, *replicas.clients]):
        assert writer.put(MAIL_SERVER, json=body(f"h{number}")).status_code == 200
        seen = [client.get(MAIL_SERVER).json()["host"] for client in replicas.clients]
        assert seen == [f"h{number}"] * len(seen)
    for writer in replicas.clients:
        created = writer.post(SETTINGS, json={"host": "short-lived", "port": 25, "fromAddress": "a@example.org"})
        path = httpx.URL(created.headers["Location"]).path
        seen = [client.get(path).status_code for client in replicas.clients]
        assert writer.delete(path).is_success
        gone = [client.get(path).status_code for client in replicas.clients]
        assert (set(seen), set(gone)) == ({200}, {404})
    assert replicas.clients[0].delete(MAIL_SERVER).is_success
    assert {client.get(MAIL_SERVER).status_code for client in replicas.clients} == {404}
