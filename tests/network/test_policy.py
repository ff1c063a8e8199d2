"""The address policy, for every notation of an address."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mailsettings.domain.connection_test import FailureCode, ProbeStage
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer
from mailsettings.network.policy import DEFAULT_PORTS, Address, EgressPolicy, EgressPreset, address_forms

from support.smtp_server import HOST, SENDER, Behaviour, real_server

CLOSED = [
    *("0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.254", "169.254.169.254", "169.254.0.1", "224.0.0.1"),
    *("239.1.1.1", "240.0.0.1", "255.255.255.255", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
    *("::", "::1", "fe80::1", "fec0::1", "ff02::1"),
    # Metadata servers, as their clouds publish them: Amazon EC2 and EKS, Google, Oracle, Scaleway, Linode,
    # Alibaba, OpenStack; Amazon ECS and EKS, Scaleway, Tencent.
    *("fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fd00:c1::a9fe:a9fe", "fd00:42::42", "fd00:a9fe:a9fe::1"),
    *("fd00:100::100:200", "fe80::a9fe:a9fe", "169.254.170.2", "169.254.170.23", "169.254.42.42", "169.254.0.23"),
    *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::a9fe:a9fe", "::2"),
    *("2002:7f00:1::", "2002:a9fe:a9fe::1", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1"),
    "2001:0:4136:e378:8000:63bf:80ff:fffe",  # Teredo of 127.0.0.1
    "2001:0:7f00:1:8000:63bf:3fff:fdd2",  # Teredo by the server 127.0.0.1
    *("::ffff:0:127.0.0.1", "2606:4700::5efe:127.0.0.1", "fd00::200:5efe:127.0.0.1"),  # translated, ISATAP
    "64:ff9b:1:0:7f:0:100:0",  # NAT64 of 127.0.0.1 under a prefix of 64 bits
]
OPEN = [
    *("10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "8.8.8.8", "192.0.2.1", "fd00::1", "2001:db8::1"),
    *("fd00:42::25", "fd20:ce::1", "fd00:c1::25", "100.100.100.201"),
    *("::ffff:10.0.0.1", "2002:a00:1::", "64:ff9b::8.8.8.8", "::8.8.8.8"),
]


@pytest.mark.parametrize("address", CLOSED)
def test_addresses_that_are_never_relays_are_closed(address: str) -> None:
    assert not EgressPolicy().allows(ip_address(address))


@pytest.mark.parametrize("address", OPEN)
def test_private_and_public_addresses_are_open(address: str) -> None:
    assert EgressPolicy().allows(ip_address(address))


LOCAL = 0x64FF9B0001  # 64:ff9b:1::/48
NOT_PUBLIC = [
    *("10.0.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "192.0.0.8", "192.0.2.1", "192.88.99.1"),
    *("198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "fc00::1", "fd00::1"),
    *("2001::1", "2001:2::1", "2001:db8::1", "3fff::1", "100::1", "5f00::1", "4000::1", "::8.8.8.8"),
    *("::ffff:10.0.0.1", "2002:a00:1::", "64:ff9b::10.0.0.1", "2606:4700::5efe:10.0.0.1"),
]
PUBLIC = [
    *("1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.32.0.0", "2606:4700::1111", "2a00::1"),
    *("::ffff:8.8.8.8", "2002:808:808::", "64:ff9b::8.8.8.8", "2606:4700::5efe:8.8.8.8"),
]


@pytest.mark.parametrize("address", [*CLOSED, *NOT_PUBLIC])
def test_the_public_preset_closes_unreachable_addresses(address: str) -> None:
    assert not EgressPolicy(preset=EgressPreset.PUBLIC).allows(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_the_public_preset_opens_globally_reachable_addresses(address: str) -> None:
    assert EgressPolicy(preset=EgressPreset.PUBLIC).allows(ip_address(address))


@pytest.mark.parametrize("preset", EgressPreset)
def test_every_preset_opens_the_allowed_networks(preset: EgressPreset) -> None:
    policy = EgressPolicy((ip_network("10.1.0.0/16"), ip_network("::1/128")), preset=preset)

    assert policy.allows(ip_address("10.1.2.3"))
    assert policy.allows(ip_address("::ffff:10.1.2.3"))
    assert policy.allows(ip_address("::1"))


METADATA = {
    "169.254.169.254": "169.254.0.0/16",
    "fd00:ec2::254": "fd00:ec2::/32",
    "100.100.100.200": "100.100.100.200/32",
    **{address: f"{address}/128" for address in ("fd20:ce::254", "fd00:42::42", "fd00:a9fe:a9fe::1")},
    **{address: f"{address}/128" for address in ("fd00:c1::a9fe:a9fe", "fd00:100::100:200")},
}
WIDE = tuple(map(ip_network, ("0.0.0.0/0", "::/0", "100.64.0.0/10", "fc00::/7", "fd00::/8", "fd00::/16")))


@pytest.mark.parametrize("preset", EgressPreset)
@pytest.mark.parametrize("address", METADATA)
def test_a_wide_network_does_not_open_a_metadata_server(preset: EgressPreset, address: str) -> None:
    """An organisation's own addresses may be in fd00::/8 too, and it means those."""
    assert not EgressPolicy(WIDE, preset=preset).allows(ip_address(address))
    assert EgressPolicy(WIDE, preset=preset).allows(ip_address("fd00::25"))
    assert EgressPolicy((ip_network(METADATA[address]),), preset=preset).allows(ip_address(address))


