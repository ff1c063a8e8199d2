"""The connection test: connect, secure, log in, send one mail, within one deadline, and say how far it got.

aiosmtplib reads and writes; the order, the single login attempt, the deadline and the checks are ours. Its own
one-call form bounds each reply and not the whole, tries every login mechanism, and treats STARTTLS as an offer.
"""

import asyncio
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from mailsettings.domain.mail_server import ConnectionSecurity, MailServer
from mailsettings.domain.probe import ProbeReport, ProbeStage
from mailsettings.smtp.cautions import cautions
from mailsettings.smtp.conversation import Conversation
from mailsettings.smtp.current_values import with_current_value
from mailsettings.smtp.egress import EgressPolicy
from mailsettings.smtp.embedding import Address
from mailsettings.smtp.errors import WIRE_ERRORS, Answered, Refused
from mailsettings.smtp.failures import explain, outcome_of
from mailsettings.smtp.gate import Gate
from mailsettings.smtp.journal import Journal
from mailsettings.smtp.oauth2 import OAuth2Tokens, TokenRefused
from mailsettings.smtp.racing import NotConnected, Race
from mailsettings.smtp.readiness import require_ready
from mailsettings.smtp.resolving import HostLookup, Resolve, resolve_by_system
from mailsettings.smtp.second_look import SecondLook
from mailsettings.smtp.second_opinion import PATIENCE_SECONDS, USUAL_PORTS, SecondOpinion, UsualPorts
from mailsettings.smtp.session import Session
from mailsettings.smtp.tls import TLSTrust

OPINIONS_AT_ONCE = 16
"""Tests that look around at the same time; each makes up to six connections, and TLS takes 50 kB each."""
ENDS = (Refused, Answered, NotConnected, TokenRefused, *WIRE_ERRORS)
"""All that ends a conversation; anything else is an error of ours."""


class SMTPProber:
    """Tests mail servers. `ehlo_name` None: the address we connect from, as RFC 5321 4.1.4 has it."""

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
        patience_seconds: float = PATIENCE_SECONDS,
        usual_ports: UsualPorts = USUAL_PORTS,
    ) -> None:
        self._ehlo_name = ehlo_name
        self._deadline_seconds = deadline_seconds
        self._allow_cleartext_credentials = allow_cleartext_credentials
        self._trust = trust
        self._oauth2 = oauth2
        self._lookup = HostLookup(resolve)
        self._gate = Gate(egress, self._lookup)
        self._patience_seconds = patience_seconds
        self._usual_ports = {port: security for port, security in usual_ports.items() if egress.allows_port(port)}
        self._turns = asyncio.Semaphore(OPINIONS_AT_ONCE)

    async def probe(self, server: MailServer, recipient: str | None) -> ProbeReport:
        """Test *server*; without a recipient nothing is sent. Never raises for what others do."""
        journal = Journal(server)
        end = asyncio.get_running_loop().time() + self._deadline_seconds
        opinion: SecondOpinion | None = None
        try:
            async with asyncio.timeout_at(end):
                require_ready(server, recipient, cleartext_allowed=self._allow_cleartext_credentials)
                addresses = await self._addresses(journal, server)
                opinion = self._second_opinion(server, addresses)
                await self._converse(journal, server, addresses, opinion, recipient)
        except ENDS as error:
            return await _report(error, journal, opinion, end)
        return journal.succeeded(cautions(journal, datetime.now(UTC)))

    async def _addresses(self, journal: Journal, server: MailServer) -> Sequence[Address]:
        journal.enter(ProbeStage.RESOLVE)
        self._gate.require_port(server.port)
        addresses = await self._lookup.addresses(server.host)
        await self._gate.require(addresses, server.port)
        journal.observe(note=", ".join(map(str, addresses)))
        return addresses

    def _second_opinion(self, server: MailServer, addresses: Sequence[Address]) -> SecondOpinion:
        look = SecondLook(addresses, server.host, self._ehlo_name, self._gate.admits)
        return SecondOpinion(look, server, self._usual_ports, self._patience_seconds, self._turns)

    async def _converse(
        self,
        journal: Journal,
        server: MailServer,
        addresses: Sequence[Address],
        opinion: SecondOpinion,
        recipient: str | None,
    ) -> None:
        context = await self._context(server)
        journal.enter(ProbeStage.CONNECT)
        race = Race(addresses, server.port, self._gate.admits)
        try:
            sock = await race.winner()
        finally:
            journal.observe(attempts=tuple(race.attempts))
        conversation = Conversation(journal, server, context, self._oauth2)
        try:
            await conversation.begin(
                lambda tls: Session.open(sock, host=server.host, context=tls, ehlo_name=self._ehlo_name),
                opinion.impatient,
            )
            await conversation.go_on(recipient)
        finally:
            conversation.close()

    async def _context(self, server: MailServer) -> ssl.SSLContext | None:
        if server.security is ConnectionSecurity.NONE:
            return None
        return await self._trust.context(server.trust)


async def _report(error: Exception, journal: Journal, opinion: SecondOpinion | None, end: float) -> ProbeReport:
    """What *error* means, and what a second look has to add before *end*."""
    if isinstance(error, Refused) and error.stage:
        journal.enter(error.stage)
    found = explain(error, journal)
    if opinion is not None:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(end):
                found = await opinion.on(found, journal)
    changes = tuple(with_current_value(change, journal.server) for change in found.changes)
    return journal.failed(replace(found, changes=changes), outcome_of(found))
