"""The service never connects outside the egress policy, however the address is written."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from ipaddress import ip_address, ip_network
from itertools import cycle
from typing import Any

import httpx
import pytest

from mailsettings.domain.connection_test import FailureCode
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer
from mailsettings.network.policy import Address, EgressPolicy

from support.service import MAIL_SERVER, SMTP_SETTINGS
from support.smtp_server import (
    HOST,
    SENDER,
    Behaviour,
    RealServer,
    listening,
    real_server,
    scripted_server,
    stays_silent,
)
from support.timeouts import GUARD_SECONDS, scaled

TEST_CONNECTION = f"{SMTP_SETTINGS}/testconnection"
TEST_STORED = f"{MAIL_SERVER}/actions/test"
NAME = "mail.example.org"
Connects = list[tuple[str, int]]

NO_HOSTS = [
    *("127.1", "127.0.1", "0x7f.1", "0x7f000001", "2130706433", "0177.0.0.1", "017700000001", "127.0.00.1", "0"),
    *(
        "127。0。0。1",
        "①②⑦.0.0.1",
        "127.0.0.1\u200b",
        "\uff11\uff12\uff17.0.0.1",
        "127.0.0.1.",
        "[::1]",
        "[::ffff:127.0.0.1]",
    ),
    *("::1%lo", "fe80::1%eth0", "127.0.0.1:25", "localhost:25", "user@127.0.0.1", "//127.0.0.1", "127.0.0.1/"),
    *("127.0.0.1#", "127.0.0.1?x", "127.0.0.1\\", "localhost\u0000", "0x7f.0x0.0x0.0x1", "256.256.256.256"),
]
CLOSED = [
    *(
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "localhost",
        "LOCALHOST",
        "::1",
        "::",
        "0:0:0:0:0:0:0:1",
    ),
    *("::ffff:127.0.0.1", "::ffff:7f00:1", "::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1"),
    *("64:ff9b:1::127.0.0.1", "64:ff9b:1:7f00:0:100::", "2002:7f00:1::", "2001:0:808:808::80ff:fffe"),
    *("2606:4700::5efe:127.0.0.1", "169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"),
    *("2002:a9fe:a9fe::", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "169.254.170.2"),
    *("fe80::1", "fec0::1", "ff02::1", "224.0.0.1", "255.255.255.255", "240.0.0.1"),
]


@pytest.fixture
def kind() -> str:
    """Addresses are the same on every database."""
    return "sqlite"


@pytest.fixture
async def open_port() -> AsyncIterator[RealServer]:
    """A mail server on loopback, which is what a closed address would lead to."""
    async with real_server(Behaviour()) as server:
        yield server


@pytest.fixture
def service_settings(open_port: RealServer) -> Mapping[str, str]:
    """As in production: loopback is closed. The port is open, so that the address alone decides."""
    return {
        "DEV": "false",
        "SMTP_ALLOWED_PORTS": f"25,{open_port.port}",
        "SMTP_MAX_TESTS_PER_MINUTE_PER_CLIENT": "1000",
        "SMTP_MAX_CONCURRENT_TESTS": "64",
        "SMTP_MAX_CONCURRENT_TESTS_PER_CLIENT": "64",
        "MAX_CONCURRENT_REQUESTS_PER_CLIENT": "64",
    }


def settings(host: str, port: int) -> dict[str, Any]:
    return {"host": host, "port": port, "fromAddress": "a@example.org", "recieverEmail": "b@example.org"}


def server(host: str, port: int) -> dict[str, Any]:
    return {
        "host": host,
        "port": port,
        "sender": {"displayName": "A", "emailAddress": "a@example.org"},
        "auth": {"authType": "NO_AUTH"},
        "connectionSecurity": {"connectionSecurityType": "NO_CONNECTION_SECURITY"},
    }


async def both_tests(http: httpx.AsyncClient, host: str, port: int) -> list[httpx.Response]:
    """The answers of both APIs to a test of *host*; Oracle's tests what it stored, if it did."""
    given = await http.post(TEST_CONNECTION, json=settings(host, port))
    put = await http.put(MAIL_SERVER, json=server(host, port))
    return [given, put if put.status_code != 200 else await http.post(TEST_STORED)]


