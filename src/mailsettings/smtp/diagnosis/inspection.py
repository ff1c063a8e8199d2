"""Further connections to a host, without credentials: what a port speaks, and which certificates it presents.

Each connection waits for the server's greeting; only a caller that knows that no greeting is to come lets it
speak before (`speak_after`). Certificates are not verified here, since those that fail are of interest.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from mailsettings.domain.connection_test import FailureCode
from mailsettings.domain.mail_server import ConnectionSecurity
from mailsettings.domain.observation import AddressAttempt, TLSSession
from mailsettings.network.connect import REFUSED, HappyEyeballs, IsAllowed, NotConnected, interleave_families
from mailsettings.network.policy import Address
from mailsettings.network.threads import DaemonThreads
from mailsettings.smtp.diagnosis.handshake import Handshake, diagnose_dhe, requires_client_certificate
from mailsettings.smtp.diagnosis.protocols import identify_protocol
from mailsettings.smtp.errors import WIRE_ERRORS, ReplyError
from mailsettings.smtp.session import Session
from mailsettings.smtp.tls import without_dhe

T = TypeVar("T")
MAX_CONNECTIONS = 4
"""In one test, beyond the connection that the settings ask for. fail2ban bans by default at five log lines."""
INSPECTION_TIMEOUT_SECONDS = 2.5
"""How long one look takes at most, without the time before it speaks."""


@dataclass(frozen=True, slots=True)
class PortProtocol:
    """What a port speaks: SMTP with this security, or another protocol by name, or nothing that is known."""

    security: ConnectionSecurity | None = None
    other: str | None = None

    @property
    def is_known(self) -> bool:
        """Return whether the port has shown what it speaks."""
        return self.security is not None or self.other is not None


class PortInspector:
    """Looks at ports of *host*, one connection at a time, `MAX_CONNECTIONS` in all.

    All go to one of its checked *addresses*: the one that answered, see `use_attempts`.
    """

    def __init__(
        self, addresses: Sequence[Address], host: str, ehlo_name: str | None, is_allowed: IsAllowed
    ) -> None:
        self._addresses = list(interleave_families(addresses))
        self._host = host
        self._ehlo_name = ehlo_name
        self._is_allowed = is_allowed
        self._left = MAX_CONNECTIONS

    def use_attempts(self, attempts: Sequence[AddressAttempt]) -> None:
        """Look at the address that took the connection; else at one that refused it, since that is there."""
        best = sorted(attempts, key=lambda attempt: (not attempt.connected, attempt.problem != REFUSED))
        self._addresses.sort(key=lambda address: str(address) != best[0].address if best else False)

    async def in_clear(
        self, port: int, *, wait: float = INSPECTION_TIMEOUT_SECONDS, speak_after: float | None = None
    ) -> PortProtocol:
        """Return what the port says without TLS, *wait* seconds after it may speak or is spoken to."""
        try:
            async with asyncio.timeout(wait + (speak_after or 0)):
                async with self._session(port, None) as session:
                    return await _protocol_in_greeting(session, speak_after) or await _security_after_ehlo(session)
        except ReplyError as answer:
            return PortProtocol(other=identify_protocol(answer.code, answer.text))
        except (NotConnected, *WIRE_ERRORS):
            return PortProtocol()

    async def in_tls(
        self, port: int, *, wait: float = INSPECTION_TIMEOUT_SECONDS, speak_after: float | None = None
    ) -> PortProtocol:
        """Return what the port says when TLS begins at once; a handshake is enough of an answer."""
        try:
            async with asyncio.timeout(wait + (speak_after or 0)):
                async with self._session(port, _unverified_context()) as session:
                    with suppress(ReplyError, *WIRE_ERRORS):
                        if other := await _protocol_in_greeting(session, speak_after):
                            return other
                    return PortProtocol(ConnectionSecurity.IMPLICIT_TLS)
        except (NotConnected, *WIRE_ERRORS):
            return PortProtocol()

    async def encryption(self, port: int, security: ConnectionSecurity) -> TLSSession | None:
        """Return what the port shows of its encryption, whether or not it is to be trusted."""
        implicit = security is ConnectionSecurity.IMPLICIT_TLS
        try:
            async with asyncio.timeout(2 * INSPECTION_TIMEOUT_SECONDS):
                async with self._session(port, _unverified_context() if implicit else None) as session:
                    if not implicit:
                        await session.greeting()
                        await session.ehlo()
                        await session.start_tls(_unverified_context(), self._host)
                    return session.tls
        except (ReplyError, NotConnected, *WIRE_ERRORS):
            return None

    async def dhe_trouble(self, port: int, security: ConnectionSecurity) -> str | None:
        """Return what `dhe.diagnose_dhe` finds, None also if it takes too long."""
        return await self._in_a_thread(port, security, diagnose_dhe)

    async def demands_certificate(self, port: int, security: ConnectionSecurity) -> bool:
        """Return what `client_certificates.requires_client_certificate` finds, False also if it takes too long."""
        return bool(await self._in_a_thread(port, security, requires_client_certificate))

    async def _in_a_thread(
        self, port: int, security: ConnectionSecurity, look: Callable[[Handshake], T]
    ) -> T | None:
        address = self._addresses[0]
        if not self._left or not await self._is_allowed(address, port):
            return None
        self._left -= 1
        implicit = security is ConnectionSecurity.IMPLICIT_TLS
        threads = DaemonThreads(1, "handshake")
        with suppress(TimeoutError):
            async with asyncio.timeout(INSPECTION_TIMEOUT_SECONDS):
                return await threads.run(
                    lambda: look(Handshake(address, port, implicit, INSPECTION_TIMEOUT_SECONDS))
                )
        return None

    @asynccontextmanager
    async def _session(self, port: int, context: ssl.SSLContext | None) -> AsyncIterator[Session]:
        if not self._left:
            raise NotConnected((), FailureCode.CONNECTION_REFUSED)
        self._left -= 1
        sock = await HappyEyeballs(
            self._addresses[:1], port, self._is_allowed, INSPECTION_TIMEOUT_SECONDS
        ).connect()
        session = await Session.open(sock, host=self._host, context=context, ehlo_name=self._ehlo_name)
        try:
            yield session
        finally:
            session.close()


async def _protocol_in_greeting(session: Session, speak_after: float | None) -> PortProtocol | None:
    """Wait for the greeting and return what it shows beyond SMTP. Raises `Answered`.

    EHLO goes out before a greeting only after *speak_after* seconds; it makes a web server show itself.
    """
    try:
        async with asyncio.timeout(speak_after):
            greeting = await session.greeting()
    except TimeoutError:
        if speak_after is None:
            raise
        await session.ehlo()
        return None
    other = identify_protocol(greeting.code, greeting.message)
    return PortProtocol(other=other) if other else None


async def _security_after_ehlo(session: Session) -> PortProtocol:
    await session.ehlo()
    return PortProtocol(
        ConnectionSecurity.STARTTLS if session.server.offers("STARTTLS") else ConnectionSecurity.NONE
    )


@lru_cache(1)
def _unverified_context() -> ssl.SSLContext:
    """Accept whatever is presented, of whatever age. For looking only: never leaves this module."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers(without_dhe("DEFAULT:@SECLEVEL=0"))
    return context
