"""The relay is not open: without the login of a device or a named network, no sender gets past MAIL."""

import itertools
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from mailsettings.domain.device import Device
from mailsettings.domain.listening import ListenAddress, ListenerKind, RelayListener
from mailsettings.relay.incoming.client import Endpoint

from support.relay import DEVICE, LOOPBACK, SECRET, RunningRelay, encoded, plain, running_relay

ELSEWHERE = replace(
    DEVICE, trusts_network=True, networks=(ip_network("10.0.0.0/8"), ip_network("2001:db8:1::/48"))
)
GREETINGS = [
    *(
        "EHLO localhost",
        "EHLO relay.example.com",
        "EHLO [127.0.0.1]",
        "EHLO [IPv6:::ffff:10.0.0.5]",
        "EHLO 10.0.0.5",
    ),
    *("HELO localhost", f"HELO {DEVICE.name}", "EHLO scan@example.com", "HELO mail.example.org", ""),
]
CLAIMS = [
    *("", "XCLIENT ADDR=10.0.0.5 LOGIN=scanner-3", "XFORWARD ADDR=10.0.0.5", "RSET", "AUTH EXTERNAL ="),
    *(
        "PROXY TCP4 10.0.0.5 127.0.0.1 1 25",
        "AUTH ANONYMOUS",
        f"AUTH PLAIN {plain(DEVICE.name, '')}",
        "AUTH PLAIN =",
    ),
    *(f"AUTH PLAIN {encoded(f'{DEVICE.name}')}", f"AUTH PLAIN {plain(DEVICE.name, 'wrong', DEVICE.name)}"),
]
SENDERS = [
    "<scan@example.com>",
    "<>",
    "<scan@example.com> AUTH=scan@example.com",
    "<@relay.example.com:scan@example.com>",
]
STRANGERS = list(itertools.product(GREETINGS, CLAIMS, SENDERS))
"""What a client without a login says: a greeting, a claim to be allowed, and a sender."""
FORGED = [
    *("<ceo@example.com>", "<scan@example.net>", "<scan@example.com.example.net>", "<scan@mail.example.com>"),
    *("<@example.com:ceo@example.net>", "<@example.com,@example.org:ceo@example.net>", "<@scan@example.com>"),
    *(
        '<"scan@example.com"@example.net>',
        '<"scan@example.com">',
        '<"scan"ceo@example.com>',
        '<scan"@example.com">',
    ),
    *('<"sc an"@example.com>', '<"scan\\"@example.com>', '<"scan>"@example.com>', "<scan\\@example.com>"),
    *(
        "<ceo%example.net@example.com>",
        "<scan%example.com@example.net>",
        "<example.com!scan>",
        "<a!scan@example.com>",
    ),
    *("<scan@example.com@example.net>", "<scan@example.net@example.com>", "<scan@example.com,ceo@example.net>"),
    *(
        "<scan@example.com><ceo@example.net>",
        "<ceo@example.net><scan@example.com>",
        "scan@example.com,ceo@example.net",
    ),
    *("<scan@example.com ceo@example.net>", "<scan@[127.0.0.1]>", "<scan@[example.com]>", "<scan@example.com:25>"),
    *(
        "<scan+ceo@example.com>",
        "<scan.@example.com>",
        "<.scan@example.com>",
        "<sc..an@example.com>",
        "<scan>",
        "<>",
    ),
    *("<scan@>", "<@example.com>", "<scan@example>", "<scan@example.com..>", "<scan(comment)@example.com>"),
    *("<scan@example.com(comment)>", "Scanner <scan@example.com>", "<<scan@example.com>>", "<scan@example.com"),
    *("scan@example.com>", "<scan@\u0435xample.com>", "<\uff53can@example.com>", "<scan@example\u3002com>"),
    *("<scan@\u0435xample.com> SMTPUTF8", "<\uff53can@example.com> SMTPUTF8", "<scan@example\u3002com> SMTPUTF8"),
    *("<scan@example.com> XOORG=example.net", "<scan@example.com> FROM=ceo@example.net", "<postmaster>"),
]
OTHER_PEERS = [
    *("127.0.0.1", "::ffff:127.0.0.1", "::1", "9.255.255.255", "11.0.0.0", "::ffff:11.0.0.1", "::10.0.0.5"),
    *("64:ff9b::a00:5", "2002:a00:5::1", "2001:db8:0:ffff::1", "2001:db8:2::1", "fe80::1", "192.0.2.10"),
]
NETWORK_PEERS = ["10.0.0.0", "10.255.255.255", "::ffff:10.0.0.5", "2001:db8:1::1"]


async def say(relay: RunningRelay, *lines: str) -> list[str]:
    """The answers to all *lines*; fewer if the relay ends the connection."""
    async with relay.client() as client:
        answers = [await client.command(line) for line in lines if line]
    return [answer for answer in answers if answer]


@pytest.mark.parametrize("greeting", GREETINGS)
async def test_no_stranger_gets_past_mail(greeting: str) -> None:
    async with running_relay(change=lambda _device: ELSEWHERE) as relay:
        for claim, sender in itertools.product(CLAIMS, SENDERS):
            answers = await say(relay, greeting, claim, f"MAIL FROM:{sender}", "RCPT TO:<a@example.net>", "DATA")

            assert not any(answer.startswith(("235", "354")) for answer in answers), (claim, sender)
            assert all(answer[:1] in "45" for answer in answers[-3:]), (claim, sender, answers)

    assert (relay.outgoing.begun, relay.mail_server.connections) == ([], 0)
    assert len(STRANGERS) + len(FORGED) + len(OTHER_PEERS) > 200


async def test_a_device_cannot_take_another_sender() -> None:
    async with running_relay() as relay:
        for sender in FORGED:
            async with relay.logged_in() as client:
                answer = await client.command(f"MAIL FROM:{sender}")

                assert answer[:1] == "5", (sender, answer)
                assert (await client.command("RCPT TO:<a@example.net>")).startswith("503"), sender

    assert relay.outgoing.begun == []


@pytest.mark.parametrize("peer", OTHER_PEERS)
def test_other_networks_are_not_trusted(peer: str) -> None:
    assert not ELSEWHERE.allows_peer(ip_address(peer))


@pytest.mark.parametrize("peer", NETWORK_PEERS)
def test_an_ipv4_mapped_address_is_in_its_network(peer: str) -> None:
    assert ELSEWHERE.allows_peer(ip_address(peer))


@pytest.mark.parametrize(
    ("trusted", "code"), [("127.0.0.0/8", "250"), ("10.0.0.0/8", "530"), ("2001:db8:1::/48", "530")]
)
async def test_a_dual_listener_sees_ipv4_addresses(trusted: str, code: str) -> None:
    def trusting(device: Device) -> Device:
        return replace(device, trusts_network=True, networks=(ip_network(trusted),))

    dual = Endpoint(RelayListener(ListenerKind.PLAIN, ListenAddress("::", 0)), LOOPBACK)
    async with running_relay(change=trusting) as relay:
        await relay.relay.start([dual])
        relay.port = relay.relay.ports[1]
        answers = await say(relay, "HELO printer", "MAIL FROM:<scan@example.com>")

    assert answers[-1].startswith(code)


async def test_a_login_from_another_network_is_refused() -> None:
    network = (ip_network("10.0.0.0/8"),)
    async with running_relay(change=lambda device: replace(device, networks=network)) as relay:
        answers = await say(
            relay, "EHLO a", f"AUTH PLAIN {plain(DEVICE.name, SECRET)}", "MAIL FROM:<scan@example.com>"
        )

    assert answers[-1][:1] == "5"
    assert relay.outgoing.begun == []
