"""A second connection, without any credentials, to see what a port speaks and which certificates it shows.

Certificates are not verified here, since those that do not pass are what we came to see; nothing but greetings
is ever said on such a connection.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache

from mailsettings.domain.mail_server import ConnectionSecurity
from mailsettings.domain.observation import TLSSession
from mailsettings.smtp.embedding import Address
from mailsettings.smtp.errors import WIRE_ERRORS, Answered
from mailsettings.smtp.foreign import protocol_of
from mailsettings.smtp.racing import Admits, NotConnected, Race
from mailsettings.smtp.session import Session

LOOK_SECONDS = 2.5
GREETING_SECONDS = 0.7
"""After this we speak first, which is bad manners in SMTP and makes a web server show itself."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a port speaks: SMTP with this security, or another protocol by name, or nothing that we know."""

    security: ConnectionSecurity | None = None
    other: str | None = None

    @property
    def is_known(self) -> bool:
        """Whether we know what it is."""
        return self.security is not None or self.other is not None


class SecondLook:
    """Looks at the ports of one host, whose addresses were checked for one of them; *admits* is for all."""

    def __init__(self, addresses: Sequence[Address], host: str, ehlo_name: str | None, admits: Admits) -> None:
        self._addresses = addresses
        self._host = host
        self._ehlo_name = ehlo_name
        self._admits = admits

    async def in_clear(self, port: int) -> Spoken:
        """What the port says without TLS."""
        try:
            async with asyncio.timeout(LOOK_SECONDS), self._session(port, None) as session:
                return await _greeted(session) or await _offered(session)
        except Answered as answer:
            return Spoken(other=protocol_of(answer.code, answer.text))
        except (NotConnected, *WIRE_ERRORS):
            return Spoken()

    async def in_tls(self, port: int) -> Spoken:
        """What the port says when TLS begins at once; a handshake is enough of an answer."""
        try:
            async with asyncio.timeout(LOOK_SECONDS), self._session(port, _unverified()) as session:
                with suppress(Answered, *WIRE_ERRORS):
                    if other := await _greeted(session):
                        return other
                return Spoken(ConnectionSecurity.IMPLICIT_TLS)
        except (NotConnected, *WIRE_ERRORS):
            return Spoken()

    async def encryption(self, port: int, security: ConnectionSecurity) -> TLSSession | None:
        """What the port shows of its encryption, whether or not it is to be trusted."""
        implicit = security is ConnectionSecurity.IMPLICIT_TLS
        try:
            async with (
                asyncio.timeout(LOOK_SECONDS),
                self._session(port, _unverified() if implicit else None) as session,
            ):
                if not implicit:
                    await session.greeting()
                    await session.ehlo()
                    await session.start_tls(_unverified(), self._host)
                return session.tls
        except (Answered, NotConnected, *WIRE_ERRORS):
            return None

    @asynccontextmanager
    async def _session(self, port: int, context: ssl.SSLContext | None) -> AsyncIterator[Session]:
        sock = await Race(self._addresses, port, self._admits).winner()
        session = await Session.open(sock, host=self._host, context=context, ehlo_name=self._ehlo_name)
        try:
            yield session
        finally:
            session.close()


async def _greeted(session: Session) -> Spoken | None:
    """None if the greeting is SMTP's or is slow to come, in which case we speak first. Raises `Answered`."""
    try:
        async with asyncio.timeout(GREETING_SECONDS):
            greeting = await session.greeting()
    except TimeoutError:
        await session.ehlo()
        return None
    other = protocol_of(greeting.code, greeting.message)
    return Spoken(other=other) if other else None


async def _offered(session: Session) -> Spoken:
    await session.ehlo()
    return Spoken(ConnectionSecurity.STARTTLS if session.server.offers("STARTTLS") else ConnectionSecurity.NONE)


@lru_cache(1)
def _unverified() -> ssl.SSLContext:
    """Takes whatever is shown, of whatever age. For looking only: never leaves this module."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context
