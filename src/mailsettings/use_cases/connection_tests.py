"""Connection tests: who may run one, and what the audit log records."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from mailsettings.domain.access import Permission, Principal
from mailsettings.domain.audit_log import Action, AuditOutcome, AuditRecord
from mailsettings.domain.change import Replacement
from mailsettings.domain.connection_test import ProbeListener, ProbeReport
from mailsettings.domain.errors import (
    IdempotencyError,
    MailServerDisabled,
    PermissionDenied,
    StoreUnavailable,
    TooManyProbes,
)
from mailsettings.domain.idempotency import IdempotencyKey
from mailsettings.domain.mail_server import MailServer, StoredMailServer
from mailsettings.domain.naming import MailServerRef
from mailsettings.store.database import SQLStore
from mailsettings.store.idempotency import SQLIdempotency
from mailsettings.store.transaction import Transaction
from mailsettings.use_cases.audit_log import error_name
from mailsettings.use_cases.connection_test_limits import (
    MAX_CONCURRENT_RECORDS,
    ConnectionTestLimits,
    ConnectionTestSlots,
)
from mailsettings.use_cases.denial_log import DenialLog
from mailsettings.use_cases.idempotency import find_result
from mailsettings.use_cases.lease import shielded
from mailsettings.use_cases.mail_server_changes import existing, target
from mailsettings.use_cases.metrics import NO_METRICS
from mailsettings.use_cases.ports import Meter, Prober

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RequestedTest:
    """The caller of a test, the tested server by its name in the audit log, the idempotency key and a listener."""

    caller: Principal
    tested: str
    idempotency_key: IdempotencyKey | None
    listener: ProbeListener | None = None


class ConnectionTestRecords:
    """Records connection tests in the database: in a transaction before each test and another after it."""

    def __init__(self, store: SQLStore, limits: ConnectionTestLimits) -> None:
        self._store = store
        self._limits = limits
        self._turns = asyncio.Semaphore(MAX_CONCURRENT_RECORDS)

    async def previous(self, asked: RequestedTest) -> ProbeReport | None:
        """Return the report of an earlier identical request, without a write. Raises like `find_result`."""
        if asked.idempotency_key is None:
            return None
        async with self._turns, self._store.reading() as view:
            return await self._known(view.idempotency, asked)

    async def require_capacity(self, caller: Principal) -> None:
        """Raise `TooManyProbes` if `begin` would, without a write, which would delay other writers."""
        async with self._turns, self._store.reading() as view:
            usage = await view.probe_admissions.of(caller.name, self._limits.max_seconds)
        self._limits.require_capacity(usage)

    async def begin(self, asked: RequestedTest, details: Mapping[str, object]) -> str | ProbeReport:
        """Count the test, audit its start, and return the id that `end` needs.

        If the test ran before, return its report. Raises `TooManyProbes`, and like `find_result`.
        """
        name = asked.caller.name
        async with self._turns, self._store.writing() as work:
            if (report := await self._known(work.idempotency, asked)) is not None:
                return report
            self._limits.require_capacity(await work.probe_admissions.of(name, self._limits.max_seconds))
            if asked.idempotency_key is not None:
                await work.idempotency.remember(name, asked.idempotency_key)
            await _append(work, asked, AuditOutcome.BEGUN, details)
            return await work.probe_admissions.begin(name)

    async def end(self, asked: RequestedTest, test_id: str, report: ProbeReport) -> None:
        """Record how the test ended. It cannot be undone, so a failure to record it raises nothing.

        Clients retry after a 503, and each retry would send another mail.
        """
        failure = report.failure
        outcome = AuditOutcome.DONE if failure is None else AuditOutcome.FAILED
        details = {} if failure is None else {"code": str(failure.code), "stage": str(failure.stage)}
        try:
            async with self._turns, self._store.writing() as work:
                await work.probe_admissions.end(test_id)
                if asked.idempotency_key is not None:
                    await work.idempotency.remember(asked.caller.name, asked.idempotency_key, report)
                await _append(work, asked, outcome, details)
        except StoreUnavailable:
            _log.error("The end of a connection test (%s) could not be written to the audit log.", outcome)

    async def cancelled(self, asked: RequestedTest, test_id: str) -> None:
        """Record that the caller ended the test; whether the mail was sent is unknown."""
        try:
            async with self._turns, self._store.writing() as work:
                await work.probe_admissions.end(test_id)
                await _append(work, asked, AuditOutcome.FAILED, {"problem": "cancelled by the caller"})
        except StoreUnavailable:
            _log.error("The cancellation of a connection test could not be written to the audit log.")

    async def _known(self, idempotency: SQLIdempotency, asked: RequestedTest) -> ProbeReport | None:
        if asked.idempotency_key is None:
            return None
        return await find_result(
            idempotency, asked.caller, asked.idempotency_key, ProbeReport, self._limits.max_seconds
        )


async def _append(
    work: Transaction, asked: RequestedTest, outcome: AuditOutcome, details: Mapping[str, object]
) -> None:
    caller = asked.caller
    record = AuditRecord(caller.name, caller.origin, Action.MAIL_SERVER_TEST, asked.tested, outcome, details)
    await work.audit.append(record)


GIVEN_SERVER = "given mail server"


class RunConnectionTests:
    """Runs connection tests for a principal."""

    def __init__(
        self,
        store: SQLStore,
        prober: Prober,
        limits: ConnectionTestLimits,
        denial_log: DenialLog,
        meter: Meter = NO_METRICS,
    ) -> None:
        self._store = store
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
        listener: ProbeListener | None = None,
    ) -> ProbeReport:
        """Test *server* as given, without any stored secret.

        Raises `PermissionDenied`, `TooManyProbes`, `IdempotencyError`.
        """
        caller.require(Permission.MAIL_SERVERS_TEST)
        asked = RequestedTest(caller, GIVEN_SERVER, idempotency_key, listener)
        return await self._answered_before(asked) or await self._probe(asked, server, recipient)

    async def based_on(  # noqa: PLR0913  # as `given`, and the two servers
        self,
        caller: Principal,
        wanted: Replacement,
        ref: MailServerRef | None,
        recipient: str | None,
        *,
        idempotency_key: IdempotencyKey | None = None,
        listener: ProbeListener | None = None,
    ) -> ProbeReport:
        """Test the settings in *wanted*, with the secret of the stored server *ref* if *wanted* keeps it.

        A caller who may not change the server can send with its secret only what a test of it would send.
        Raises what `given` and `Replacement.onto` raise, `MailServerNotFound`, and `MailServerDisabled`.
        """
        caller.require(Permission.MAIL_SERVERS_TEST)
        asked = RequestedTest(caller, GIVEN_SERVER, idempotency_key, listener)
        if (report := await self._answered_before(asked)) is not None:
            return report
        stored = None if ref is None else existing(await self._stored(ref))
        server = wanted.onto(stored.server if stored else None)
        if stored is None or server.secret is None or server.secret is not stored.server.secret:
            return await self._probe(asked, server, recipient)
        async with self._noting_refusals(asked):
            if Permission.MAIL_SERVERS_WRITE not in caller.permissions:
                _require_same_mail(caller, stored, server)
        return await self._probe(asked, server, recipient, secret_of=stored.id)

    async def has_capacity(self, caller: Principal) -> None:
        """Return once a test of *caller* would be admitted."""
        while True:
            try:
                self._slots.require_slot(caller)
                await self._records.require_capacity(caller)
            except TooManyProbes as busy:
                await asyncio.sleep(busy.retry_after_seconds)
            else:
                return

    async def stored(
        self,
        caller: Principal,
        ref: MailServerRef | None,
        recipient: str | None,
        idempotency_key: IdempotencyKey | None = None,
        listener: ProbeListener | None = None,
    ) -> ProbeReport:
        """Test the stored server with this id or name, or (None) the default server.

        The caller needs no permission to read it. Raises `PermissionDenied`, `MailServerNotFound`,
        `MailServerDisabled`, `TooManyProbes`, `IdempotencyError`.
        """
        caller.require(Permission.MAIL_SERVERS_TEST)
        asked = RequestedTest(caller, target(ref), idempotency_key, listener)
        if (report := await self._answered_before(asked)) is not None:
            return report
        stored = existing(await self._stored(ref))
        asked = RequestedTest(caller, target(stored.id), idempotency_key, listener)
        async with self._noting_refusals(asked):
            _require_enabled(stored)
        return await self._probe(asked, stored.server, recipient)

    async def _stored(self, ref: MailServerRef | None) -> StoredMailServer | None:
        async with self._store.reading() as view:
            return await (view.mail_servers.find_default() if ref is None else view.mail_servers.find(ref))

    async def _answered_before(self, asked: RequestedTest) -> ProbeReport | None:
        async with self._noting_refusals(asked):
            return await self._records.previous(asked)

    async def _probe(
        self, asked: RequestedTest, server: MailServer, recipient: str | None, secret_of: int | None = None
    ) -> ProbeReport:
        async with self._noting_refusals(asked):
            with self._slots.admit(asked.caller):
                await self._records.require_capacity(asked.caller)
                # The start is in the audit log before the first packet: a crash leaves a test without an end.
                begun = await self._records.begin(asked, _details(server, recipient, secret_of))
                if isinstance(begun, ProbeReport):
                    return begun
                report = await self._run(asked, begun, server, recipient)
        self._meter.probed("given" if asked.tested == GIVEN_SERVER else "stored", report)
        await self._records.end(asked, begun, report)
        return report

    async def _run(
        self, asked: RequestedTest, test_id: str, server: MailServer, recipient: str | None
    ) -> ProbeReport:
        """Return the report of the prober; a cancelled test is recorded as such."""
        try:
            return await self._prober.probe(server, recipient, asked.listener)
        except asyncio.CancelledError:
            # The task is cancelled already, so an unshielded write would end at its first wait.
            await shielded(self._records.cancelled(asked, test_id))
            raise

    @asynccontextmanager
    async def _noting_refusals(self, asked: RequestedTest) -> AsyncIterator[None]:
        try:
            yield
        except (TooManyProbes, IdempotencyError, MailServerDisabled, PermissionDenied) as refused:
            caller, problem = asked.caller, {"problem": error_name(refused)}
            await self._denial_log.note(caller.name, caller.origin, Action.MAIL_SERVER_TEST, asked.tested, problem)
            raise


def _require_enabled(stored: StoredMailServer) -> None:
    if not stored.enabled:
        raise MailServerDisabled


def _require_same_mail(caller: Principal, stored: StoredMailServer, server: MailServer) -> None:
    """Refuse a test of *server* with the secret of *stored* that a test of *stored* would not be."""
    if not stored.enabled:
        raise MailServerDisabled
    if server.sender != stored.server.sender:
        caller.require(Permission.MAIL_SERVERS_WRITE)


def _details(server: MailServer, recipient: str | None, secret_of: int | None) -> dict[str, object]:
    borrowed = {} if secret_of is None else {"secret of": target(secret_of), "sender": server.sender.address}
    return {
        **borrowed,
        "host": server.host,
        "port": server.port,
        "connection security": server.security.value,
        "recipient": recipient,
    }
