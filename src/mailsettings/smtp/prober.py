"""Run a connection test: connect, encrypt, log in and send one mail within one deadline, and report each stage.

aiosmtplib only reads and writes. Its `send` is not used: it bounds each reply instead of the whole test, tries
every login mechanism, and treats STARTTLS as optional.
"""

import asyncio
import logging
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime

from mailsettings.domain.connection_test import FailureCode, ProbeListener, ProbeReport
from mailsettings.domain.findings import failure
from mailsettings.domain.mail_server import MailServer
from mailsettings.domain.values import MASK
from mailsettings.network.policy import Address
from mailsettings.smtp.connector import EXPECTED_ERRORS, Connector
from mailsettings.smtp.diagnosis.failures import explain_error, outcome_of
from mailsettings.smtp.diagnosis.fallback_scan import FallbackScan
from mailsettings.smtp.diagnosis.inspection import KnownPorts, PortInspector, ScanTimeouts
from mailsettings.smtp.diagnosis.settings import add_current_value, find_warnings, require_addresses
from mailsettings.smtp.journal import Journal

MAX_CONCURRENT_SCANS = 16
"""Concurrent fallback scans in a process; a connection with TLS takes 50 kB."""

_log = logging.getLogger("mailsettings.smtp")


class SMTPProber:
    """Tests mail servers over *connector*. `request_id` returns the id for the test mail."""

    def __init__(
        self,
        connector: Connector,
        *,
        deadline_seconds: float,
        timeouts: ScanTimeouts | None = None,
        ports: KnownPorts | None = None,
        request_id: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._connector = connector
        self._request_id = request_id
        self._deadline_seconds = deadline_seconds
        self._timeouts = timeouts or ScanTimeouts()
        known = ports or KnownPorts()
        allowed = {port: security for port, security in known.usual.items() if connector.allows_port(port)}
        self._ports = replace(known, usual=allowed)
        self._turns = asyncio.Semaphore(MAX_CONCURRENT_SCANS)

    def without_other_ports(self) -> "SMTPProber":
        """Return a copy with a fallback scan that tries no other ports; limits and caches are shared."""
        other = copy(self)
        other._ports = replace(self._ports, usual={})  # noqa: SLF001  # of the same class
        return other

    async def probe(
        self, server: MailServer, recipient: str | None, listener: ProbeListener | None = None
    ) -> ProbeReport:
        """Test *server*; without a recipient send no mail. *listener* gets each event of the test.

        Always returns a report: a defect in this program becomes the failure `internal`, with its traceback in the
        log. Only cancellation raises.
        """
        journal = Journal(server, listener)
        journal.deadline_seconds = self._deadline_seconds
        try:
            return await self._probe(journal, recipient)
        except Exception as error:  # noqa: BLE001  # a server can send anything; a test always has a report
            return _report_defect(error, journal)

    async def _probe(self, journal: Journal, recipient: str | None) -> ProbeReport:
        end = asyncio.get_running_loop().time() + self._deadline_seconds
        scan: FallbackScan | None = None
        try:
            async with asyncio.timeout_at(end):
                require_addresses(journal.server, recipient)
                addresses = await self._connector.resolve(journal)
                scan = self._fallback_scan(journal, addresses)
                await self._converse(journal, addresses, scan, recipient)
        except EXPECTED_ERRORS as error:
            return await _report(error, journal, scan, end)
        return journal.succeeded(find_warnings(journal, datetime.now(UTC)))

    def _fallback_scan(self, journal: Journal, addresses: Sequence[Address]) -> FallbackScan:
        server, is_allowed = journal.server, self._connector.is_allowed
        inspection = PortInspector(addresses, server.host, journal.ehlo_name or None, is_allowed)
        return FallbackScan(inspection, server, self._ports, self._timeouts, self._turns, journal.begin_scan)

    async def _converse(
        self, journal: Journal, addresses: Sequence[Address], scan: FallbackScan, recipient: str | None
    ) -> None:
        conversation = await self._connector.connect(journal, addresses, scan)
        try:
            await conversation.send(recipient, self._request_id())
        finally:
            conversation.close()


async def _report(error: Exception, journal: Journal, scan: FallbackScan | None, end: float) -> ProbeReport:
    """Return the report for *error*, improved by the fallback scan if time is left before *end*."""
    found = explain_error(error, journal)
    if scan is not None:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(end):
                found = await scan.improve(found, journal)
    changes = tuple(add_current_value(change, journal.server) for change in found.changes)
    return journal.failed(replace(found, changes=changes), outcome_of(found))


def _report_defect(error: Exception, journal: Journal) -> ProbeReport:
    """Log *error* with its traceback, without the secrets of the test, and return the report."""
    text = "".join(traceback.format_exception(error))
    for form in journal.hidden:
        text = text.replace(form, MASK)
    _log.error("A connection test failed unexpectedly.\n%s", text)
    return journal.failed(failure(FailureCode.INTERNAL, journal.last_stage))
