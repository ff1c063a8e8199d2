"""Every misbehaviour at every step in every mode has the right code, in time, without leaks."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from mailsettings.domain.connection_test import FailureCode, Outcome, ProbeReport
from mailsettings.domain.mail_server import ConnectionSecurity, PasswordAuthentication
from mailsettings.domain.values import Secret

from support.misbehaving_server import (
    ENVELOPE,
    IMPLICIT,
    STAGES,
    STEPS,
    WITHOUT_A_REPLY,
    Kind,
    MisbehavingServer,
    Step,
    misbehaving_server,
)
from support.smtp_server import USERNAME
from support.timeouts import GUARD_SECONDS, scaled

CANARY = "canary-password-1b7e"
LOGIN = PasswordAuthentication(USERNAME, Secret(CANARY))
SILENT_DEADLINE = 0.7
SLOW_DEADLINE = 2.0
"""For all tests of slow servers together."""
SLOW = {Kind.SILENCE, Kind.DRIP}
HANG_UPS = {Kind.CLOSE, Kind.RESET}
NONSENSE = {Kind.FLOOD, Kind.LONG_LINE, Kind.GARBAGE}
REFUSALS = {
    Step.GREETING: FailureCode.SERVER_REFUSED,
    Step.EHLO: FailureCode.SERVER_REFUSED,
    Step.STARTTLS: FailureCode.STARTTLS_REFUSED,
    Step.SECOND_EHLO: FailureCode.SERVER_REFUSED,
    Step.AUTH: FailureCode.AUTHENTICATION_FAILED,
    Step.MAIL: FailureCode.SENDER_NOT_ALLOWED,
    Step.RCPT: FailureCode.RECIPIENT_REFUSED,
    Step.DATA: FailureCode.MESSAGE_REFUSED,
    Step.DOT: FailureCode.MESSAGE_REFUSED,
}


def expected(step: Step, kind: Kind) -> FailureCode:  # noqa: C901, PLR0911  # a table
    """The one code for each cell."""
    in_doubt = step is Step.DOT and kind in SLOW | HANG_UPS | NONSENSE | {Kind.WRONG_CODE}
    if in_doubt:
        return FailureCode.DELIVERY_UNKNOWN
    if kind in SLOW:
        return FailureCode.DEADLINE_EXCEEDED
    if kind in HANG_UPS:
        return FailureCode.CONNECTION_LOST
    if kind is Kind.UNAVAILABLE:
        return FailureCode.SERVER_UNAVAILABLE
    if kind is Kind.LATER and step in {Step.GREETING, Step.EHLO}:
        return FailureCode.SERVER_UNAVAILABLE
    if kind is Kind.LATER and step in {Step.AUTH, *ENVELOPE}:
        return FailureCode.TEMPORARY_REFUSAL
    if kind in {Kind.REFUSE, Kind.LATER}:
        return REFUSALS[step]
    if step is Step.HANDSHAKE:
        return FailureCode.WRONG_CONNECTION_SECURITY
    if step is Step.UPGRADE:
        return FailureCode.TLS_HANDSHAKE_FAILED
    if step in {Step.GREETING, Step.EHLO} and kind in NONSENSE:
        return FailureCode.NOT_SMTP
    return FailureCode.UNEXPECTED_REPLY


Cell = tuple[ConnectionSecurity, Step, Kind, bool]


def cells() -> Iterator[Cell]:
    for security, steps in STEPS.items():
        for step in steps:
            for kind in Kind:
                replies_only = {Kind.REFUSE, Kind.LATER, Kind.UNAVAILABLE, Kind.WRONG_CODE, Kind.FLOOD}
                if step in WITHOUT_A_REPLY and kind in {*replies_only, Kind.DRIP, Kind.LONG_LINE}:
                    continue
                for pipelining in [False, True] if step in ENVELOPE and kind is not Kind.DRIP else [False]:
                    yield security, step, kind, pipelining


def parameters() -> Iterator[Any]:
    for security, step, kind, pipelining in cells():
        code = expected(step, kind)
        name = f"{security} {step} {kind}{' pipelined' if pipelining else ''}"
        yield pytest.param((security, step, kind, pipelining), code, id=name, marks=pytest.mark.shows(code))


@dataclass(frozen=True)
class Observed:
    """A report, and what the server saw meanwhile."""

    report: ProbeReport
    server: MisbehavingServer
    closed: bool


async def observe(make_prober: Any, cell: Cell, deadline: float) -> Observed:
    security, step, kind, pipelining = cell
    async with misbehaving_server(security, step, kind, pipelining=pipelining) as server:
        report = await make_prober(deadline_seconds=deadline).probe(server.settings(LOGIN), "to@example.com")
        return Observed(report, server, await server.all_closed())


_SLOW: dict[Cell, Observed] = {}


async def observed(make_prober: Any, cell: Cell) -> Observed:
    """Tests of slow servers wait for the deadline, so all of them wait at the same time, once in a process."""
    if cell[2] not in SLOW:
        return await observe(make_prober, cell, GUARD_SECONDS)
    if not _SLOW:
        slow = [each for each in cells() if each[2] in SLOW]
        deadline = scaled(SLOW_DEADLINE)
        found = await asyncio.gather(*(observe(make_prober, each, deadline) for each in slow))
        _SLOW.update(zip(slow, found, strict=True))
    return _SLOW[cell]


@pytest.mark.parametrize(("cell", "code"), list(parameters()))
async def test_a_misbehaviour_is_named(make_prober: Any, cell: Cell, code: FailureCode) -> None:
    """Cases 25, 26 and 27: every stage stalled, closed, reset and refused."""
    security, step, _, _ = cell
    seen = await observed(make_prober, cell)
    report, server = seen.report, seen.server

    assert report.failure is not None
    assert (report.failure.code, report.failure.stage) == (code, STAGES[step])
    outcomes = {stage.stage: stage.outcome for stage in report.stages}
    unknown = code is FailureCode.DELIVERY_UNKNOWN
    assert outcomes[STAGES[step]] is (Outcome.UNKNOWN if unknown else Outcome.FAILED)
    assert seen.closed
    assert server.logins <= 1
    assert server.messages == (step is Step.DOT)
    assert CANARY not in repr(report)
    assert "canary-bytes" not in repr(report)
    assert security is ConnectionSecurity.NONE or not any(b"AUTH" in line for line in server.heard_in_clear)


@pytest.mark.parametrize("kind", [Kind.CLOSE, Kind.SILENCE])
async def test_an_unconfirmed_message_is_not_sent_again(make_prober: Any, kind: Kind) -> None:
    """Case 26."""
    async with misbehaving_server(IMPLICIT, Step.DOT, kind, pipelining=True) as server:
        await make_prober(deadline_seconds=scaled(SILENT_DEADLINE)).probe(server.settings(LOGIN), "to@example.com")

    assert server.messages == 1
