"""A snapshot keeps writers of SQLite waiting, so it ends before anything that may take long."""

import asyncio

import pytest

from mailsettings.domain.access import OPERATOR
from mailsettings.domain.change import Replacement
from mailsettings.domain.connection_test import ProbeReport
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, Sender
from mailsettings.store.database import SQLStore
from mailsettings.use_cases.connection_test_limits import ConnectionTestLimits
from mailsettings.use_cases.connection_tests import RunConnectionTests
from mailsettings.use_cases.denial_log import DenialLog
from mailsettings.use_cases.mail_servers import ManageMailServers

from support.fakes import ScriptedProber
from support.timeouts import GUARD_SECONDS

RELAY = MailServer("relay.example.org", 25, ConnectionSecurity.NONE, Sender("a@example.org"))


class WaitingProber(ScriptedProber):
    """Sets `began` when it is asked, and answers when `may_answer` is set."""

    def __init__(self) -> None:
        self.began, self.may_answer = asyncio.Event(), asyncio.Event()
        super().__init__(hold=self.may_answer)

    async def probe(self, server: MailServer, recipient: str | None, listener: object = None) -> ProbeReport:
        self.began.set()
        return await super().probe(server, recipient)


@pytest.mark.parametrize("server_id", [None, 1])
async def test_no_snapshot_is_open_during_a_connection_test(store: SQLStore, server_id: int | None) -> None:
    manage, prober = ManageMailServers(store), WaitingProber()
    await manage.put_default(OPERATOR, Replacement(RELAY))
    tests = RunConnectionTests(store, prober, ConnectionTestLimits(), DenialLog(store))
    testing = asyncio.create_task(tests.stored(OPERATOR, server_id, None))
    await asyncio.wait_for(prober.began.wait(), GUARD_SECONDS)

    in_use = store.pool()["in_use"]
    await manage.put_default(OPERATOR, Replacement(RELAY))
    prober.may_answer.set()
    await testing

    assert in_use == 0


async def test_no_snapshot_is_open_between_two_pages(store: SQLStore) -> None:
    manage = ManageMailServers(store)
    await manage.put_default(OPERATOR, Replacement(RELAY))

    page = await manage.page(OPERATOR)

    assert page.last == 1
    assert store.pool()["in_use"] == 0


async def test_a_snapshot_refuses_to_write(store: SQLStore) -> None:
    with pytest.raises(RuntimeError, match="only reads"):
        async with store.reading() as snapshot:
            await snapshot.mail_servers.add(RELAY)

    assert not (await ManageMailServers(store).page(OPERATOR)).servers
