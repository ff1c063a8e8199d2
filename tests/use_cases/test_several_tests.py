"""Tests of several mail servers continue when a limit or a removal comes between."""

from typing import Any, cast

import pytest

from mailsettings.domain.access import OPERATOR, Principal
from mailsettings.domain.connection_test import ProbeReport
from mailsettings.domain.errors import MailServerDisabled, MailServerNotFound, TooManyProbes
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, Sender, StoredMailServer
from mailsettings.use_cases.connection_test_limits import ConnectionTestLimits
from mailsettings.use_cases.several_tests import RunSeveralTests

from support.databases import LocalStore
from support.fakes import WORKS

SERVER = MailServer("mail.example.org", 25, ConnectionSecurity.NONE, Sender("a@example.org"))


class Scripted:
    """Connection tests with these outcomes in turn, of a caller who keeps all permissions."""

    def __init__(self, *outcomes: ProbeReport | Exception) -> None:
        self.outcomes = list(outcomes)

    async def confirmed(self, caller: Principal) -> Principal:
        return caller

    async def has_capacity(self, _caller: Principal) -> None:
        pass

    async def stored(self, *_arguments: object) -> ProbeReport:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@pytest.mark.parametrize(
    ("outcomes", "reports"),
    [
        ([TooManyProbes("A limit.", 1), TooManyProbes("A limit.", 1), WORKS], [WORKS]),
        ([MailServerNotFound()], []),
        ([MailServerDisabled()], []),
    ],
)
async def test_a_limit_is_waited_for_and_a_removal_is_no_error(
    outcomes: list[ProbeReport | Exception], reports: list[ProbeReport], local_store: LocalStore
) -> None:
    scripted = cast("Any", Scripted(*outcomes))
    tests = RunSeveralTests(local_store, scripted, ConnectionTestLimits(), scripted)
    found: list[object] = []

    await tests.run(OPERATOR, [StoredMailServer(1, 1, SERVER)], None, lambda _server, event: found.append(event))

    assert found == reports
    assert scripted.outcomes == []
