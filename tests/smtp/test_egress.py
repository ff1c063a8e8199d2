"""Where a test may connect to, whatever the address is written as."""

from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from mailsettings.domain.mail_server import ConnectionSecurity, MailServer
from mailsettings.domain.probe import FailureCode, ProbeStage
from mailsettings.smtp.egress import DEFAULT_PORTS, EgressPolicy

from smtp_server import HOST, SENDER, Behaviour, real_server

CLOSED = [
    *("0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.254", "169.254.169.254", "169.254.0.1", "224.0.0.1"),
    *("239.1.1.1", "240.0.0.1", "255.255.255.255", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
    *("::", "::1", "fe80::1", "fec0::1", "ff02::1", "fd00:ec2::254"),
    *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::a9fe:a9fe"),
    *("2002:7f00:1::", "2002:a9fe:a9fe::1", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1"),
    "2001:0:4136:e378:8000:63bf:80ff:fffe",  # Teredo of 127.0.0.1
]
OPEN = [
    *("10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "8.8.8.8", "192.0.2.1", "fd00::1", "2001:db8::1"),
    *("::ffff:10.0.0.1", "2002:a00:1::", "64:ff9b::8.8.8.8", "::8.8.8.8"),
]


@pytest.mark.parametrize("address", CLOSED)
def test_what_is_never_somebodys_relay_is_closed(address: str) -> None:
    assert not EgressPolicy().allows(ip_address(address))


@pytest.mark.parametrize("address", OPEN)
def test_private_and_public_addresses_are_open(address: str) -> None:
    assert EgressPolicy().allows(ip_address(address))


def test_a_network_that_is_named_is_open_by_its_own_addresses_only() -> None:
    policy = EgressPolicy((ip_network("127.0.0.1/32"),))

    assert policy.allows(ip_address("127.0.0.1"))
    assert policy.allows(ip_address("::ffff:127.0.0.1"))
    assert not policy.allows(ip_address("127.0.0.2"))
    assert not policy.allows(ip_address("::1"))


@pytest.mark.parametrize("port", [25, 465, 587, 1025, 2465, 2525, 2587])
def test_mail_ports_are_open(port: int) -> None:
    assert port in DEFAULT_PORTS
    assert EgressPolicy().allows_port(port)


@pytest.mark.parametrize("port", [22, 80, 443, 5432, 6379, 65535])
def test_other_ports_are_closed_until_any_port_is_allowed(port: int) -> None:
    assert not EgressPolicy().allows_port(port)
    assert EgressPolicy(allowed_ports=None).allows_port(port)


ANSWERS: dict[str, list[list[str]]] = {
    "closed": [["127.0.0.1"]],
    "open, then closed": [["192.0.2.1", "127.0.0.1"]],
    "closed, then open": [["169.254.169.254", "192.0.2.1"]],
    "mapped": [["::ffff:127.0.0.1"]],
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_host_with_a_closed_address_is_not_connected_to(make_prober: Any, name: str) -> None:
    answers = [[ip_address(one) for one in answer] for answer in ANSWERS[name]]
    asked: list[str] = []

    def resolve(host: str) -> Any:
        asked.append(host)
        return answers[len(asked) - 1]

    async with real_server(Behaviour()) as server:
        prober = make_prober(egress=EgressPolicy(allowed_ports=None), resolve=resolve)
        settings = MailServer("mail.example.org", server.port, ConnectionSecurity.NONE, SENDER)
        report = await prober.probe(settings, None)

    assert report.failure is not None
    assert (report.failure.code, report.failure.stage) == (FailureCode.ADDRESS_NOT_ALLOWED, ProbeStage.RESOLVE)
    assert "MAILSETTINGS_SMTP_ALLOWED_NETWORKS" in " ".join(report.failure.steps)
    assert server.connections == 0
    assert asked == ["mail.example.org"]


async def test_a_name_is_looked_up_once_and_the_checked_address_is_used(make_prober: Any) -> None:
    """A second look-up would lead to an address where nothing listens."""
    answers = iter([[ip_address(HOST)], [ip_address("127.0.0.77")]])
    async with real_server(Behaviour()) as server:
        prober = make_prober(resolve=lambda _host: next(answers))
        report = await prober.probe(server.settings(host="mail.example.org"), "to@example.org")

    assert report.succeeded
    assert len(server.messages) == 1


async def test_a_dead_address_does_not_keep_the_next_one_from_being_tried(make_prober: Any) -> None:
    async with real_server(Behaviour()) as server:
        prober = make_prober(resolve=lambda _host: [ip_address("127.0.0.77"), ip_address(HOST)])
        report = await prober.probe(server.settings(host="mail.example.org"), None)

    assert report.succeeded


@pytest.mark.shows(FailureCode.ADDRESS_NOT_ALLOWED)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "::ffff:7f00:1"])
async def test_by_default_this_machine_is_not_connected_to(make_prober: Any, host: str) -> None:
    async with real_server(Behaviour()) as server:
        prober = make_prober(egress=EgressPolicy(allowed_ports=None))
        report = await prober.probe(server.settings(host=host), None)

    assert report.failure is not None
    assert report.failure.code is FailureCode.ADDRESS_NOT_ALLOWED
    assert server.connections == 0


@pytest.mark.shows(FailureCode.PORT_NOT_ALLOWED)
async def test_a_closed_port_is_refused_and_its_setting_named(make_prober: Any) -> None:
    async with real_server(Behaviour()) as server:
        prober = make_prober(egress=EgressPolicy((ip_network("127.0.0.0/8"),)))
        report = await prober.probe(server.settings(), None)

    assert report.failure is not None
    assert report.failure.code is FailureCode.PORT_NOT_ALLOWED
    assert "MAILSETTINGS_SMTP_ALLOWED_PORTS" in " ".join(report.failure.steps)
    assert server.connections == 0


@pytest.mark.shows(FailureCode.HOST_NOT_FOUND)
async def test_a_name_that_nobody_knows_is_told_as_such(make_prober: Any) -> None:
    def resolve(_host: str) -> Any:
        raise OSError(-2, "Name or service not known")

    settings = MailServer("nowhere.example", 25, ConnectionSecurity.NONE, SENDER)
    report = await make_prober(resolve=resolve).probe(settings, None)

    assert report.failure is not None
    assert (report.failure.code, report.failure.stage) == (FailureCode.HOST_NOT_FOUND, ProbeStage.RESOLVE)


@pytest.mark.shows(FailureCode.CONNECTION_REFUSED)
async def test_a_port_where_nothing_listens_is_told_as_such(make_prober: Any) -> None:
    async with real_server(Behaviour()) as server:
        settings = server.settings()
    report = await make_prober().probe(settings, None)

    assert report.failure is not None
    assert (report.failure.code, report.failure.stage) == (FailureCode.CONNECTION_REFUSED, ProbeStage.CONNECT)
