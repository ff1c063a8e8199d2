"""The connection test: connect, secure, log in, send one mail, within one deadline, and say how far it got.

aiosmtplib reads and writes; the order, the single login attempt, the deadline and the checks are ours. Its own
one-call form bounds each reply and not the whole, tries every login mechanism, and treats STARTTLS as an offer.
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

from mailsettings.domain.findings import failure
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer
from mailsettings.domain.probe import FailureCode, ProbeReport, ProbeStage
from mailsettings.domain.secret import MASK
from mailsettings.smtp.cautions import cautions
from mailsettings.smtp.conversation import Conversation
from mailsettings.smtp.current_values import with_current_value
from mailsettings.smtp.egress import EgressPolicy
from mailsettings.smtp.embedding import Address
from mailsettings.smtp.errors import WIRE_ERRORS, Answered, Refused
from mailsettings.smtp.failures import explain, outcome_of
from mailsettings.smtp.fallback_scan import FallbackScan, Waits
from mailsettings.smtp.gate import Gate, NotAllowed
from mailsettings.smtp.inspection import Inspection
from mailsettings.smtp.journal import Journal, OnStage
from mailsettings.smtp.oauth2 import OAuth2Tokens, TokenRefused
from mailsettings.smtp.own_name import OwnName
from mailsettings.smtp.ports import KnownPorts
from mailsettings.smtp.racing import NotConnected, Race
from mailsettings.smtp.readiness import require_ready
from mailsettings.smtp.replies import credential_forms
from mailsettings.smtp.resolving import HostLookup, Resolve, resolve_by_system
from mailsettings.smtp.session import Session
from mailsettings.smtp.tls import TLSTrust

MAX_CONCURRENT_SCANS = 16
"""Tests that look for another way at the same time; a connection with TLS takes 50 kB."""
MAX_ADDRESSES_NOTED = 20
ENDS = (Refused, Answered, NotAllowed, NotConnected, TokenRefused, *WIRE_ERRORS)
"""All that is known to end a conversation; anything else is a defect in this program."""

_log = logging.getLogger("mailsettings.smtp")


class SMTPProber:
    """Tests mail servers.

    The name in EHLO is `ehlo_name`, else what `own_name` finds, else the address that is connected from (RFC 5321
    4.1.4). `request_id` names the request that a test belongs to. `on_stage` gets each stage as it ends.
    """

    def __init__(  # noqa: PLR0913  # each is one line in the composition root
        self,
        egress: EgressPolicy,
        *,
        ehlo_name: str | None,
        deadline_seconds: float,
        allow_cleartext_credentials: bool,
        trust: TLSTrust,
        oauth2: OAuth2Tokens,
        resolve: Resolve = resolve_by_system,
        waits: Waits | None = None,
        ports: KnownPorts | None = None,
        own_name: OwnName | None = None,
        request_id: Callable[[], str | None] = lambda: None,
        on_stage: OnStage | None = None,
    ) -> None:
        self._ehlo_name = ehlo_name
        self._own_name = own_name
        self._request_id = request_id
        self._on_stage = on_stage
        self._deadline_seconds = deadline_seconds
        self._allow_cleartext_credentials = allow_cleartext_credentials
        self._trust = trust
        self._oauth2 = oauth2
        self._lookup = HostLookup(resolve)
        self._gate = Gate(egress, self._lookup)
        self._waits = waits or Waits()
        known = ports or KnownPorts()
        allowed = {port: security for port, security in known.usual.items() if egress.allows_port(port)}
        self._ports = replace(known, usual=allowed)
        self._turns = asyncio.Semaphore(MAX_CONCURRENT_SCANS)

    def without_other_ports(self) -> "SMTPProber":
        """Return a prober that shares everything with this one and looks at no port but the server's own."""
        other = copy(self)
        other._ports = replace(self._ports, usual={})  # noqa: SLF001  # of the same class
        return other

    async def probe(self, server: MailServer, recipient: str | None) -> ProbeReport:
        """Test *server*; without a recipient nothing is sent.

        Always returns a report: a defect in this program ends in the failure `internal`, and its traceback in the
        log. Only cancelling raises.
        """
        journal = Journal(server, self._on_stage)
        journal.deadline_seconds = self._deadline_seconds
        try:
            return await self._probe(journal, server, recipient)
        except Exception as error:  # noqa: BLE001  # the server chooses its bytes; no report of a test may be lost
            return _unexpected(error, journal)

    async def _probe(self, journal: Journal, server: MailServer, recipient: str | None) -> ProbeReport:
        end = asyncio.get_running_loop().time() + self._deadline_seconds
        scan: FallbackScan | None = None
        try:
            async with asyncio.timeout_at(end):
                require_ready(server, recipient, cleartext_allowed=self._allow_cleartext_credentials)
                journal.hidden = credential_forms(server)
                addresses = await self._addresses(journal, server)
                journal.ehlo_name = await self._name_for_ehlo()
                scan = self._fallback_scan(journal, addresses)
                await self._converse(journal, server, addresses, scan, recipient)
        except ENDS as error:
            return await _report(error, journal, scan, end)
        return journal.succeeded(cautions(journal, datetime.now(UTC)))

    async def _addresses(self, journal: Journal, server: MailServer) -> Sequence[Address]:
        journal.enter(ProbeStage.RESOLVE)
        self._gate.require_port(server.port)
        addresses = await self._lookup.addresses(server.host)
        await self._gate.require(addresses, server.port)
        journal.observe(note=_named(addresses))
        return addresses

    async def _name_for_ehlo(self) -> str:
        """Return the name to give in EHLO; nothing if it is to be the address."""
        if self._ehlo_name is None and self._own_name is not None:
            return await self._own_name.get() or ""
        return self._ehlo_name or ""

    def _fallback_scan(self, journal: Journal, addresses: Sequence[Address]) -> FallbackScan:
        server = journal.server
        inspection = Inspection(addresses, server.host, journal.ehlo_name or None, self._gate.admits)
        return FallbackScan(inspection, server, self._ports, self._waits, self._turns)

    async def _converse(
        self,
        journal: Journal,
        server: MailServer,
        addresses: Sequence[Address],
        scan: FallbackScan,
        recipient: str | None,
    ) -> None:
        context = await self._context(server)
        journal.enter(ProbeStage.CONNECT)
        race = Race(addresses, server.port, self._gate.admits)
        try:
            sock = await race.winner()
        finally:
            journal.observe(attempts=tuple(race.attempts))
            scan.reach_by(race.attempts)
        conversation = Conversation(journal, server, context, self._oauth2, self._request_id())
        try:
            await conversation.begin(
                lambda tls: Session.open(sock, host=server.host, context=tls, ehlo_name=journal.ehlo_name or None),
                scan.while_waiting,
            )
            await conversation.go_on(recipient)
        finally:
            conversation.close()

    async def _context(self, server: MailServer) -> ssl.SSLContext | None:
        if server.security is ConnectionSecurity.NONE:
            return None
        return await self._trust.context(server.trust)


async def _report(error: Exception, journal: Journal, scan: FallbackScan | None, end: float) -> ProbeReport:
    """Return what *error* means, with what a look at the host adds to it before *end*."""
    if isinstance(error, Refused) and error.stage:
        journal.enter(error.stage)
    found = explain(error, journal)
    if scan is not None:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(end):
                found = await scan.improve(found, journal)
    changes = tuple(with_current_value(change, journal.server) for change in found.changes)
    return journal.failed(replace(found, changes=changes), outcome_of(found))


def _unexpected(error: Exception, journal: Journal) -> ProbeReport:
    """Log *error* with its traceback, without what the test hides, and return the report that it ends in."""
    text = "".join(traceback.format_exception(error))
    for form in journal.hidden:
        text = text.replace(form, MASK)
    _log.error("A connection test failed unexpectedly.\n%s", text)
    return journal.failed(failure(FailureCode.INTERNAL, journal.last_stage))


def _named(addresses: Sequence[Address]) -> str:
    named = ", ".join(map(str, addresses[:MAX_ADDRESSES_NOTED]))
    more = len(addresses) - MAX_ADDRESSES_NOTED
    return f"{named} and {more} more" if more > 0 else named
