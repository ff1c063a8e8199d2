"""Real processes: TLS of our own, ending when told to, and workers that come and go."""

import json
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPResponse, HTTPSConnection
from pathlib import Path

import httpx
import pytest
import trustme

from support import commands
from support.commands import Process
from support.processes import Started, clean_environment, started
from support.raw_http import everything
from support.timeouts import GUARD_SECONDS
from support.worker_forks import NAME as WORKER

AUTHORITY = trustme.CA()
PATIENCE_SECONDS = GUARD_SECONDS
DRAIN_TIMEOUT_SECONDS = 3
GRACE_TIMEOUT_SECONDS = 3
TEST_CONNECTION = "/cxrestapi/auth/SMTPSettings/testconnection"


@pytest.fixture(scope="module")
def trust() -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


def write_pair(folder: Path) -> tuple[str, str]:
    """A new certificate with its key, each put in its place at once; the options that name them."""
    pair = AUTHORITY.issue_cert("127.0.0.1")
    for name, content in (("key", pair.private_key_pem), ("certificate", pair.cert_chain_pems[0])):
        content.write_to_path(str(folder / f"new-{name}"))
        (folder / f"new-{name}").rename(folder / f"{name}.pem")
    return f"--tls-certificate={folder / 'certificate.pem'}", f"--tls-key={folder / 'key.pem'}"


def log_in(server: Started, trust: ssl.SSLContext) -> str:
    form = {"grant_type": "password", "username": "admin", "password": "correct horse"}
    answer = httpx.post(f"{server.url}/cxrestapi/auth/identity/connect/token", data=form, verify=trust)
    return str(answer.json()["access_token"])


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def status_of(server: Started, path: str, trust: ssl.SSLContext) -> int:
    return httpx.get(server.url + path, verify=trust).status_code


def children(process: Process) -> list[int]:
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [pid for pid in map(int, found) if Path(f"/proc/{pid}/comm").read_text().strip() == WORKER]


@pytest.fixture(scope="module")
def tls_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def two_workers(
    tmp_path_factory: pytest.TempPathFactory, tls_folder: Path, trust: ssl.SSLContext
) -> Iterator[Started]:
    environment = clean_environment(tmp_path_factory.mktemp("two") / "data", HEADERS_TIMEOUT_SECONDS="1")
    with started(environment, "--workers=2", *write_pair(tls_folder), trust=trust) as server:
        yield server


def greeted(server: Started, trust: ssl.SSLContext) -> ssl.SSLSocket:
    """A connection after the TLS handshake."""
    plain = socket.create_connection(server.address, PATIENCE_SECONDS)
    return trust.wrap_socket(plain, server_hostname="127.0.0.1")


def serial(server: Started, trust: ssl.SSLContext) -> str:
    with greeted(server, trust) as connection:
        shown = connection.getpeercert()
    assert shown is not None
    return str(shown["serialNumber"])


def answer(connection: HTTPSConnection) -> HTTPResponse:
    connection.request("GET", "/health/live")
    response = connection.getresponse()
    response.read()
    return response


def test_every_worker_shows_a_new_certificate_without_closing_connections(
    two_workers: Started, tls_folder: Path, trust: ssl.SSLContext
) -> None:
    before = serial(two_workers, trust)
    with closing(HTTPSConnection(*two_workers.address, timeout=PATIENCE_SECONDS, context=trust)) as connection:
        first = answer(connection)
        used = connection.sock
        write_pair(tls_folder)
        shown = {serial(two_workers, trust) for _ in range(20)}
        second = answer(connection)

        assert connection.sock is used
    assert (first.status, second.status) == (200, 200)
    assert "Strict-Transport-Security" in first.headers
    assert len(shown) == 1
    assert before not in shown


def test_a_client_without_a_tls_hello_is_disconnected(two_workers: Started) -> None:
    with socket.create_connection(two_workers.address, PATIENCE_SECONDS) as connection:
        assert everything(connection) == b""


def test_a_client_that_is_silent_after_hello_is_disconnected(two_workers: Started, trust: ssl.SSLContext) -> None:
    with greeted(two_workers, trust) as connection:
        assert connection.recv(1) == b""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are found in Linux's /proc")
def test_a_dead_worker_is_replaced_as_soon_as_possible(
    two_workers: Started, tls_folder: Path, trust: ssl.SSLContext
) -> None:
    wait_for(lambda: two_workers.output.read_text().count("Application startup complete") == 2)
    before = children(two_workers.process)
    (tls_folder / "key.pem").write_text("nonsense")
    os.kill(min(before), signal.SIGKILL)
    wait_for(lambda: "ended with status 3" in two_workers.output.read_text())
    served_meanwhile = {status_of(two_workers, "/health/ready", trust) for _ in range(5)}
    write_pair(tls_folder)

    wait_for(lambda: two_workers.output.read_text().count("Application startup complete") == 3)
    assert {status_of(two_workers, "/health/ready", trust) for _ in range(10)} == served_meanwhile == {200}
    assert len(before) == len(children(two_workers.process)) == 2
    assert "Traceback" not in two_workers.output.read_text()