async def test_a_loose_form_of_an_address_is_no_host(
    http: httpx.AsyncClient, open_port: RealServer, connects: Connects
) -> None:
    """Case 31."""
    for host in NO_HOSTS:
        answers = await both_tests(http, host, open_port.port)
        assert [answer.status_code for answer in answers] == [400, 400], ascii(host)
        assert all(answer.json()["message"].startswith("host ") for answer in answers), ascii(host)
        assert host == "0" or not any(host in answer.text for answer in answers), ascii(host)

    assert (open_port.connections, connects) == (0, [])


async def test_closed_address_is_refused_like_others_and_never_connected(
    http: httpx.AsyncClient, open_port: RealServer, connects: Connects
) -> None:
    """Case 31."""
    bodies: list[set[str]] = [set(), set()]
    for host in CLOSED:
        answers = await both_tests(http, host, open_port.port)
        assert [(answer.status_code, code(answer)) for answer in answers] == [(400, "address_not_allowed")] * 2, (
            host
        )
        for seen, answer in zip(bodies, answers, strict=True):
            seen.add(words(answer, host))

    assert [len(seen) for seen in bodies] == [1, 1]
    assert (open_port.connections, connects) == (0, [])


@pytest.mark.parametrize("preset", ["public", "allowlist"])
async def test_private_addresses_are_closed_by_a_stricter_preset(
    make_prober: Any, connects: Connects, preset: Any
) -> None:
    """Case 31."""
    prober = make_prober(egress=EgressPolicy(preset=preset))
    for host in ("10.0.0.1", "192.168.0.1", "100.64.0.1", "fd00::1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1"):
        report = await prober.probe(MailServer(host, 25, ConnectionSecurity.NONE, SENDER), None)
        assert report.failure.code is FailureCode.ADDRESS_NOT_ALLOWED

    assert connects == []


GOOD, BAD = "127.0.0.1", "127.66.0.1"
"""Only the first is open in the tests of names."""
MIXED = {
    "bad": [BAD],
    "good, bad": [GOOD, BAD],
    "bad, good": [BAD, GOOD],
    "good, mapped bad": [GOOD, f"::ffff:{BAD}"],
    "good, metadata": [GOOD, "169.254.169.254"],
    "good, bad by NAT64": [GOOD, f"64:ff9b::{BAD}"],
    "many good, one bad": [*[GOOD] * 50, BAD],
}


ONLY_GOOD = EgressPolicy((ip_network(GOOD),), None)


@pytest.mark.parametrize("name", MIXED)
async def test_one_bad_record_among_good_ones_closes_the_name(
    make_prober: Any, open_port: RealServer, connects: Connects, name: str
) -> None:
    """Case 32."""
    answer = [ip_address(text) for text in MIXED[name]]
    prober = make_prober(egress=ONLY_GOOD, resolve=lambda _host: answer)
    report = await prober.probe(open_port.settings(host=NAME), "to@example.org")

    assert report.failure.code is FailureCode.ADDRESS_NOT_ALLOWED
    assert (open_port.connections, connects) == (0, [])
    assert BAD not in repr([stage.observed for stage in report.stages])


