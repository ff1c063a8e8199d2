"""The EHLO name: this machine's full name if it has one, looked up once and without delay."""

import threading
import time
from typing import Any

import pytest

from mailsettings.smtp.machine_name import MachineName, is_public_name

from support.smtp_server import Behaviour, real_server


@pytest.mark.parametrize("name", ["app.example.org", "a-1.b.example.co.uk", "host.xn--p1ai"])
def test_a_name_with_a_public_domain_is_used(name: str) -> None:
    assert is_public_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            "localhost",
            "0f3ac9d1b2e4",
            "app",
            "app.local",
            "localhost.localdomain",
            "ip-10-0-0-1.ec2.internal",
        ),
        *("10.0.0.1", "-a.example.org", "a_b.example.org", "app.example.org.", "a..org", "x" * 64 + ".org"),
    ],
)
def test_a_name_without_public_dns_is_not_used(name: str) -> None:
    assert not is_public_name(name)


async def greetings(make_prober: Any, own: MachineName | None, **settings: Any) -> list[str]:
    async with real_server(Behaviour()) as server:
        prober = make_prober(machine_name=own, **settings)
        for _ in range(2):
            await prober.probe(server.settings(), None)
    return server.greetings


async def test_the_machines_name_is_sent_in_ehlo(make_prober: Any) -> None:
    asked: list[None] = []

    def look_up() -> str:
        asked.append(None)
        return "app.example.org"

    assert await greetings(make_prober, MachineName(look_up)) == ["app.example.org"] * 2
    assert len(asked) == 1


async def test_the_setting_overrides_the_machines_name(make_prober: Any) -> None:
    own = MachineName(lambda: "app.example.org")

    assert await greetings(make_prober, own, ehlo_name="set.example.org") == ["set.example.org"] * 2


async def test_a_machine_without_a_name_sends_its_address(make_prober: Any) -> None:
    assert await greetings(make_prober, MachineName(lambda: None)) == ["[127.0.0.1]"] * 2


async def test_a_late_machine_name_is_used_afterwards(make_prober: Any) -> None:
    known = threading.Event()

    def look_up() -> str:
        known.wait(20)
        return "app.example.org"

    own = MachineName(look_up)
    async with real_server(Behaviour()) as server:
        prober = make_prober(machine_name=own)
        await prober.probe(server.settings(), None)
        known.set()
        while not own.begin().done():
            time.sleep(0.01)  # noqa: ASYNC251  # the other thread sets it
        await prober.probe(server.settings(), None)

    assert server.greetings == ["[127.0.0.1]", "app.example.org"]