@contextmanager
def mail_server_that_waits() -> Iterator[tuple[int, threading.Event, threading.Event]]:
    """Its port; that it was connected to; and that it may refuse, which it does not before."""
    connected, may_answer = threading.Event(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            connected.set()
            may_answer.wait(PATIENCE_SECONDS)
            with connection:
                connection.sendall(b"554 closed today\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1], connected, may_answer
        thread.join()


class Asking(threading.Thread):
    """A connection test that is under way, by a client of its own."""

    def __init__(self, server: Started, bearer: str, port: int, trust: ssl.SSLContext) -> None:
        super().__init__()
        self._request = httpx.Request(
            "POST",
            server.url + TEST_CONNECTION,
            headers={"Authorization": f"Bearer {bearer}"},
            json={"host": "127.0.0.1", "port": port, "encryptionType": "None", "fromAddress": "a@example.org"},
        )
        self._trust = trust
        self.answer: httpx.Response | None = None
        self.start()

    def run(self) -> None:
        with httpx.Client(verify=self._trust, timeout=PATIENCE_SECONDS) as client:
            try:
                self.answer = client.send(self._request)
            except httpx.TransportError:
                self.answer = None


def hold(stack: ExitStack, server: Started, trust: ssl.SSLContext, bearer: str) -> None:
    """Connections of clients that will never do their part."""

    def connect(*, tls: bool = True) -> socket.socket:
        made = greeted(server, trust) if tls else socket.create_connection(server.address)
        return stack.enter_context(made)

    connect(tls=False)  # in the middle of the handshake
    connect()  # has sent nothing
    idle = connect()
    idle.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
    assert idle.recv(4096)
    connect().sendall(b"GET /health/live HTTP/1.1\r\nHost: ")
    uploading = f"POST {TEST_CONNECTION} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\n"
    connect().sendall(uploading.encode() + b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
    connect().sendall(b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n" * 5)  # and takes no answer


@pytest.mark.parametrize(
    ("workers", "told"), [("1", signal.SIGINT), ("2", signal.SIGTERM)], ids=["one process", "workers"]
)
def test_shutdown_drains_finishes_requests_and_cuts_off_the_rest(
    tmp_path: Path, trust: ssl.SSLContext, workers: str, told: signal.Signals
) -> None:
    """Case 40."""
    seconds = {
        "DRAIN_TIMEOUT_SECONDS": str(DRAIN_TIMEOUT_SECONDS),
        "GRACE_TIMEOUT_SECONDS": str(GRACE_TIMEOUT_SECONDS),
    }
    environment = clean_environment(tmp_path / "data", **seconds)
    options = ["--dev", f"--workers={workers}", *write_pair(tmp_path)]
    with (
        ExitStack() as stack,
        mail_server_that_waits() as (port, connected, may_answer),
        started(environment, *options, trust=trust) as server,
    ):
        bearer = log_in(server, trust)
        hold(stack, server, trust, bearer)
        asking = Asking(server, bearer, port, trust)
        connected.wait(PATIENCE_SECONDS)
        server.tell(told)
        wait_for(lambda: status_of(server, "/health/ready", trust) == 503)
        begun = time.monotonic()
        served = httpx.get(f"{server.url}/health/live", verify=trust)
        wait_for(lambda: refused(server))
        may_answer.set()
        status = server.status()
        took = time.monotonic() - begun
        asking.join()

    assert (served.status_code, status) == (200, 0)
    assert served.headers.get("connection", "close" if workers == "2" else None) == "close"
    assert asking.answer is not None
    assert json.loads(asking.answer.text)["report"]["succeeded"] is False
    assert took < DRAIN_TIMEOUT_SECONDS + GRACE_TIMEOUT_SECONDS + PATIENCE_SECONDS
    assert "Traceback" not in server.output.read_text()


def refused(server: Started) -> bool:
    """Return whether the port is closed."""
    try:
        socket.create_connection(server.address, 1).close()
    except OSError:
        return True
    return False


@pytest.mark.parametrize("workers", ["1", "2"])
def test_told_twice_it_ends_at_once(tmp_path: Path, trust: ssl.SSLContext, workers: str) -> None:
    environment = clean_environment(tmp_path / "data", DRAIN_TIMEOUT_SECONDS="600", GRACE_TIMEOUT_SECONDS="600")
    with started(environment, f"--workers={workers}", *write_pair(tmp_path), trust=trust) as server:
        server.tell()
        wait_for(lambda: status_of(server, "/health/ready", trust) == 503)
        server.tell()

        assert server.status() == 128 + signal.SIGTERM
        assert refused(server)


def test_workers_whose_parent_is_killed_end_too(tmp_path: Path, trust: ssl.SSLContext) -> None:
    options = ["--workers=2", *write_pair(tmp_path)]
    with started(clean_environment(tmp_path / "data"), *options, trust=trust) as server:
        server.tell(signal.SIGKILL)

        wait_for(lambda: refused(server))


def test_a_bad_certificate_stops_the_start_before_any_change(tmp_path: Path) -> None:
    environment = clean_environment(tmp_path / "data")
    certificate, key = write_pair(tmp_path)
    (tmp_path / "certificate.pem").write_text("nonsense")
    refused = commands.run(environment, "serve", certificate, key)

    assert refused.returncode == 1
    assert "must hold a certificate and its private key in PEM form" in json.loads(refused.stderr)["message"]
    assert not (tmp_path / "data").exists()
