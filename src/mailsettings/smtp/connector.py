"""Reach a mail server: resolve its name, connect, encrypt and log in. Connection tests and the relay share it.

Everything that happens is recorded in a journal, from which `diagnosis` explains an error.
"""

import ssl
from collections.abc import Awaitable, Sequence
from typing import Protocol

from mailsettings.domain.connection_test import ProbeStage
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer
from mailsettings.domain.observation import AddressAttempt
from mailsettings.network.connect import HappyEyeballs, IsAllowed, NotConnected
from mailsettings.network.guard import EgressGuard, HostLookup, NotAllowed, Resolve, resolve_with_system
from mailsettings.network.policy import Address, EgressPolicy
from mailsettings.smtp.conversation import Conversation
from mailsettings.smtp.diagnosis.settings import require_credentials
from mailsettings.smtp.errors import WIRE_ERRORS, ReplyError, StageFailed
from mailsettings.smtp.journal import Journal
from mailsettings.smtp.machine_name import MachineName
from mailsettings.smtp.oauth2 import OAuth2Tokens, TokenRequestFailed
from mailsettings.smtp.redaction import credential_forms
from mailsettings.smtp.session import Session
from mailsettings.smtp.tls import TLSContexts

MAX_ADDRESSES_SHOWN = 20
EXPECTED_ERRORS = (StageFailed, ReplyError, NotAllowed, NotConnected, TokenRequestFailed, *WIRE_ERRORS)
"""The expected errors of a conversation; any other exception is a defect in this program."""


class Follower(Protocol):
    """Follows a connection while it is made: the fallback scan of a test; the relay only waits."""

    def use_attempts(self, attempts: Sequence[AddressAttempt]) -> None:
        """Take note of the attempts to connect."""

    async def while_waiting(self, stage: ProbeStage, work: Awaitable[None]) -> None:
        """Await *work*, which may take long."""


class OnlyWait:
    """Follows a connection by waiting for it."""

    def use_attempts(self, attempts: Sequence[AddressAttempt]) -> None:
        """Do nothing."""

    async def while_waiting(self, stage: ProbeStage, work: Awaitable[None]) -> None:  # noqa: ARG002  # a `Follower`
        """Await *work*."""
        await work


class Connector:
    """Makes logged-in connections.

    In EHLO it sends `ehlo_name`, else the name that `machine_name` finds, else the local address as a literal
    (RFC 5321 4.1.4).
    """

    def __init__(  # noqa: PLR0913  # each is one line in the composition root
        self,
        egress: EgressPolicy,
        *,
        ehlo_name: str | None,
        allow_cleartext_credentials: bool,
        trust: TLSContexts,
        oauth2: OAuth2Tokens,
        resolve: Resolve = resolve_with_system,
        machine_name: MachineName | None = None,
    ) -> None:
        self._egress = egress
        self._ehlo_name = ehlo_name
        self._machine_name = machine_name
        self._allow_cleartext_credentials = allow_cleartext_credentials
        self._trust = trust
        self._oauth2 = oauth2
        self._lookup = HostLookup(resolve)
        self._guard = EgressGuard(egress, self._lookup)

    def allows_port(self, port: int) -> bool:
        """Return whether the policy allows *port*."""
        return self._egress.allows_port(port)

    @property
    def is_allowed(self) -> IsAllowed:
        """The check of each address that is connected to."""
        return self._guard.allows

    async def resolve(self, journal: Journal) -> Sequence[Address]:
        """Check the login and return the checked addresses of the host.

        Raises `EXPECTED_ERRORS`.
        """
        server = journal.server
        require_credentials(server, cleartext_allowed=self._allow_cleartext_credentials)
        # From here on, replies may repeat our credentials.
        journal.hidden = credential_forms(server)
        addresses = await self._addresses(journal, server)
        journal.ehlo_name = await self._name_for_ehlo()
        return addresses

    async def connect(self, journal: Journal, addresses: Sequence[Address], follower: Follower) -> Conversation:
        """Return a conversation after the login, over a connection to one of *addresses*.

        Raises `EXPECTED_ERRORS`, after it closed the connection.
        """
        server = journal.server
        # Before connecting: certificates that cannot be loaded fail without a connection.
        context = await self._context(server)
        journal.enter(ProbeStage.CONNECT)
        race = HappyEyeballs(addresses, server.port, self._guard.allows)
        try:
            sock = await race.connect()
        finally:
            journal.observe(attempts=tuple(race.attempts))
            follower.use_attempts(race.attempts)
        conversation = Conversation(journal, server, context, self._oauth2)
        try:
            await conversation.begin(
                lambda tls: Session.open(sock, host=server.host, context=tls, ehlo_name=journal.ehlo_name or None),
                follower.while_waiting,
            )
            await conversation.log_in()
        except BaseException:
            conversation.close()
            raise
        return conversation

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

    async def _context(self, server: MailServer) -> ssl.SSLContext | None:
        if server.security is ConnectionSecurity.NONE:
            return None
        return await self._trust.context(server.trust)


def _address_list(addresses: Sequence[Address]) -> str:
    named = ", ".join(map(str, addresses[:MAX_ADDRESSES_SHOWN]))
    more = len(addresses) - MAX_ADDRESSES_SHOWN
    return f"{named} and {more} more" if more > 0 else named
