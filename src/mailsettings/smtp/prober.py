"""Run a connection test: connect, encrypt, log in and send one mail within one deadline, and report each stage.

aiosmtplib only reads and writes. Its `send` is not used: it bounds each reply instead of the whole test, tries
every login mechanism, and treats STARTTLS as optional.
"""

import asyncio
import logging
import ssl
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime

from mailsettings.domain.connection_test import FailureCode, ProbeListener, ProbeReport, ProbeStage
from mailsettings.domain.findings import failure
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer
from mailsettings.domain.values import MASK
from mailsettings.network.connect import HappyEyeballs, NotConnected
from mailsettings.network.guard import EgressGuard, HostLookup, NotAllowed, Resolve, resolve_with_system
from mailsettings.network.policy import Address, EgressPolicy
from mailsettings.smtp.conversation import Conversation
from mailsettings.smtp.diagnosis.failures import explain_error, outcome_of
from mailsettings.smtp.diagnosis.fallback_scan import FallbackScan
from mailsettings.smtp.diagnosis.inspection import KnownPorts, PortInspector, ScanTimeouts
from mailsettings.smtp.diagnosis.settings import add_current_value, find_warnings, require_usable
from mailsettings.smtp.errors import WIRE_ERRORS, ReplyError, StageFailed
from mailsettings.smtp.journal import Journal
from mailsettings.smtp.machine_name import MachineName
from mailsettings.smtp.oauth2 import OAuth2Tokens, TokenRequestFailed
from mailsettings.smtp.redaction import credential_forms
from mailsettings.smtp.session import Session
from mailsettings.smtp.tls import TLSContexts

MAX_CONCURRENT_SCANS = 16
"""Concurrent fallback scans in a process; a connection with TLS takes 50 kB."""
MAX_ADDRESSES_SHOWN = 20
EXPECTED_ERRORS = (StageFailed, ReplyError, NotAllowed, NotConnected, TokenRequestFailed, *WIRE_ERRORS)
"""The expected errors of a conversation; any other exception is a defect in this program."""

_log = logging.getLogger("mailsettings.smtp")


class SMTPProber:
    """Tests mail servers.

    In EHLO it sends `ehlo_name`, else the name that `machine_name` finds, else the local address as a literal
    (RFC 5321 4.1.4). `request_id` returns the id for the test mail.
    """

    def __init__(  # noqa: PLR0913  # each is one line in the composition root
        self,
        egress: EgressPolicy,
        *,
        ehlo_name: str | None,
        deadline_seconds: float,
        allow_cleartext_credentials: bool,
        trust: TLSContexts,
        oauth2: OAuth2Tokens,
        resolve: Resolve = resolve_with_system,
        timeouts: ScanTimeouts | None = None,
        ports: KnownPorts | None = None,
        machine_name: MachineName | None = None,
        request_id: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._ehlo_name = ehlo_name
        self._machine_name = machine_name
        self._request_id = request_id
        self._deadline_seconds = deadline_seconds
        self._allow_cleartext_credentials = allow_cleartext_credentials
        self._trust = trust
        self._oauth2 = oauth2
        self._lookup = HostLookup(resolve)
        self._guard = EgressGuard(egress, self._lookup)
        self._timeouts = timeouts or ScanTimeouts()
        known = ports or KnownPorts()
        allowed = {port: security for port, security in known.usual.items() if egress.allows_port(port)}
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
            return await self._probe(journal, server, recipient)
        except Exception as error:  # noqa: BLE001  # a server can send anything; a test always has a report
            return _report_defect(error, journal)

    async def _probe(self, journal: Journal, server: MailServer, recipient: str | None) -> ProbeReport:
        end = asyncio.get_running_loop().time() + self._deadline_seconds
        scan: FallbackScan | None = None
        try:
            async with asyncio.timeout_at(end):
                require_usable(server, recipient, cleartext_allowed=self._allow_cleartext_credentials)
                # From here on, replies may repeat what the test sends.
                journal.hidden = credential_forms(server)
                addresses = await self._addresses(journal, server)
                journal.ehlo_name = await self._name_for_ehlo()
                scan = self._fallback_scan(journal, addresses)
                await self._converse(journal, server, addresses, scan, recipient)
        except EXPECTED_ERRORS as error:
            return await _report(error, journal, scan, end)
        return journal.succeeded(find_warnings(journal, datetime.now(UTC)))

    async def _addresses(self, journal: Journal, server: MailServer) -> Sequence[Address]:
        journal.enter(ProbeStage.RESOLVE)
        self._guard.require_port(server.port)
        addresses = await self._lookup.addresses(server.host)  # once: a second look-up could return others
        await self._guard.require(addresses, server.port)
        journal.observe(note=_address_list(addresses))
        return addresses

    async def _name_for_ehlo(self) -> str:
        """Return the name for EHLO, or "" for the address literal."""
        if self._ehlo_name is None and self._machine_name is not None:
            return await self._machine_name.get() or ""
        return self._ehlo_name or ""

    def _fallback_scan(self, journal: Journal, addresses: Sequence[Address]) -> FallbackScan:
        server = journal.server
        inspection = PortInspector(addresses, server.host, journal.ehlo_name or None, self._guard.allows)
        return FallbackScan(inspection, server, self._ports, self._timeouts, self._turns, journal.begin_scan)

    async def _converse(
        self,
        journal: Journal,
        server: MailServer,
        addresses: Sequence[Address],
        scan: FallbackScan,
        recipient: str | None,
    ) -> None:
        # Before connecting: certificates that cannot be loaded fail the test without a connection.
        context = await self._context(server)
        journal.enter(ProbeStage.CONNECT)
        race = HappyEyeballs(addresses, server.port, self._guard.allows)
        try:
            sock = await race.connect()
        finally:
            journal.observe(attempts=tuple(race.attempts))
            scan.use_attempts(race.attempts)
        conversation = Conversation(journal, server, context, self._oauth2, self._request_id())
        try:
            await conversation.begin(
                lambda tls: Session.open(sock, host=server.host, context=tls, ehlo_name=journal.ehlo_name or None),
                scan.while_waiting,
            )
            await conversation.finish(recipient)
        finally:
            conversation.close()

    async def _context(self, server: MailServer) -> ssl.SSLContext | None:
        if server.security is ConnectionSecurity.NONE:
            return None
        return await self._trust.context(server.trust)


async def _report(error: Exception, journal: Journal, scan: FallbackScan | None, end: float) -> ProbeReport:
    """Return the report for *error*, improved by the fallback scan if time is left before *end*."""
    if isinstance(error, StageFailed) and error.stage:
        journal.enter(error.stage)
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


def _address_list(addresses: Sequence[Address]) -> str:
    named = ", ".join(map(str, addresses[:MAX_ADDRESSES_SHOWN]))
    more = len(addresses) - MAX_ADDRESSES_SHOWN
    return f"{named} and {more} more" if more > 0 else named
