"""What is written down of a connection test, in one transaction before it and one after.

Both the limits and the answering once hang on it: whoever asks next, at whichever process, finds it there.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from mailsettings.domain.access import Principal
from mailsettings.domain.audit_log import Action, AuditOutcome, AuditRecord
from mailsettings.domain.connection_test import ProbeReport
from mailsettings.domain.errors import StoreUnavailable
from mailsettings.domain.idempotency import IdempotencyKey
from mailsettings.use_cases.agreed_ports import RepeatReads
from mailsettings.use_cases.connection_test_limits import ConnectionTestLimits
from mailsettings.use_cases.idempotency import find_result
from mailsettings.use_cases.ports import Store, UnitOfWork

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RequestedTest:
    """Who wants what tested, as the audit log calls it; to be made once, if so asked."""

    caller: Principal
    tested: str
    idempotency_key: IdempotencyKey | None


class ConnectionTestRecords:
    """The store, as connection tests use it."""

    def __init__(self, store: Store, limits: ConnectionTestLimits) -> None:
        self._store = store
        self._limits = limits

    async def previous(self, asked: RequestedTest) -> ProbeReport | None:
        """The report of the same request before, without a write. Raises what `known` does."""
        if asked.idempotency_key is None:
            return None
        async with self._store.reading() as view:
            return await self._known(view.idempotency, asked)

    async def require_capacity(self, caller: Principal) -> None:
        """Raise `TooManyProbes` for what `begin` would refuse, without a write, which would hold others up."""
        async with self._store.reading() as view:
            share = await view.probe_admissions.of(caller.name, self._limits.max_seconds)
        self._limits.require_capacity(share)

    async def begin(self, asked: RequestedTest, details: Mapping[str, object]) -> str | ProbeReport:
        """Count it and write down that it begins, and return the id to end it by.

        If it was made before, return its report. Raises `TooManyProbes`, and what `known` does.
        """
        name = asked.caller.name
        async with self._store.writing() as work:
            if (report := await self._known(work.idempotency, asked)) is not None:
                return report
            self._limits.require_capacity(await work.probe_admissions.of(name, self._limits.max_seconds))
            if asked.idempotency_key is not None:
                await work.idempotency.remember(name, asked.idempotency_key)
            await _append(work, asked, AuditOutcome.BEGUN, details)
            return await work.probe_admissions.begin(name)

    async def end(self, asked: RequestedTest, test_id: str, report: ProbeReport) -> None:
        """Write down how it ended. It was made and cannot be taken back, so nothing is raised if that fails.

        Clients repeat what is answered with 503, and each time a mail is sent.
        """
        failure = report.failure
        outcome = AuditOutcome.DONE if failure is None else AuditOutcome.FAILED
        details = {} if failure is None else {"code": str(failure.code), "stage": str(failure.stage)}
        try:
            async with self._store.writing() as work:
                await work.probe_admissions.end(test_id)
                if asked.idempotency_key is not None:
                    await work.idempotency.remember(asked.caller.name, asked.idempotency_key, report)
                await _append(work, asked, outcome, details)
        except StoreUnavailable:
            _log.error("The end of a connection test (%s) could not be written to the audit log.", outcome)

    async def _known(self, idempotency: RepeatReads, asked: RequestedTest) -> ProbeReport | None:
        if asked.idempotency_key is None:
            return None
        return await find_result(
            idempotency, asked.caller, asked.idempotency_key, ProbeReport, self._limits.max_seconds
        )


async def _append(
    work: UnitOfWork, asked: RequestedTest, outcome: AuditOutcome, details: Mapping[str, object]
) -> None:
    caller = asked.caller
    record = AuditRecord(caller.name, caller.origin, Action.MAIL_SERVER_TEST, asked.tested, outcome, details)
    await work.audit.append(record)
