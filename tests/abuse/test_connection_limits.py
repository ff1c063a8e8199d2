"""Strangers with many connections: what they cost is bounded, and others are served meanwhile."""

import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from support.attackers import ATTACKS, Attack, Memory, from_many, from_one, status_for, under_attack
from support.processes import Started, clean_environment, make_token, started
from support.raw_http import PATIENCE_SECONDS, everything, statuses

MOST_GROWTH = 100  # megabytes
MAX_CONNECTIONS = 64
SETTINGS = "/cxrestapi/auth/SMTPSettings"
LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
PAGE = b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n"
KNOWN, STRANGER = "127.0.0.2", "127.0.0.3"
SOURCES = pytest.mark.parametrize("source", [from_one, from_many], ids=["one address", "many addresses"])

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the whole of 127.0.0.0/8 is this machine's")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Started, bytes]]:
    """A server with the usual limits, and a request of a caller who is known to it."""
    environment = clean_environment(tmp_path_factory.mktemp("usual") / "data")
    with started(environment) as server:
        yield server, known_request(make_token(environment))


def known_request(token: str) -> bytes:
    return f"GET {SETTINGS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("name", "connections", "source"),
    [
        ("bodies without an end", 1000, from_one),
        ("bodies without an end", 1000, from_many),
        ("answered bodies", 1000, from_many),
        ("unread files", 300, from_one),
        ("unread files", 300, from_many),
    ],
)
def test_attack_costs_little_memory_and_known_callers_are_served(
    running: tuple[Started, bytes], name: str, connections: int, source: Callable[[int], str]
) -> None:
    """Unbounded, 300 unread files cost 600 MB, and 1,000 bodies 150 MB."""
    server, known = running
    memory = Memory(server.process.pid)
    assert status_for(server.address, known, KNOWN) == 200
    memory.forget_highest()
    before = memory.read("VmRSS")
    with under_attack(server.address, replace(ATTACKS[name], connections=connections), source):
        assert status_for(server.address, known, KNOWN) == 200
        growth = memory.read("VmHWM") - before

    assert growth < MOST_GROWTH


@pytest.fixture
def small(tmp_path: Path) -> Iterator[tuple[Started, bytes]]:
    """A server with few connections."""
    environment = clean_environment(
        tmp_path / "data", MAX_CONNECTIONS=str(MAX_CONNECTIONS), RESPONSE_TIMEOUT_SECONDS="1"
    )
    with started(environment) as server:
        yield server, known_request(make_token(environment))


def slow_request(server: Started, source: str) -> socket.socket:
    """A connection that is refused, or busy until the body of its request comes."""
    connection = socket.create_connection(server.address, PATIENCE_SECONDS, (source, 0))
    connection.sendall(
        b"POST /cxrestapi/auth/identity/connect/token HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\n\r\n"
    )
    assert connection.recv(1000)[:12] in {b"HTTP/1.1 100", b"HTTP/1.1 503"}
    return connection


@SOURCES
def test_silent_connections_make_room_for_others(
    small: tuple[Started, bytes], source: Callable[[int], str]
) -> None:
    server, _ = small
    with under_attack(server.address, Attack(b"", 3 * MAX_CONNECTIONS), source):
        assert [status_for(server.address, PAGE, STRANGER) for _ in range(10)] == [200] * 10


def test_busy_connections_of_one_address_leave_half_to_others(small: tuple[Started, bytes]) -> None:
    server, _ = small
    with ExitStack() as stack:
        for _ in range(MAX_CONNECTIONS):
            stack.enter_context(slow_request(server, "127.0.0.1"))

        assert status_for(server.address, PAGE, "127.0.0.1") == 503
        assert status_for(server.address, PAGE, STRANGER) == 200
    eventually(lambda: f"of {MAX_CONNECTIONS} connections are open" in server.output.read_text())
    assert server.output.read_text().count("Refused a connection from 127.0.0.1") == 1


def test_busy_connections_leave_room_for_known_callers(small: tuple[Started, bytes]) -> None:
    server, known = small
    assert status_for(server.address, known, KNOWN) == 200
    with ExitStack() as stack:
        for number in range(MAX_CONNECTIONS):
            stack.enter_context(slow_request(server, from_many(number)))
        refused = stack.enter_context(socket.create_connection(server.address, PATIENCE_SECONDS, (STRANGER, 0)))
        refused.sendall(PAGE)
        answer = everything(refused)

        assert statuses(answer) == [503]
        assert b"\r\nretry-after: 1\r\n" in answer
        assert [status_for(server.address, known, KNOWN) for _ in range(3)] == [200] * 3


def test_connections_that_are_over_give_their_places_back(small: tuple[Started, bytes]) -> None:
    server, _ = small
    for _ in range(3 * MAX_CONNECTIONS):
        assert status_for(server.address, PAGE, "127.0.0.1") == 200


def test_a_client_that_reads_no_short_responses_is_disconnected(small: tuple[Started, bytes]) -> None:
    """What is below the usual high-water mark of 64 KiB waits too."""
    server, _ = small
    request = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
    with under_attack(server.address, Attack(request * 20, 1), from_one) as (connection,):
        eventually(lambda: "does not read its response" in server.output.read_text())

        assert len(everything(connection)) < 20 * 58_000


@pytest.mark.parametrize("proxies", ["127.0.0.1", ""], ids=["trusted", "not trusted"])
def test_a_trusted_proxy_may_have_all_connections(tmp_path: Path, proxies: str) -> None:
    given = {"MAX_CONNECTIONS": str(MAX_CONNECTIONS), "TRUSTED_PROXIES": proxies}
    with started(clean_environment(tmp_path / "data", **given)) as server, ExitStack() as stack:
        for _ in range(MAX_CONNECTIONS - 2):
            stack.enter_context(slow_request(server, "127.0.0.1"))

        assert status_for(server.address, PAGE, "127.0.0.1") == (200 if proxies else 503)


def test_unauthenticated_requests_are_limited_by_the_proxied_address(tmp_path: Path) -> None:
    environment = clean_environment(tmp_path / "data", TRUSTED_PROXIES="127.0.0.1")
    request = (
        b"POST /cxrestapi/auth/identity/connect/token HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.7\r\n"
    )
    attack = Attack(request + b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\n", 200)
    with started(environment) as server, under_attack(server.address, attack, from_one):
        refused = httpx.get(f"{server.url}/docs", headers={"X-Forwarded-For": "203.0.113.7"})
        other = httpx.get(f"{server.url}/docs", headers={"X-Forwarded-For": "203.0.113.8"})
        health = httpx.get(f"{server.url}/health/ready", headers={"X-Forwarded-For": "203.0.113.7"})

    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert (other.status_code, health.status_code) == (200, 200)
    assert "Refused a request from 203.0.113.7" in server.output.read_text()


@pytest.mark.parametrize(
    ("limits", "line"),
    [
        pytest.param((128, 4096), "Accepting at most 500 connections.", id="a low soft limit is raised"),
        pytest.param((512, 512), "accepts at most 256 connections instead of 500.", id="a low hard limit is told"),
    ],
)
def test_the_limit_of_open_files_shuts_nobody_out(tmp_path: Path, limits: tuple[int, int], line: str) -> None:
    environment = clean_environment(tmp_path / "data", MAX_CONNECTIONS="500")
    with started(environment, limit_files=limits) as server:
        with under_attack(server.address, Attack(b"", 600), from_many):
            assert [status_for(server.address, PAGE, STRANGER) for _ in range(5)] == [200] * 5
        log = server.output.read_text()

    assert line in log
    assert "Traceback" not in log


def eventually(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)
