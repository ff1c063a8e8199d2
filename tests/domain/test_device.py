"""Devices: what each may send, from where, and which values are refused."""

from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from mailsettings.domain.device import (
    MAX_LIST_LENGTH,
    Device,
    described,
    device_ref,
    difference,
    parse_network,
)
from mailsettings.domain.device_secret import ALPHABET, SECRET_LENGTH, DeviceSecretKey, new_secret
from mailsettings.domain.errors import DeviceNotFound, InvalidSetting
from mailsettings.domain.setting import Setting
from mailsettings.domain.trusted_networks import TrustedNetworks

SCANNER = Device(7, "scanner-3", senders=("Scan@example.com", "*@print.example.com"))
TEN = (parse_network("10.1.0.0/16"),)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("scan@example.com", True),
        ("SCAN@EXAMPLE.COM", True),
        ("anything@print.example.com", True),
        ("other@example.com", False),
        ("scan@example.com.evil.example.org", False),
        ("x@sub.print.example.com", False),
        ("", False),
    ],
)
def test_only_listed_senders_are_allowed(address: str, allowed: bool) -> None:
    assert SCANNER.allows_sender(address) is allowed


def test_a_star_allows_every_address_but_no_null_sender() -> None:
    device = replace(SCANNER, senders=("*",))

    assert device.allows_sender("ceo@example.org")
    assert not device.allows_sender("")
    assert replace(device, sends_null_sender=True).allows_sender("")


def test_the_stored_sender_replaces_every_address() -> None:
    device = replace(SCANNER, senders=(), sends_as_stored_sender=True)

    assert device.allows_sender("root@localhost")
    assert device.allows_from("root@localhost")
    assert not device.allows_sender("")


@pytest.mark.parametrize(
    ("address", "allowed"),
    [("info@Sales.example.com", True), ("scan@example.com", True), ("info@example.com", False), ("", False)],
)
def test_the_from_header_has_a_listed_domain_or_sender(address: str, allowed: bool) -> None:
    assert replace(SCANNER, from_domains=("sales.EXAMPLE.com",)).allows_from(address) is allowed


@pytest.mark.parametrize(
    ("peer", "allowed"),
    [("10.1.255.1", True), ("::ffff:10.1.2.3", True), ("10.2.0.1", False), ("2001:db8::1", False)],
)
def test_networks_restrict_the_peer_also_in_mapped_form(peer: str, allowed: bool) -> None:
    assert replace(SCANNER, networks=TEN).allows_peer(ip_address(peer)) is allowed
    assert SCANNER.allows_peer(ip_address(peer))


INVALID: list[tuple[dict[str, Any], Setting]] = [
    ({"name": ""}, Setting.NAME),
    ({"name": "Scanner"}, Setting.NAME),
    ({"name": "7"}, Setting.NAME),
    ({"name": "all"}, Setting.NAME),
    ({"name": "-a"}, Setting.NAME),
    ({"description": "x" * 501}, Setting.DESCRIPTION),
    ({"senders": ("scan",)}, Setting.SENDERS),
    ({"senders": ("*@",)}, Setting.SENDERS),
    ({"senders": ("*@*",)}, Setting.SENDERS),
    ({"senders": ("a*@example.com",), "name": "a b"}, Setting.NAME),
    ({"senders": ("scan@example.com\r\nRCPT",)}, Setting.SENDERS),
    ({"senders": ("a@example.com",) * (MAX_LIST_LENGTH + 1)}, Setting.SENDERS),
    ({"from_domains": ("@example.com",)}, Setting.FROM_DOMAINS),
    ({"from_domains": ("*",)}, Setting.FROM_DOMAINS),
    ({"from_domains": ("",)}, Setting.FROM_DOMAINS),
    ({"networks": (ip_network("0.0.0.0/0"),)}, Setting.NETWORKS),
    ({"networks": (ip_network("10.0.0.0/7"),)}, Setting.NETWORKS),
    ({"networks": (ip_network("::/0"),)}, Setting.NETWORKS),
    ({"networks": (ip_network("2001:db8::/32"),)}, Setting.NETWORKS),
    ({"trusts_network": True}, Setting.TRUSTS_NETWORK),
    ({"max_recipients": 0}, Setting.MAX_RECIPIENTS),
    ({"max_recipients": 1001}, Setting.MAX_RECIPIENTS),
    ({"messages_per_minute": 0}, Setting.MESSAGES_PER_MINUTE),
    ({"max_message_bytes": 1023}, Setting.MAX_MESSAGE_BYTES),
    ({"max_message_bytes": 2**31}, Setting.MAX_MESSAGE_BYTES),
]


@pytest.mark.parametrize(("values", "setting"), INVALID, ids=str)
def test_a_wrong_value_is_refused_by_its_name(values: dict[str, Any], setting: Setting) -> None:
    with pytest.raises(InvalidSetting) as refused:
        Device(**{"id": 1, "name": "scanner-3", **values})

    assert refused.value.setting is setting


