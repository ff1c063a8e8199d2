"""Hosts with several addresses: a dead address costs 250 ms, and the report has each outcome."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any

import pytest

from mailsettings.domain.connection_test import FailureCode, ProbeReport, WarningCode
from mailsettings.network.connect import ATTEMPT_DELAY_SECONDS, HappyEyeballs, NotConnected, interleave_families
from mailsettings.network.policy import Address

from support.smtp_server import HOST, Behaviour, real_server

DEAD = "127.0.0.77"
NAME = "mail.example.org"


@contextmanager
def black_hole(address: str) -> Iterator[int]:
    """A port that never completes a connection: its queue of waiting connections is full."""
    listening = socket.socket()
    listening.bind((address, 0))
    listening.listen(0)
    port = listening.getsockname()[1]
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex((address, port))
    try:
        yield port
    finally:
        for sock in [*fillers, listening]:
            sock.close()


def attempts(report: ProbeReport) -> dict[str, str | None]:
    return {one.address: one.problem for stage in report.stages for one in stage.observed.attempts}


def addresses(*texts: str) -> Any:
    return lambda _host: [ip_address(text) for text in texts]


async def anywhere(_address: Address, _port: int) -> bool:
    return True


def test_the_address_families_alternate() -> None:
    given = [ip_address(text) for text in ("2001:db8::1", "2001:db8::2", "192.0.2.1", "2001:db8::3")]

    assert [str(address) for address in interleave_families(given)] == [
        "2001:db8::1",
        "192.0.2.1",
        "2001:db8::2",
        "2001:db8::3",
    ]


@pytest.mark.shows(WarningCode.ADDRESS_UNREACHABLE)
async def test_a_refusing_address_is_skipped_with_a_warning(make_prober: Any) -> None:
    async with real_server(Behaviour()) as server:
        report = await make_prober(resolve=addresses(DEAD, HOST)).probe(server.settings(host=NAME), None)

    assert report.succeeded
    assert attempts(report) == {DEAD: "refused", HOST: ""}
    assert [warning.code for warning in report.warnings] == [WarningCode.ADDRESS_UNREACHABLE]


async def test_a_silent_address_costs_only_its_delay() -> None:
    loop = asyncio.get_running_loop()
    with black_hole(DEAD) as port:
        listening = await asyncio.start_server(lambda _r, writer: writer.close(), HOST, port)
        race = HappyEyeballs([ip_address(DEAD), ip_address(HOST)], port, anywhere)
        begun = loop.time()
        sock = await race.connect()
        took = loop.time() - begun
        sock.close()
        listening.close()

    assert took > ATTEMPT_DELAY_SECONDS * 0.9
    assert [(one.address, one.problem) for one in race.attempts] == [(HOST, ""), (DEAD, None)]


async def test_an_unneeded_address_is_reported_without_result(make_prober: Any) -> None:
    async with real_server(Behaviour()) as server:
        report = await make_prober(resolve=addresses(HOST, "127.0.0.78")).probe(server.settings(host=NAME), None)

    assert attempts(report) == {HOST: "", "127.0.0.78": None}
    assert report.warnings == ()


@pytest.mark.shows(FailureCode.CONNECTION_TIMED_OUT)
async def test_a_connect_timeout_is_reported() -> None:
    with black_hole(DEAD) as port:
        race = HappyEyeballs([ip_address(DEAD)], port, anywhere, seconds=0.2)
        with pytest.raises(NotConnected) as not_connected:
            await race.connect()

    assert not_connected.value.code is FailureCode.CONNECTION_TIMED_OUT
    assert [one.problem for one in not_connected.value.attempts] == ["no answer"]


@pytest.mark.shows(FailureCode.HOST_UNREACHABLE)
async def test_a_missing_route_is_reported(make_prober: Any) -> None:
    """The broadcast address: TCP cannot connect to it, so the system reports no route."""
    race = HappyEyeballs([ip_address("255.255.255.255")], 25, anywhere)
    with pytest.raises(NotConnected) as not_connected:
        await race.connect()

    assert not_connected.value.code is FailureCode.HOST_UNREACHABLE


async def test_all_addresses_refusing_is_reported_as_refusal(make_prober: Any) -> None:
    async with real_server(Behaviour()) as server:
        settings = server.settings(host=NAME)
    report = await make_prober(resolve=addresses(DEAD, HOST)).probe(settings, None)

    assert report.failure is not None
    assert report.failure.code is FailureCode.CONNECTION_REFUSED
    assert attempts(report) == {DEAD: "refused", HOST: "refused"}
