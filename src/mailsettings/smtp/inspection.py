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

from mailsettings.domain.mail_server import ConnectionSecurity
from mailsettings.domain.observation import AddressAttempt, TLSSession
from mailsettings.domain.probe import FailureCode
from mailsettings.smtp.client_certificates import demands_certificate
from mailsettings.smtp.dhe import dhe_trouble
from mailsettings.smtp.embedding import Address
from mailsettings.smtp.errors import WIRE_ERRORS, Answered
from mailsettings.smtp.foreign import protocol_of
from mailsettings.smtp.handshake import Handshake
from mailsettings.smtp.own_threads import OwnThreads
from mailsettings.smtp.racing import REFUSED, Admits, NotConnected, Race, interleaved
from mailsettings.smtp.session import Session
from mailsettings.smtp.tls import without_dhe

T = TypeVar("T")
MAX_CONNECTIONS = 4
"""In one test, beyond the connection that the settings ask for. fail2ban bans by default at five log lines."""
LOOK_SECONDS = 2.5
"""How long one look takes at most, without the time before it speaks."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a port speaks: SMTP with this security, or another protocol by name, or nothing that is known."""

    security: ConnectionSecurity | None = None
    other: str | None = None

    @property
    def is_known(self) -> bool:
        """Return whether the port has shown what it speaks."""
        return self.security is not None or self.other is not None


class Inspection:
    """Looks at ports of *host*, one connection at a time, `MAX_CONNECTIONS` in all.

    All go to one of its checked *addresses*: the one that answered, see `reach_by`.
    """

    def __init__(self, addresses: Sequence[Address], host: str, ehlo_name: str | None, admits: Admits) -> None:
        self._addresses = list(interleaved(addresses))
        self._host = host
        self._ehlo_name = ehlo_name
        self._admits = admits
        self._left = MAX_CONNECTIONS

    def reach_by(self, attempts: Sequence[AddressAttempt]) -> None:
        """Look at the address that took the connection; else at one that refused it, since that is there."""
        best = sorted(attempts, key=lambda attempt: (not attempt.connected, attempt.problem != REFUSED))
        self._addresses.sort(key=lambda address: str(address) != best[0].address if best else False)

    async def in_clear(self, port: int, *, wait: float = LOOK_SECONDS, speak_after: float | None = None) -> Spoken:
        """Return what the port says without TLS, *wait* seconds after it may speak or is spoken to."""
        try:
            async with asyncio.timeout(wait + (speak_after or 0)):
                async with self._session(port, None) as session:
                    return await _greeted(session, speak_after) or await _offered(session)
        except Answered as answer:
            return Spoken(other=protocol_of(answer.code, answer.text))
        except (NotConnected, *WIRE_ERRORS):
            return Spoken()

    async def in_tls(self, port: int, *, wait: float = LOOK_SECONDS, speak_after: float | None = None) -> Spoken:
        """Return what the port says when TLS begins at once; a handshake is enough of an answer."""
        try:
            async with asyncio.timeout(wait + (speak_after or 0)):
                async with self._session(port, _unverified()) as session:
                    with suppress(Answered, *WIRE_ERRORS):
                        if other := await _greeted(session, speak_after):
                            return other
                    return Spoken(ConnectionSecurity.IMPLICIT_TLS)
        except (NotConnected, *WIRE_ERRORS):
            return Spoken()

    async def encryption(self, port: int, security: ConnectionSecurity) -> TLSSession | None:
        """Return what the port shows of its encryption, whether or not it is to be trusted."""
        implicit = security is ConnectionSecurity.IMPLICIT_TLS
        try:
            async with asyncio.timeout(2 * LOOK_SECONDS):
                async with self._session(port, _unverified() if implicit else None) as session:
                    if not implicit:
                        await session.greeting()
                        await session.ehlo()
                        await session.start_tls(_unverified(), self._host)
                    return session.tls
        except (Answered, NotConnected, *WIRE_ERRORS):
            return None

    async def dhe_trouble(self, port: int, security: ConnectionSecurity) -> str | None:
        """Return what `dhe.dhe_trouble` finds, None also if it takes too long."""
        return await self._in_a_thread(port, security, dhe_trouble)

    async def demands_certificate(self, port: int, security: ConnectionSecurity) -> bool:
        """Return what `client_certificates.demands_certificate` finds, False also if it takes too long."""
        return bool(await self._in_a_thread(port, security, demands_certificate))

    async def _in_a_thread(
        self, port: int, security: ConnectionSecurity, look: Callable[[Handshake], T]
    ) -> T | None:
        address = self._addresses[0]
        if not self._left or not await self._admits(address, port):
            return None
        self._left -= 1
        implicit = security is ConnectionSecurity.IMPLICIT_TLS
        threads = OwnThreads(1, "handshake")
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                return await threads.run(lambda: look(Handshake(address, port, implicit, LOOK_SECONDS)))
        return None

    @asynccontextmanager
    async def _session(self, port: int, context: ssl.SSLContext | None) -> AsyncIterator[Session]:
        if not self._left:
            raise NotConnected((), FailureCode.CONNECTION_REFUSED)
        self._left -= 1
        sock = await Race(self._addresses[:1], port, self._admits, LOOK_SECONDS).winner()
        session = await Session.open(sock, host=self._host, context=context, ehlo_name=self._ehlo_name)
        try:
            yield session
        finally:
            session.close()


async def _greeted(session: Session, speak_after: float | None) -> Spoken | None:
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
    other = protocol_of(greeting.code, greeting.message)
    return Spoken(other=other) if other else None


async def _offered(session: Session) -> Spoken:
    await session.ehlo()
    return Spoken(ConnectionSecurity.STARTTLS if session.server.offers("STARTTLS") else ConnectionSecurity.NONE)


@lru_cache(1)
def _unverified() -> ssl.SSLContext:
    """Accept whatever is presented, of whatever age. For looking only: never leaves this module."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers(without_dhe("DEFAULT:@SECLEVEL=0"))
    return context