class Rebinding:
    """A resolver that says something else each time, as a name server of an attacker would."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = cycle(answers)
        self.asked: list[str] = []

    def __call__(self, host: str) -> list[Address]:
        self.asked.append(host)
        return [ip_address(text) for text in next(self._answers)]


async def test_host_name_is_resolved_once_and_only_checked(
    make_prober: Any, open_port: RealServer, connects: Connects
) -> None:
    """Case 32."""
    resolver = Rebinding([GOOD], [BAD])
    prober = make_prober(egress=ONLY_GOOD, resolve=resolver)
    reports = [await prober.probe(open_port.settings(host=NAME), None) for _ in range(6)]

    assert [report.succeeded for report in reports] == [True, False] * 3
    assert {report.failure.code for report in reports[1::2]} == {FailureCode.ADDRESS_NOT_ALLOWED}
    assert resolver.asked == [NAME] * 6
    assert connects == [(GOOD, open_port.port)] * 3


async def test_second_looks_go_to_checked_addresses_without_asking_again(
    make_prober: Any, open_port: RealServer, connects: Connects
) -> None:
    """Case 32."""
    resolver = Rebinding([GOOD, GOOD], [BAD])
    usual = {open_port.port: ConnectionSecurity.STARTTLS}
    async with scripted_server(stays_silent) as silent:
        prober = make_prober(egress=ONLY_GOOD, resolve=resolver, usual_ports=usual, deadline_seconds=scaled(3))
        where = MailServer(NAME, silent.port, ConnectionSecurity.STARTTLS, SENDER)
        report = await prober.probe(where, None)

    assert not report.succeeded
    assert resolver.asked == [NAME]
    assert open_port.connections == 1
    assert len(connects) > 2
    assert {host for host, _ in connects} == {GOOD}


ERRORS = [
    socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
    socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
    socket.gaierror(socket.EAI_FAIL, "Non-recoverable failure in name resolution"),
    socket.gaierror(socket.EAI_SYSTEM, "System error"),
    TimeoutError(),
    UnicodeError("label too long"),
]


async def test_an_unresolvable_name_is_not_connected_to(
    http: httpx.AsyncClient, connects: Connects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 33."""
    errors = [error for error in ERRORS for _api in range(2)]

    def getaddrinfo(*_arguments: Any, **_options: Any) -> Any:
        raise errors.pop(0)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    for _ in ERRORS:
        answers = await both_tests(http, NAME, 25)
        assert [answer.status_code for answer in answers] == [400, 400]
        assert all(answer.json()["report"]["failure"]["stage"] == "resolve" for answer in answers)

    assert (errors, connects) == ([], [])


@pytest.fixture
def slow_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Semaphore, threading.Event]]:
    """A resolver that hangs: how many calls did begin, and what lets them go."""
    begun, release = threading.Semaphore(0), threading.Event()

    def getaddrinfo(*_arguments: Any, **_options: Any) -> Any:
        begun.release()
        release.wait(GUARD_SECONDS)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield begun, release
    release.set()


async def test_fifty_slow_names_hold_up_nobody_else(
    http: httpx.AsyncClient,
    connects: Connects,
    slow_names: tuple[threading.Semaphore, threading.Event],
) -> None:
    """Case 33."""
    begun, release = slow_names
    hanging = [
        asyncio.create_task(http.post(TEST_CONNECTION, json=settings(f"{number}.example.org", 25)))
        for number in range(50)
    ]
    assert await asyncio.to_thread(lambda: all(begun.acquire(timeout=GUARD_SECONDS) for _ in hanging))

    others = [await http.get(path) for path in (SMTP_SETTINGS, "/health/ready", "/health/live")]
    refused = await http.post(TEST_CONNECTION, json=settings("127.0.0.1", 25))
    done_meanwhile = [task.done() for task in hanging]
    release.set()
    answers = await asyncio.gather(*hanging)

    assert [answer.status_code for answer in others] == [200, 200, 200]
    assert code(refused) == "address_not_allowed"
    assert not any(done_meanwhile)
    assert {answer.status_code for answer in answers} == {400}
    assert {answer.json()["report"]["failure"]["stage"] for answer in answers} == {"resolve"}
    assert connects == []


async def test_a_closed_address_reveals_nothing_about_its_ports(
    make_prober: Any, open_port: RealServer, connects: Connects
) -> None:
    """Case 34. For a permitted address the report says more, as a connection test should."""
    prober = make_prober(egress=EgressPolicy(allowed_ports=None))
    async with real_server(Behaviour()) as gone:
        nobody = gone.port
    failures = set()
    async with listening(_speaks_ssh) as ssh:
        for port in (open_port.port, ssh, nobody):
            where = MailServer(HOST, port, ConnectionSecurity.NONE, SENDER)
            failures.add(repr((await prober.probe(where, "to@example.org")).failure))

    assert len(failures) == 1
    assert connects == []


async def _speaks_ssh(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    await writer.drain()


def code(answer: httpx.Response) -> str:
    return str(answer.json()["report"]["failure"]["code"])


def words(answer: httpx.Response, host: str) -> str:
    """All that is said of the failure, but for the host that was sent."""
    body = answer.json()
    return json.dumps([body["message"], body["report"]["failure"]]).replace(json.dumps(host), '"host"')
