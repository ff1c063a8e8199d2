"""What a connection test says of real mail servers, and what it leaves in their logs."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mailsettings.domain.connection_test import ProbeReport
from mailsettings.domain.mail_server import MailServer, NoAuthentication

from support.mail_server_box import Box, running
from support.probers import MakeProber
from support.real_mail_servers import SERVERS, Case, Server
from support.smtp_server import HOST, SENDER, TRUST

GOODBYE_SECONDS = 0.3  # for QUIT and the end of TLS to reach the server before the loop ends
DEADLINE_SECONDS = 30  # a greeting takes up to six seconds, on a machine that may be busy


@pytest.fixture(scope="module", params=SERVERS, ids=lambda server: server.name)
def started(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Box]]:
    server: Server = request.param
    folder: Path = tmp_path_factory.mktemp(server.name)
    with running(server.name, folder, server.files, server.start, server.ports) as box:
        yield server, box


def report(box: Box, case: Case) -> ProbeReport:
    login = case.login or NoAuthentication()
    settings = MailServer(HOST, case.port, case.security, SENDER, login, TRUST)

    async def probe() -> ProbeReport:
        prober = MakeProber()(ehlo_name=case.ehlo_name, deadline_seconds=DEADLINE_SECONDS)
        found: ProbeReport = await prober.probe(settings, case.recipient)
        await asyncio.sleep(GOODBYE_SECONDS)
        return found

    return box.inside(probe)


def test_each_situation_is_told_as_what_it_is(started: tuple[Server, Box], subtests: Any) -> None:
    server, box = started
    for case in server.cases:
        with subtests.test(case.title):
            found = report(box, case)
            assert (found.failure.code if found.failure else None) == case.code, (
                found.failure,
                box.lines()[-2000:],
            )


def test_what_works_leaves_no_line_that_filters_count(started: tuple[Server, Box]) -> None:
    """fail2ban's own words for these servers; three tests of what works leave none of them."""
    server, box = started
    working = [case for case in server.cases if case.code is None]
    if working:
        report(box, working[0])  # by then the log has what looked whether the ports are open
    before = len(box.lines())
    for case in working * 3:
        assert report(box, case).succeeded
    logged = box.lines()[before:]

    assert not [words for words in server.punishes if words in logged], logged
