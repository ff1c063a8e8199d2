"""Testing a mail server, given or stored. No transaction is open while the server is spoken to.

The audit log has the beginning of each test before anything is sent, so that none leaves no trace.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mailsettings.domain.access import Permission, Principal
from mailsettings.domain.audit import Action
from mailsettings.domain.errors import RepeatRefused, TooManyProbes
from mailsettings.domain.mail_server import MailServer
from mailsettings.domain.once import Once
from mailsettings.domain.probe import ProbeReport
from mailsettings.use_cases.admission import Admission, ProbeLimits
from mailsettings.use_cases.auditing import problem_of
from mailsettings.use_cases.mail_servers import DEFAULT, KeepMailServers, target
from mailsettings.use_cases.metrics import UNMEASURED
from mailsettings.use_cases.ports import Meter, Prober, Store
from mailsettings.use_cases.probe_records import AskedTest, ProbeRecords
from mailsettings.use_cases.turned_away import TurnedAway

GIVEN = "given mail server"


class ProbeMailServers:
    """Connection tests on behalf of a principal."""

    def __init__(
        self,
        store: Store,
        prober: Prober,
        limits: ProbeLimits,
        turned_away: TurnedAway,
        meter: Meter = UNMEASURED,
    ) -> None:
        self._mail_servers = KeepMailServers(store)
        self._prober = prober
        self._admission = Admission(limits)
        self._records = ProbeRecords(store, limits)
        self._turned_away = turned_away
        self._meter = meter

    async def given(
        self, caller: Principal, server: MailServer, recipient: str | None, once: Once | None = None
    ) -> ProbeReport:
        """Test *server* as it is; no stored secret is lent to it.

        Raises `PermissionDenied`, `TooManyProbes`, `RepeatRefused`.
        """
        caller.require(Permission.MAIL_SERVERS_TEST)
        asked = AskedTest(caller, GIVEN, once)
        return await self._answered_before(asked) or await self._probe(asked, server, recipient)

    async def stored(
        self, caller: Principal, server_id: int | None, recipient: str | None, once: Once | None = None
    ) -> ProbeReport:
        """Test the stored server of this id, or the default one.

        Raises `PermissionDenied`, `MailServerNotFound`, `TooManyProbes`, `RepeatRefused`.
        """
        caller.require(Permission.MAIL_SERVERS_TEST)
        asked = AskedTest(caller, DEFAULT if server_id is None else target(server_id), once)
        if (report := await self._answered_before(asked)) is not None:
            return report
        if server_id is None:
            stored = await self._mail_servers.get_default(caller)
        else:
            stored = await self._mail_servers.get(caller, server_id)
        return await self._probe(AskedTest(caller, target(stored.id), once), stored.server, recipient)

    async def _answered_before(self, asked: AskedTest) -> ProbeReport | None:
        async with self._noting_refusals(asked):
            return await self._records.earlier(asked)

    async def _probe(self, asked: AskedTest, server: MailServer, recipient: str | None) -> ProbeReport:
        async with self._noting_refusals(asked):
            with self._admission.admit(asked.caller):
                await self._records.require_room(asked.caller)
                begun = await self._records.begin(asked, _details(server, recipient))
                if isinstance(begun, ProbeReport):
                    return begun
                report = await self._prober.probe(server, recipient)
        self._meter.probed("given" if asked.tested == GIVEN else "stored", report)
        await self._records.end(asked, begun, report)
        return report

    @asynccontextmanager
    async def _noting_refusals(self, asked: AskedTest) -> AsyncIterator[None]:
        try:
            yield
        except (TooManyProbes, RepeatRefused) as refused:
            caller, problem = asked.caller, {"problem": problem_of(refused)}
            await self._turned_away.note(
                caller.name, caller.origin, Action.MAIL_SERVER_TEST, asked.tested, problem
            )
            raise


def _details(server: MailServer, recipient: str | None) -> dict[str, object]:
    return {
        "host": server.host,
        "port": server.port,
        "connection security": server.security.value,
        "recipient": recipient,
    }
