"""Testing a mail server, given or stored. No transaction is open while the server is spoken to.

The audit log has the beginning of each test before anything is sent, so that none leaves no trace.
"""

import logging
from collections.abc import Mapping

from mailsettings.domain.access import Permission, Principal
from mailsettings.domain.audit import Action, AuditOutcome
from mailsettings.domain.errors import StoreUnavailable, TooManyProbes
from mailsettings.domain.mail_server import MailServer
from mailsettings.domain.probe import ProbeReport
from mailsettings.use_cases.admission import Admission, ProbeLimits
from mailsettings.use_cases.auditing import note, problem_of
from mailsettings.use_cases.mail_servers import KeepMailServers, target
from mailsettings.use_cases.metrics import UNMEASURED
from mailsettings.use_cases.ports import Meter, Prober, Store
from mailsettings.use_cases.turned_away import TurnedAway

GIVEN = "given mail server"
_log = logging.getLogger(__name__)


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
        self._store = store
        self._mail_servers = KeepMailServers(store)
        self._prober = prober
        self._admission = Admission(limits)
        self._turned_away = turned_away
        self._meter = meter

    async def given(self, caller: Principal, server: MailServer, recipient: str | None) -> ProbeReport:
        """Test *server* as it is; no stored secret is lent to it. Raises `PermissionDenied`, `TooManyProbes`."""
        caller.require(Permission.MAIL_SERVERS_TEST)
        return await self._probe(caller, GIVEN, server, recipient)

    async def stored(self, caller: Principal, server_id: int | None, recipient: str | None) -> ProbeReport:
        """Test the stored server of this id, or the default one.

        Raises `PermissionDenied`, `MailServerNotFound`, `TooManyProbes`.
        """
        caller.require(Permission.MAIL_SERVERS_TEST)
        if server_id is None:
            stored = await self._mail_servers.get_default(caller)
        else:
            stored = await self._mail_servers.get(caller, server_id)
        return await self._probe(caller, target(stored.id), stored.server, recipient)

    async def _probe(
        self, caller: Principal, tested: str, server: MailServer, recipient: str | None
    ) -> ProbeReport:
        try:
            with self._admission.admit(caller):
                await self._note(caller, tested, AuditOutcome.BEGUN, _asked(server, recipient))
                report = await self._prober.probe(server, recipient)
        except TooManyProbes as refused:
            problem = {"problem": problem_of(refused)}
            await self._turned_away.note(caller.name, caller.origin, Action.MAIL_SERVER_TEST, tested, problem)
            raise
        self._meter.probed("given" if tested == GIVEN else "stored", report)
        await self._note_end(caller, tested, report)
        return report

    async def _note_end(self, caller: Principal, tested: str, report: ProbeReport) -> None:
        """The test was made and cannot be taken back: who asked gets the report also if this cannot be written.

        Clients repeat what is answered with 503, and each time a mail is sent.
        """
        failure = report.failure
        outcome = AuditOutcome.DONE if failure is None else AuditOutcome.FAILED
        details = {} if failure is None else {"code": str(failure.code), "stage": str(failure.stage)}
        try:
            await self._note(caller, tested, outcome, details)
        except StoreUnavailable:
            _log.error("The end of a connection test (%s) could not be written to the audit log.", outcome)

    async def _note(
        self, caller: Principal, tested: str, outcome: AuditOutcome, details: Mapping[str, object]
    ) -> None:
        await note(self._store, caller, Action.MAIL_SERVER_TEST, tested, outcome, details)


def _asked(server: MailServer, recipient: str | None) -> dict[str, object]:
    return {
        "host": server.host,
        "port": server.port,
        "connection security": server.security.value,
        "recipient": recipient,
    }