@pytest.mark.parametrize("address", [*CLOSED, *OPEN, *PUBLIC, "10.2.0.1", "64:ff9b::10.1.0.1"])
def test_an_allowlist_opens_nothing_else(address: str) -> None:
    policy = EgressPolicy((ip_network("10.1.0.0/16"),), preset=EgressPreset.ALLOWLIST)

    assert not policy.allows(ip_address(address))
    assert not EgressPolicy(preset=EgressPreset.ALLOWLIST).allows(ip_address(address))


# Where CPython 3.11.7's `is_global` is not the question that we ask.
NOT_AS_PYTHON = [
    ip_network(network)
    for network in (
        # True, but never a mail server: multicast, protocols, relays of 6to4, documentation, and all of IPv6
        # that was never given out or not for this, such as 64:ff9b:1::/48, 4000::/2, 5f00::/16 and fec0::/10.
        *("224.0.0.0/4", "192.0.0.0/24", "192.88.99.0/24", "3fff::/20", "::/3", "4000::/2", "8000::/1"),
        # True, and metadata servers.
        *("168.63.129.16/32", "192.0.0.192/32"),
        # True whatever is inside.
        "2002::/16",
        # False, and parts of it are global to the registry and to newer Pythons: there is no mail in them.
        "2001::/23",
    )
]
addresses = st.ip_addresses(v=4) | st.ip_addresses(v=6) | st.ip_addresses(v=6, network="2000::/3")


@given(addresses)
def test_public_matches_pythons_is_global_with_known_differences(address: Address) -> None:
    assume(not any(address in network for network in NOT_AS_PYTHON))
    assume(list(address_forms(address)) == [address])

    assert EgressPolicy(preset=EgressPreset.PUBLIC).allows(address) == address.is_global


def embeddings(inner: IPv4Address, prefix: int) -> dict[str, IPv6Address]:
    """Return *inner* in every IPv6 form; *prefix* fills the free bits of each form."""
    low, free = int(inner), prefix & (2**64 - 1)
    return {
        "mapped": IPv6Address(0xFFFF << 32 | low),
        "compatible": IPv6Address(low),
        "translated": IPv6Address(0xFFFF << 48 | low),
        "6to4": IPv6Address(0x2002 << 112 | low << 80 | free),
        "teredo client": IPv6Address(0x20010000 << 96 | free << 32 | low ^ 0xFFFFFFFF),
        "teredo server": IPv6Address(0x20010000 << 96 | low << 64 | free),
        "nat64": IPv6Address(0x64FF9B << 96 | low),
        "isatap": IPv6Address(free << 64 | 0x5EFE << 32 | low),
        "isatap, universal": IPv6Address(free << 64 | 0x2005EFE << 32 | low),
        # RFC 6052 2.2: the bits 64 to 71 are zero, and the address goes around them.
        "local nat64 /48": IPv6Address(LOCAL << 80 | low >> 16 << 64 | (low & 0xFFFF) << 40 | free & 0xFFFFFFFF),
        "local nat64 /56": IPv6Address(LOCAL << 80 | low >> 24 << 64 | (low & 0xFFFFFF) << 32 | free & 0xFFFF),
        "local nat64 /64": IPv6Address(LOCAL << 80 | low << 24 | free & 0xFFFF),
        "local nat64 /96": IPv6Address(LOCAL << 80 | low),
    }


