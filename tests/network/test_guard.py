"""No setting opens the service's own socket or its database, under any name or address."""

import threading
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

import pytest

from mailsettings.domain.connection_test import FailureCode
from mailsettings.domain.mail_server import ConnectionSecurity
from mailsettings.network.guard import EgressGuard, HostLookup, NotAllowed
from mailsettings.network.policy import Address, EgressPolicy, EgressPreset, Endpoint, reachable_addresses

from support.smtp_server import HOST, Behaviour, real_server

EVERYWHERE = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))
NAMES = {
    "database.example.org": ["192.0.2.7", "2001:db8::7"],
    "service.example.org": ["127.0.0.1"],
    "elsewhere.example.org": ["192.0.2.8"],
}


def resolve(host: str) -> list[Address]:
    if host not in NAMES:
        raise OSError(-2, "Name or service not known")
    return [ip_address(text) for text in NAMES[host]]


def guard_with(*own: Endpoint, resolve: Any = resolve) -> EgressGuard:
    return EgressGuard(EgressPolicy(EVERYWHERE, None, own=own), HostLookup(resolve))


OURS = {
    "an address": ("192.0.2.7", "192.0.2.7"),
    "an address, mapped": ("192.0.2.7", "::ffff:192.0.2.7"),
    "an address, by NAT64": ("192.0.2.7", "64:ff9b::192.0.2.7"),
    "an address that is mapped": ("::ffff:192.0.2.7", "192.0.2.7"),
    "a name": ("database.example.org", "192.0.2.7"),
    "a name, by its other address": ("database.example.org", "2001:db8::7"),
    "a name that nobody knows": ("nowhere.example.org", "192.0.2.9"),
    "loopback": ("127.0.0.1", "127.0.0.1"),
    "loopback, by another of its addresses": ("127.0.0.1", "127.0.0.2"),
    "loopback, by no address": ("127.0.0.1", "0.0.0.0"),
    "loopback, by no address of IPv6": ("::1", "::"),
    "a name for loopback": ("service.example.org", "127.0.0.1"),
    "every address": ("0.0.0.0", "127.0.0.1"),
    "every address, left out": ("", "127.0.0.1"),
    "every address of IPv6": ("::", "::1"),
}


@pytest.mark.parametrize("name", OURS)
async def test_our_own_endpoints_are_closed_whatever_is_allowed(name: str) -> None:
    host, target = OURS[name]

    assert not await guard_with(Endpoint(host, 2525)).allows(ip_address(target), 2525)


@pytest.mark.parametrize("host", ["192.0.2.7", "database.example.org", "127.0.0.1", "0.0.0.0", ""])
async def test_other_ports_and_other_machines_stay_open(host: str) -> None:
    ours = guard_with(Endpoint(host, 2525))

    assert await ours.allows(ip_address("192.0.2.7"), 25)
    assert await ours.allows(ip_address("127.0.0.1"), 25)
    assert await ours.allows(ip_address("192.0.2.8"), 2525)


async def test_only_this_machines_addresses_are_closed_to_itself() -> None:
    ours = guard_with(Endpoint("127.0.0.1", 2525))

    assert await ours.allows(ip_address("2001:db8::9"), 2525)
    assert not await ours.allows(ip_address("::1"), 2525)


def test_the_unspecified_address_reaches_loopback() -> None:
    assert reachable_addresses(ip_address("0.0.0.0")) == {ip_address("127.0.0.1")}
    assert reachable_addresses(ip_address("::")) == {ip_address("::1")}
    assert reachable_addresses(ip_address("192.0.2.7")) == {ip_address("192.0.2.7")}


async def test_a_connection_needs_an_open_port_and_address() -> None:
    policy = EgressGuard(
        EgressPolicy((ip_network("192.0.2.0/24"),), preset=EgressPreset.ALLOWLIST), HostLookup(resolve)
    )

    assert await policy.allows(ip_address("192.0.2.7"), 25)
    assert not await policy.allows(ip_address("192.0.2.7"), 22)
    assert not await policy.allows(ip_address("198.51.100.7"), 25)


async def test_a_refused_address_or_port_comes_with_steps() -> None:
    policy = EgressGuard(EgressPolicy(), HostLookup(resolve))
    policy.require_port(25)
    with pytest.raises(NotAllowed) as port:
        policy.require_port(22)
    with pytest.raises(NotAllowed) as address:
        await policy.require([ip_address("127.0.0.1")], 25)

    closed_port, closed_address = port.value, address.value
    assert closed_port.explanation == "connection tests may not use port 22."
    assert closed_port.steps == (
        "Use a port for mail.",
        "Or ask this service's administrator to add it to MAILSETTINGS_SMTP_ALLOWED_PORTS.",
    )
    assert closed_address.steps == (
        "Use another host.",
        "Or ask this service's administrator to add its network to MAILSETTINGS_SMTP_ALLOWED_NETWORKS.",
    )


async def test_our_names_are_looked_up_for_their_port_only() -> None:
    asked: list[str] = []

    def noting(host: str) -> list[Address]:
        asked.append(host)
        return resolve(host)

    ours = guard_with(
        Endpoint("database.example.org", 5432), Endpoint("elsewhere.example.org", 8080), resolve=noting
    )
    await ours.require([ip_address("192.0.2.9")], 587)
    assert asked == []

    await ours.require([ip_address("192.0.2.9")], 5432)
    assert asked == ["database.example.org"]


@pytest.fixture
def release() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


async def test_a_slow_lookup_of_our_name_closes_its_port(
    monkeypatch: pytest.MonkeyPatch, release: threading.Event
) -> None:
    def slow(_host: str) -> list[Address]:
        release.wait(30)
        return []

    monkeypatch.setattr("mailsettings.network.guard.LOOKUP_TIMEOUT_SECONDS", 0.05)
    ours = guard_with(Endpoint("database.example.org", 5432), resolve=slow)

    assert not await ours.allows(ip_address("192.0.2.9"), 5432)


async def test_the_refusal_of_our_endpoint_suggests_no_setting() -> None:
    with pytest.raises(NotAllowed) as refused:
        await guard_with(Endpoint(HOST, 2525)).require([ip_address(HOST)], 2525)

    assert refused.value.code is FailureCode.ADDRESS_NOT_ALLOWED
    [step] = refused.value.steps
    assert step == "Use another host or port: this one is the service's own."


async def test_the_fallback_scan_skips_our_own_port(make_prober: Any, connects: list[tuple[str, int]]) -> None:
    """The fallback scan asks the guard before each of its connections too."""
    async with real_server(Behaviour()) as ours, real_server(Behaviour()) as other:
        policy = EgressPolicy(make_prober.loopback, None, own=(Endpoint(HOST, ours.port),))
        usual = dict.fromkeys((ours.port, other.port), ConnectionSecurity.STARTTLS)
        async with real_server(Behaviour()) as gone:
            settings = gone.settings()
        report = await make_prober(egress=policy, usual_ports=usual).probe(settings, None)

    assert report.failure is not None
    assert report.failure.code is FailureCode.CONNECTION_REFUSED
    assert {port for _, port in connects} == {settings.port, other.port}
    assert (ours.connections, other.connections) == (0, 1)
