"""Logins of devices (RFC 4954): PLAIN and LOGIN in every form, and where they are possible."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_network

import pytest

from mailsettings.domain.errors import StoreUnavailable, TooManyLogins
from mailsettings.domain.listening import ListenerKind
from mailsettings.relay.incoming.limits import Counters

from support.canary import Canary
from support.relay import DEVICE, SECRET, encoded, plain, running_relay

USER, PASSWORD = "334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"
NAME = encoded(DEVICE.name)
GOOD = {
    "PLAIN with initial response": [(f"AUTH PLAIN {plain(DEVICE.name, SECRET)}", "235 2.7.0")],
    "PLAIN without": [("AUTH PLAIN", "334 "), (plain(DEVICE.name, SECRET), "235 2.7.0")],
    "PLAIN with its own identity": [(f"auth plain {plain(DEVICE.name, SECRET, DEVICE.name)}", "235 2.7.0")],
    "PLAIN without padding": [(f"AUTH PLAIN {plain(DEVICE.name, SECRET).rstrip('=')}", "235 2.7.0")],
    "LOGIN": [("AUTH LOGIN", USER), (NAME, PASSWORD), (encoded(SECRET), "235 2.7.0")],
    "LOGIN with the user name": [(f"AUTH LOGIN {NAME}", PASSWORD), (encoded(SECRET), "235 2.7.0")],
    "after a failure": [
        (f"AUTH PLAIN {plain(DEVICE.name, 'wrong')}", "535 5.7.8"),
        (f"AUTH PLAIN {plain(DEVICE.name, SECRET)}", "235 2.7.0"),
    ],
}
BAD = {
    "wrong secret": [(f"AUTH PLAIN {plain(DEVICE.name, 'wrong')}", "535 5.7.8")],
    "unknown name": [(f"AUTH PLAIN {plain('other', SECRET)}", "535 5.7.8")],
    "another identity": [(f"AUTH PLAIN {plain(DEVICE.name, SECRET, 'admin')}", "535 5.7.8")],
    "empty name": [("AUTH LOGIN =", PASSWORD), (encoded(SECRET), "535 5.7.8")],
    "cancelled": [("AUTH PLAIN", "334 "), ("*", "501 5.7.0")],
    "cancelled at the secret": [("AUTH LOGIN", USER), (NAME, PASSWORD), ("*", "501 5.7.0")],
    "not base64": [("AUTH PLAIN !!!!", "501 5.5.2")],
    "not UTF-8": [("AUTH LOGIN /////w==", "501 5.5.2")],
    "no three parts": [(f"AUTH PLAIN {encoded('a')}", "501 5.5.2")],
    "four parts": [("AUTH PLAIN AGEAYgBj", "501 5.5.2")],
    "empty initial response": [("AUTH PLAIN =", "501 5.5.2")],
    "unknown mechanism": [
        ("AUTH CRAM-MD5", "504 5.5.4"),
        ("AUTH XOAUTH2 abc", "504 5.5.4"),
        ("AUTH", "504 5.5.4"),
    ],
}
Steps = Sequence[tuple[str, str]]


@pytest.mark.parametrize("steps", GOOD.values(), ids=list(GOOD))
async def test_a_login_works_in_each_form(steps: Steps) -> None:
    async with running_relay() as relay, relay.client() as client:
        await client.command("EHLO device.example.com")
        answers = [(await client.command(line), begin) for line, begin in steps]
        again = await client.command(steps[0][0])
        sender = await client.command("MAIL FROM:<scan@example.com>")

    assert all(answer.startswith(begin) for answer, begin in answers), answers
    assert (again[:9], sender[:9]) == ("503 5.5.1", "250 2.1.0")


@pytest.mark.parametrize("steps", BAD.values(), ids=list(BAD))
async def test_a_refused_login_allows_nothing(steps: Steps) -> None:
    async with running_relay() as relay, relay.client() as client:
        await client.command("EHLO device.example.com")
        answers = [(await client.command(line), begin) for line, begin in steps]
        sender = await client.command("MAIL FROM:<scan@example.com>")

    assert all(answer.startswith(begin) for answer, begin in answers), answers
    assert sender.startswith("530 5.7.0")


async def test_a_long_initial_response_is_accepted() -> None:
    async with running_relay() as relay, relay.client() as client:
        relay.devices.secret = "s" * 9000
        await client.command("EHLO device.example.com")

        assert (await client.command(f"AUTH PLAIN {plain(DEVICE.name, 's' * 9000)}")).startswith("235")


async def test_the_third_refused_login_ends_the_connection() -> None:
    logins: list[bool] = []
    async with running_relay(counters=Counters(login=logins.append)) as relay, relay.client() as client:
        await client.command("EHLO device.example.com")
        answers = [await client.command(f"AUTH PLAIN {plain(DEVICE.name, 'wrong')}") for _ in range(3)]
        last = await client.reply()
        is_closed = await client.is_closed()

    assert [answer[:3] for answer in answers] == ["535"] * 3
    assert last.startswith("421 4.7.0")
    assert is_closed
    assert logins == [False] * 3


@pytest.mark.parametrize("error", [StoreUnavailable(), TooManyLogins("Too many.", 60)])
async def test_trouble_at_the_login_is_temporary(error: Exception) -> None:
    async with running_relay() as relay, relay.client() as client:
        await client.command("EHLO device.example.com")
        relay.devices.error = error

        assert (await client.command(f"AUTH PLAIN {plain(DEVICE.name, SECRET)}")).startswith("454 4.7.0")


async def test_a_login_needs_ehlo_and_no_message() -> None:
    async with running_relay() as relay, relay.client() as client:
        early = await client.command(f"AUTH PLAIN {plain(DEVICE.name, SECRET)}")
        await client.command("HELO device.example.com")
        after_helo = await client.command(f"AUTH PLAIN {plain(DEVICE.name, SECRET)}")
    trusting = lambda device: replace(device, trusts_network=True, networks=(ip_network("127.0.0.0/8"),))  # noqa: E731
    async with running_relay(change=trusting) as relay, relay.client() as client:
        await client.command("EHLO device.example.com")
        await client.envelope("post@example.org")
        within = await client.command(f"AUTH PLAIN {plain(DEVICE.name, SECRET)}")

    assert [answer[:9] for answer in (early, after_helo, within)] == ["503 5.5.1"] * 3


async def test_nothing_but_starttls_works_in_clear() -> None:
    async with running_relay(ListenerKind.STARTTLS) as relay, relay.client() as client:
        hello = await client.command("EHLO device.example.com")
        lines = (f"AUTH PLAIN {plain(DEVICE.name, SECRET)}", "AUTH LOGIN", "MAIL FROM:<scan@example.com>", "DATA")
        refused = [await client.command(line) for line in (*lines, "VRFY a", "RCPT TO:<a@b.example>")]
        allowed = [await client.command(line) for line in ("NOOP", "RSET", "HELP", "STARTTLS now")]
        await client.start_tls()
        forgotten = await client.command(f"AUTH PLAIN {plain(DEVICE.name, SECRET)}")
        secure = await client.command("EHLO device.example.com")
        twice = await client.command("STARTTLS")

    assert "AUTH" not in hello
    assert "STARTTLS" in hello
    assert {answer[:9] for answer in refused} == {"530 5.7.0"}
    assert [answer[:3] for answer in allowed] == ["250", "250", "214", "501"]
    assert forgotten.startswith("503 5.5.1")
    assert "AUTH PLAIN LOGIN" in secure
    assert "STARTTLS" not in secure
    assert twice.startswith("503 5.5.1")


async def test_a_login_by_implicit_tls_works() -> None:
    async with running_relay(ListenerKind.TLS) as relay, relay.logged_in() as client:
        answer = await client.message(b"From: scan@example.com\r\n\r\nPage\r\n")

        assert answer.startswith("250 2.0.0")
        assert b"with ESMTPSA" in relay.mail_server.messages[0]


async def test_a_plain_listener_serves_named_networks_only() -> None:
    async with running_relay(networks=(ip_network("10.0.0.0/8"),)) as relay, relay.client() as client:
        assert client.greeting.startswith("554 5.7.1")
        assert await client.is_closed()


async def test_a_plain_listener_offers_starttls() -> None:
    async with running_relay() as relay, relay.client() as client:
        assert "STARTTLS" in await client.command("EHLO device.example.com")
        await client.start_tls()
        assert "AUTH PLAIN LOGIN" in await client.command("EHLO device.example.com")


@pytest.mark.parametrize("field", ["name", "secret"])
async def test_a_refused_secret_is_in_no_log(canary: Canary, caplog: pytest.LogCaptureFixture, field: str) -> None:
    name, secret = (canary.secret, "wrong") if field == "name" else (DEVICE.name, canary.secret)
    async with running_relay() as relay, relay.client() as client:
        await client.command("EHLO device.example.com")
        answer = await client.command(f"AUTH PLAIN {plain(name, secret)}")
        cut = await client.command(f"AUTH PLAIN {plain(name, secret)}!")
        odd = await client.command(plain(name, secret))

    assert (answer[:3], cut[:3], odd[:3]) == ("535", "501", "500")
    canary.assert_nowhere(answer, cut, odd)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert any("Refused the login of device" in message for message in warnings)


async def test_a_secret_in_place_of_the_name_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with running_relay() as relay, relay.client() as client:
        await client.command("EHLO device.example.com")
        await client.command(f"AUTH PLAIN {plain(SECRET, DEVICE.name)}")

    assert SECRET not in caplog.text
    assert "Refused the login" in caplog.text


async def test_a_login_ends_with_its_device() -> None:
    async with running_relay() as relay, relay.logged_in() as client:
        relay.devices.known.clear()
        answer = await client.command("MAIL FROM:<scan@example.com>")

        assert answer.startswith("421 4.7.0")
        assert await client.is_closed()
