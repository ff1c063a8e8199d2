"""The connection test: connect, secure, log in, send one mail, within one deadline, and say how far it got.

aiosmtplib speaks the protocol; the order, the single login attempt, the deadline and the checks are ours. Its
own one-call form bounds each reply and not the whole, tries every login mechanism, and treats STARTTLS as an
offer.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from mailsettings.domain.mail_server import MailServer
from mailsettings.domain.probe import FailureCode, ProbeReport, ProbeStage
from mailsettings.domain.setting import Setting
from mailsettings.smtp.conversation import Conversation
from mailsettings.smtp.egress import NETWORKS_SETTING, PORTS_SETTING, Address, EgressPolicy
from mailsettings.smtp.failures import FOREIGN, Refused, explain, outcome_of
from mailsettings.smtp.journal import Journal
from mailsettings.smtp.oauth2 import OAuth2Tokens
from mailsettings.smtp.readiness import require_ready
from mailsettings.smtp.resolving import HostLookup, Resolve, connect, resolve_by_system
from mailsettings.smtp.tls import TLSTrust


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
    ) -> None:
        self._egress = egress
        self._ehlo_name = ehlo_name
        self._deadline_seconds = deadline_seconds
        self._allow_cleartext_credentials = allow_cleartext_credentials
        self._trust = trust
        self._oauth2 = oauth2
        self._lookup = HostLookup(resolve)

    async def close(self) -> None:
        """Let the threads end."""
        self._lookup.close()
        self._oauth2.close()

    async def probe(self, server: MailServer, recipient: str | None) -> ProbeReport:
        """Test *server*; without a recipient nothing is sent. Never raises for what others do."""
        journal = Journal()
        conversation: Conversation | None = None
        try:
            async with asyncio.timeout(self._deadline_seconds):
                require_ready(server, recipient, cleartext_allowed=self._allow_cleartext_credentials)
                conversation = await self._open(journal, server)
                await conversation.hold(recipient)
        except (Refused, *FOREIGN) as error:
            if isinstance(error, Refused) and error.stage:
                journal.enter(error.stage)
            failure = explain(error, journal.stage, conversation.hidden if conversation else ())
            return journal.failed(failure, outcome_of(failure))
        finally:
            if conversation is not None:
                conversation.close()
        return journal.succeeded()

    async def _open(self, journal: Journal, server: MailServer) -> Conversation:
        """A conversation over a socket that is connected to a checked address."""
        deadline = asyncio.get_running_loop().time() + self._deadline_seconds
        journal.enter(ProbeStage.RESOLVE)
        self._require_port(server.port)
        addresses = await self._lookup.addresses(server.host)
        self._require_allowed(addresses)
        journal.observe(note=", ".join(map(str, addresses)))
        journal.enter(ProbeStage.CONNECT)
        context = await asyncio.to_thread(self._trust.context, server.trust)
        sock = await connect(addresses, server.port, deadline)
        with suppress(OSError):
            journal.observe(note=f"{sock.getpeername()[0]} port {server.port}")
        return Conversation(
            journal, server, sock=sock, context=context, oauth2=self._oauth2, ehlo_name=self._ehlo_name
        )

    def _require_port(self, port: int) -> None:
        if not self._egress.allows_port(port):
            advice = f"Use a port for mail, or let the one who runs this service add it to {PORTS_SETTING}."
            explanation = f"connection tests may not use port {port}."
            raise Refused(FailureCode.PORT_NOT_ALLOWED, explanation, advice, Setting.PORT)

    def _require_allowed(self, addresses: Sequence[Address]) -> None:
        """One closed address closes the host: a name may not carry us past the policy."""
        if not all(self._egress.allows(address) for address in addresses):
            advice = (
                f"Use another host, or let the one who runs this service add its network to {NETWORKS_SETTING}."
            )
            explanation = "the host has an address that connection tests may not reach."
            raise Refused(FailureCode.ADDRESS_NOT_ALLOWED, explanation, advice, Setting.HOST)
