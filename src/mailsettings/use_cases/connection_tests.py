"""Testing a mail server, given or stored. No transaction is open while the server is spoken to.

The audit log has the beginning of each test before anything is sent, so that none leaves no trace.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mailsettings.domain.access import Permission, Principal
from mailsettings.domain.audit_log import Action
from mailsettings.domain.connection_test import ProbeReport
from mailsettings.domain.errors import IdempotencyError, TooManyProbes
from mailsettings.domain.idempotency import IdempotencyKey
from mailsettings.domain.mail_server import MailServer
from mailsettings.use_cases.auditing import error_name
from mailsettings.use_cases.connection_test_limits import ConnectionTestLimits, ConnectionTestSlots
from mailsettings.use_cases.denial_log import DenialLog
from mailsettings.use_cases.mail_servers import DEFAULT_SERVER, ManageMailServers, target
from mailsettings.use_cases.metrics import NO_METRICS
from mailsettings.use_cases.ports import Meter, Prober, Store
from mailsettings.use_cases.probe_records import ConnectionTestRecords, RequestedTest

GIVEN_SERVER = "given mail server"


class RunConnectionTests:
    """Connection tests on behalf of a principal."""

    def __init__(
        self,
        store: Store,
        prober: Prober,
        limits: ConnectionTestLimits,
        denial_log: DenialLog,
        meter: Meter = NO_METRICS,
    ) -> None:
        self._mail_servers = ManageMailServers(store)
        self._prober = prober
        self._slots = ConnectionTestSlots(limits)
        self._records = ConnectionTestRecords(store, limits)
        self._denial_log = denial_log
        self._meter = meter

    async def given(
        self,
        caller: Principal,
        server: MailServer,
        recipient: str | None,
        idempotency_key: IdempotencyKey | None = None,
    ) -> ProbeReport:
        """Test *server* as it is; no stored secret is lent to it.

        Raises `PermissionDenied`, `TooManyProbes`, `IdempotencyError`.
        """
        caller.require(Permission.MAIL_SERVERS_TEST)
        asked = RequestedTest(caller, GIVEN_SERVER, idempotency_key)
        return await self._answered_before(asked) or await self._probe(asked, server, recipient)

    async def stored(
        self,
        caller: Principal,
        server_id: int | None,
        recipient: str | None,
        idempotency_key: IdempotencyKey | None = None,
    ) -> ProbeReport:
        """Test the stored server of this id, or the default one.

        Raises `PermissionDenied`, `MailServerNotFound`, `TooManyProbes`, `IdempotencyError`.
        """
        caller.require(Permission.MAIL_SERVERS_TEST)
        asked = RequestedTest(caller, DEFAULT_SERVER if server_id is None else target(server_id), idempotency_key)
        if (report := await self._answered_before(asked)) is not None:
            return report
        if server_id is None:
            stored = await self._mail_servers.get_default(caller)
        else:
            stored = await self._mail_servers.get(caller, server_id)
        return await self._probe(
            RequestedTest(caller, target(stored.id), idempotency_key), stored.server, recipient
        )

    async def _answered_before(self, asked: RequestedTest) -> ProbeReport | None:
        async with self._noting_refusals(asked):
            return await self._records.previous(asked)

    async def _probe(self, asked: RequestedTest, server: MailServer, recipient: str | None) -> ProbeReport:
        async with self._noting_refusals(asked):
            with self._slots.admit(asked.caller):
                await self._records.require_capacity(asked.caller)
                begun = await self._records.begin(asked, _details(server, recipient))
                if isinstance(begun, ProbeReport):
                    return begun
                report = await self._prober.probe(server, recipient)
        self._meter.probed("given" if asked.tested == GIVEN_SERVER else "stored", report)
        await self._records.end(asked, begun, report)
        return report

    @asynccontextmanager
    async def _noting_refusals(self, asked: RequestedTest) -> AsyncIterator[None]:
        try:
            yield
        except (TooManyProbes, IdempotencyError) as refused:
            caller, problem = asked.caller, {"problem": error_name(refused)}
            await self._denial_log.note(caller.name, caller.origin, Action.MAIL_SERVER_TEST, asked.tested, problem)
            raise


def _details(server: MailServer, recipient: str | None) -> dict[str, object]:
    return {
        "host": server.host,
        "port": server.port,
        "connection security": server.security.value,
        "recipient": recipient,
    }