POLICIES = [EgressPolicy(), EgressPolicy(preset=EgressPreset.PUBLIC), EgressPolicy(preset=EgressPreset.ALLOWLIST)]
closed = st.sampled_from(CLOSED[:11] + NOT_PUBLIC[:13]).map(ip_address)
inner = (closed | st.ip_addresses(v=4)).filter(lambda address: address.version == 4)


@given(inner, st.integers(0, 2**64 - 1), st.sampled_from(POLICIES))
def test_closed_addresses_are_closed_in_every_ipv6_form(
    inner: IPv4Address, prefix: int, policy: EgressPolicy
) -> None:
    assume(not policy.allows(inner))

    opened = [name for name, address in embeddings(inner, prefix).items() if policy.allows(address)]

    assert opened == []


def test_an_allowed_network_opens_only_its_own_addresses() -> None:
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
async def test_a_host_with_a_closed_address_gets_no_connection(make_prober: Any, name: str) -> None:
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


async def test_connections_use_the_address_that_was_checked(make_prober: Any) -> None:
    """A second look-up would lead to an address where nothing listens."""
    answers = iter([[ip_address(HOST)], [ip_address("127.0.0.77")]])
    async with real_server(Behaviour()) as server:
        prober = make_prober(resolve=lambda _host: next(answers))
        report = await prober.probe(server.settings(host="mail.example.org"), "to@example.org")

    assert report.succeeded
    assert len(server.messages) == 1


async def test_a_dead_address_does_not_block_the_next(make_prober: Any) -> None:
    async with real_server(Behaviour()) as server:
        prober = make_prober(resolve=lambda _host: [ip_address("127.0.0.77"), ip_address(HOST)])
        report = await prober.probe(server.settings(host="mail.example.org"), None)

    assert report.succeeded


@pytest.mark.shows(FailureCode.ADDRESS_NOT_ALLOWED)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "::ffff:7f00:1"])
async def test_by_default_this_machine_gets_no_connection(make_prober: Any, host: str) -> None:
    async with real_server(Behaviour()) as server:
        prober = make_prober(egress=EgressPolicy(allowed_ports=None))
        report = await prober.probe(server.settings(host=host), None)

    assert report.failure is not None
    assert report.failure.code is FailureCode.ADDRESS_NOT_ALLOWED
    assert server.connections == 0


@pytest.mark.shows(FailureCode.PORT_NOT_ALLOWED)
async def test_a_closed_port_is_refused_and_names_the_setting(make_prober: Any) -> None:
    async with real_server(Behaviour()) as server:
        prober = make_prober(egress=EgressPolicy((ip_network("127.0.0.0/8"),)))
        report = await prober.probe(server.settings(), None)

    assert report.failure is not None
    assert report.failure.code is FailureCode.PORT_NOT_ALLOWED
    assert "MAILSETTINGS_SMTP_ALLOWED_PORTS" in " ".join(report.failure.steps)
    assert server.connections == 0


@pytest.mark.shows(FailureCode.CONNECTION_REFUSED)
async def test_a_port_without_a_listener_is_reported(make_prober: Any) -> None:
    async with real_server(Behaviour()) as server:
        settings = server.settings()
    report = await make_prober().probe(settings, None)

    assert report.failure is not None
    assert (report.failure.code, report.failure.stage) == (FailureCode.CONNECTION_REFUSED, ProbeStage.CONNECT)
