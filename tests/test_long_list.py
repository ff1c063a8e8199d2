"""Twenty thousand settings in one list: what it costs the server, and whom it keeps waiting."""

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import AF_INET, SO_RCVBUF, SOCK_STREAM, SOL_SOCKET, socket

import httpx
import pytest

from mailsettings.store import migrations

from support import commands
from support.databases import fill
from support.postgres import Postgres
from support.processes import clean_environment, started
from support.raw_http import PATIENCE_SECONDS, Server, everything
from support.service import SMTP_SETTINGS, TOKEN

ROWS = 20_000
MOST_GROWTH = 10 * 1024  # kilobytes; twenty thousand rows in memory are several times as many
MOST_GROWTH_EACH = 2 * 1024  # of many clients that are slow, with the database's own memory for each connection
AT_ONCE = 32
SETTINGS = {"host": "new.example.org", "port": 25, "encryptionType": "None", "fromAddress": "a@example.org"}


@dataclass(frozen=True)
class LongList:
    """A server, the tokens of two callers, and its process for reading its memory."""

    url: str
    tokens: tuple[str, str]
    process: Path

    @contextmanager
    def grows_less_than(self, kilobytes: int) -> Iterator[None]:
        """At any moment of the block, its memory is not more than that above what it was before."""
        (self.process / "clear_refs").write_text("5")  # forget the highest so far (proc(5)): hashing takes 64 MiB
        before = self._kilobytes("VmRSS")
        yield
        assert self._kilobytes("VmHWM") - before < kilobytes

    def _kilobytes(self, name: str) -> int:
        lines = (self.process / "status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name))

    def client(self, token: int = 0) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.tokens[token]}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=PATIENCE_SECONDS)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def long_list(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LongList]:
    data = tmp_path_factory.mktemp("long") / "data"
    url = f"sqlite:///{data / 'mailsettings.db'}"
    if request.param == "postgresql":
        url = _new_database(request.getfixturevalue("postgres"))
    environment = clean_environment(data, DATABASE_URL=url, MAX_CONCURRENT_REQUESTS_PER_CLIENT=str(AT_ONCE))
    with started(environment) as server:
        tokens = (_token(environment), _logged_in(server.url))
        served = LongList(server.url, tokens, Path(f"/proc/{server.process.pid}"))
        with served.client() as client:
            assert client.get(SMTP_SETTINGS).json() == []
        fill(url, ROWS)
        yield served


def _new_database(postgres: Postgres) -> str:
    name = f"long_{uuid.uuid4().hex}"
    postgres.execute(f"CREATE DATABASE {name}")
    migrations.migrate(postgres.url(name))
    return postgres.url(name)


def _token(environment: dict[str, str]) -> str:
    return commands.run(environment, "token", "--permission", "manage-system-settings").stdout.strip()


def _logged_in(address: str) -> str:
    form = {"grant_type": "password", "username": "admin", "password": "correct horse"}
    return str(httpx.post(f"{address}{TOKEN}", data=form).json()["access_token"])


def test_the_list_is_complete_and_costs_no_memory(long_list: LongList) -> None:
    with long_list.client() as client, long_list.grows_less_than(MOST_GROWTH):
        answer = client.get(SMTP_SETTINGS)

    assert "content-length" not in answer.headers
    assert list(range(1, ROWS + 1)) == [view["id"] for view in answer.json()][:ROWS]


@pytest.fixture
def slow_readers(long_list: LongList) -> Iterator[list[socket]]:
    """As many as one caller may have; each has seen the beginning of its answer and takes no more."""
    request = f"GET {SMTP_SETTINGS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    request += f"Authorization: Bearer {long_list.tokens[0]}\r\n\r\n"
    with long_list.grows_less_than(AT_ONCE * MOST_GROWTH_EACH), ExitStack() as stack:
        readers = [stack.enter_context(closing(socket(AF_INET, SOCK_STREAM))) for _ in range(AT_ONCE)]
        for reader in readers:
            reader.setsockopt(
                SOL_SOCKET, SO_RCVBUF, 4096
            )  # before it connects: nothing else holds the server back
            reader.settimeout(PATIENCE_SECONDS)
            reader.connect(Server(long_list.url, "", Path()).address)
            reader.sendall(request.encode())
            assert reader.recv(15) == b"HTTP/1.1 200 OK"
        yield readers


def test_slow_readers_block_no_request_and_see_later_changes(
    long_list: LongList, slow_readers: list[socket]
) -> None:
    """More of them than there are connections to the database."""
    with long_list.client() as slow, long_list.client(1) as other:
        refused = slow.get(SMTP_SETTINGS)
        created = other.post(SMTP_SETTINGS, json=SETTINGS)
        path = created.headers["Location"].removeprefix(long_list.url)
        shown = other.get(path)
        rest = everything(slow_readers[0])

    assert (refused.status_code, created.status_code, shown.status_code) == (429, 201, 200)
    assert f'"id":{path.rpartition("/")[2]},'.encode() in rest
    assert rest.endswith(b"]\r\n0\r\n\r\n")