def test_the_widest_networks_and_limits_are_accepted() -> None:
    widest = (ip_network("10.0.0.0/8"), ip_network("fd00::/33"))
    device = replace(
        SCANNER, networks=widest, trusts_network=True, max_recipients=1000, max_message_bytes=2**31 - 1
    )

    assert device.allows_peer(ip_address("10.255.255.255"))


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.1.0.0/16", "10.1.0.0/16"),
        ("192.0.2.7", "192.0.2.7/32"),
        ("2001:DB8::/48", "2001:db8::/48"),
        ("::ffff:10.1.0.0/112", "10.1.0.0/16"),
        ("::ffff:10.1.2.3", "10.1.2.3/32"),
    ],
)
def test_a_network_is_read_in_its_shortest_form(text: str, network: str) -> None:
    assert str(parse_network(text)) == network


@pytest.mark.parametrize("text", ["", "10.1.2.3/16", "10.1/16", "example.com", "fe80::1%eth0/64", "10.0.0.0/33"])
def test_text_that_is_no_network_is_refused_unrepeated(text: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        parse_network(text)

    assert refused.value.setting is Setting.NETWORKS
    assert not text or text not in str(refused.value)


def test_everything_in_mapped_form_is_still_everything() -> None:
    with pytest.raises(InvalidSetting):
        replace(SCANNER, networks=(parse_network("::ffff:0.0.0.0/96"),))


def test_a_reference_is_an_id_or_a_name() -> None:
    assert (device_ref("7"), device_ref("scanner-3")) == (7, "scanner-3")
    with pytest.raises(DeviceNotFound):
        device_ref("no name")


def test_the_difference_names_only_what_changed() -> None:
    after = replace(SCANNER, networks=TEN, enabled=False)

    assert difference(SCANNER, after) == {
        "networks": {"before": [], "after": ["10.1.0.0/16"]},
        "enabled": {"before": True, "after": False},
    }
    assert difference(None, SCANNER)["name"] == {"before": None, "after": "scanner-3"}
    assert difference(SCANNER, None)["name"] == {"before": "scanner-3", "after": None}
    assert set(difference(SCANNER, None)) == {
        str(name) for name, value in described(SCANNER).items() if value is not None
    }


def test_an_address_belongs_to_the_device_of_its_network() -> None:
    nets = [("10.1.0.0/16", 1), ("10.2.3.0/24", 2), ("192.0.2.7", 3), ("2001:db8:1::/48", 4)]
    devices = [
        Device(number, f"d-{number}", networks=(parse_network(net),), trusts_network=True) for net, number in nets
    ]
    trusted = TrustedNetworks(devices)
    peers = [
        "10.1.9.9",
        "::ffff:10.2.3.4",
        "192.0.2.7",
        "192.0.2.8",
        "2001:db8:1:ffff::1",
        "2001:db8:2::1",
        "::a01:909",
    ]

    found = [trusted.device_of(ip_address(peer)) for peer in peers]

    assert [device and device.id for device in found] == [1, 2, 3, None, 4, None, None]
    assert trusted.size == len(devices)


def test_devices_share_a_network_only_with_equal_addresses() -> None:
    one, other = replace(SCANNER, networks=TEN), replace(SCANNER, networks=(parse_network("10.1.2.3"),))
    six = replace(SCANNER, networks=(parse_network("2001:db8::/48"),))

    assert one.shares_network_with(other)
    assert not one.shares_network_with(six)


def test_a_secret_has_130_bits_of_plain_characters() -> None:
    made = {new_secret() for _ in range(100)}

    assert len(ALPHABET) == len(set(ALPHABET)) == 32
    assert not set(ALPHABET) & set("01lo")
    assert ALPHABET.lower() == ALPHABET
    assert {len(secret) for secret in made} == {SECRET_LENGTH}
    assert SECRET_LENGTH * 5 == 130
    assert len(made) == 100
    assert set("".join(made)) <= set(ALPHABET)


def test_a_hash_fits_one_owner_key_and_secret() -> None:
    key, secret = DeviceSecretKey.new(), new_secret()
    stored = key.hash("device:1", secret)

    assert len(stored) == 32
    assert key.fits("device:1", secret, stored)
    assert key.fits("device:1", secret.upper(), stored)
    assert not key.fits("device:2", secret, stored)
    assert not key.fits("device:1", f"{secret}x", stored)
    assert not key.fits("device:1", "", stored)
    assert not key.fits("device:1", "\ud800", stored)
    assert not key.fits("device:1", secret, None)
    assert not DeviceSecretKey.new().fits("device:1", secret, stored)
    assert key.key.hex() not in repr(key)
    assert repr(key.key) not in repr(key)
