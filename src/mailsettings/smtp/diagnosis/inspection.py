"""Inspection of a port without credentials: which protocol and which encryption it speaks."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

from mailsettings.domain.connection_test import FailureCode
from mailsettings.domain.mail_server import ConnectionSecurity
from mailsettings.domain.observation import AddressAttempt, TLSSession
from mailsettings.network.connect import REFUSED, HappyEyeballs, IsAllowed, NotConnected, interleave_families
from mailsettings.network.policy import Address
from mailsettings.network.threads import DaemonThreads
from mailsettings.smtp.diagnosis.handshake import Handshake, diagnose_dhe, requires_client_certificate
from mailsettings.smtp.errors import WIRE_ERRORS, ReplyError
from mailsettings.smtp.session import Session
from mailsettings.smtp.tls import without_dhe

IMPLICIT_TLS_PORTS = frozenset({465, 2465})
"""The client speaks first, with its ClientHello (RFC 8314 7.3)."""
GREETING_PORTS = frozenset({25, 587, 2525, 2587})
"""The server speaks first (RFC 5321 3.1, RFC 6409 3.1); filters reject clients that do not wait."""
# Best first, each with the connection security that the port is registered or known for.
USUAL_PORTS: Mapping[int, ConnectionSecurity] = {
    465: ConnectionSecurity.IMPLICIT_TLS,  # RFC 8314 7.3
    587: ConnectionSecurity.STARTTLS,  # RFC 6409 3.1
    25: ConnectionSecurity.STARTTLS,
    2525: ConnectionSecurity.STARTTLS,
}


@dataclass(frozen=True, slots=True)
class KnownPorts:
    """Ports by the side that speaks first, and the `usual` ports of a host, best first."""

    implicit_tls: frozenset[int] = IMPLICIT_TLS_PORTS
    greeting: frozenset[int] = GREETING_PORTS
    usual: Mapping[int, ConnectionSecurity] = field(default_factory=lambda: USUAL_PORTS)

    def are_settled(self, port: int) -> bool:
        """Return whether it is known which side speaks first on *port*."""
        return port in self.implicit_tls or port in self.greeting


_FIRST_WORDS = (
    (re.compile(r"SSH-\d"), "SSH"),  # RFC 4253 4.2
    (re.compile(r"HTTP/\d|<!DOCTYPE|<html", re.IGNORECASE), "HTTP"),  # RFC 9112 4
    (re.compile(r"\+OK|-ERR"), "POP3"),  # RFC 1939 3
    (re.compile(r"\* (OK|PREAUTH|BYE)\b"), "IMAP"),  # RFC 3501 7.1
    (re.compile(r"20[01][ -].*\b(NNTP|news)", re.IGNORECASE), "NNTP"),  # RFC 3977 5.1
    (re.compile(r"220[ -](?!.*SMTP).*\bL?FTP", re.IGNORECASE), "FTP"),  # RFC 959 5.4 has the same 220
    (re.compile(r"220[ -](?!.*SMTP).*\bLMTP", re.IGNORECASE), "LMTP"),  # RFC 2033 4.1
    (re.compile(r"[\x15\x16]\x03[\x00-\x04]"), "TLS"),  # RFC 8446 5.1: an alert or a handshake record
)
_MALFORMED = "Malformed SMTP response line: "


def identify_protocol(code: int, text: str) -> str | None:
    """Return the protocol of a server by its first words; None if it may be SMTP, or is unknown.

    For malformed replies *code* is -1, and aiosmtplib's prefix comes before the server's words.
    """
    said = text.removeprefix(_MALFORMED) if code < 0 else f"{code} {text}"
    return next((name for words, name in _FIRST_WORDS if words.match(said)), None)


T = TypeVar("T")
MAX_CONNECTIONS = 4
"""Per test, in addition to the first connection. fail2ban's default is to ban at five log lines (`maxretry`)."""
INSPECTION_TIMEOUT_SECONDS = 2.5
"""For one connection, without the time before it sends EHLO."""


@dataclass(frozen=True, slots=True)
class PortProtocol:
    """The protocol of a port: SMTP with this security, another protocol by name, or unknown."""

    security: ConnectionSecurity | None = None
    other: str | None = None

    @property
    def is_known(self) -> bool:
        """Whether the protocol is known."""
        return self.security is not None or self.other is not None


@dataclass(frozen=True, slots=True)
class ScanTimeouts:
    """The waiting times of a fallback scan, in seconds.

    `silence`: until a silent port is inspected in the other mode. `implicit_tls`: the same for ports where TLS
    comes first. `grace`: what the first connection still has once the scan has a result, so that the report does
    not call the right port of a slow server wrong. `before_speaking` and `reply`: until EHLO, and for a reply, on
    a port that has been silent for `silence`; other ports have the rest of the deadline.
    """

    implicit_tls: float = 1.0
    silence: float = 8.0
    grace: float = 1.5
    before_speaking: float = 0.7
    reply: float = 1.0


class PortInspector:
    """Inspects ports of *host*, one connection at a time, `MAX_CONNECTIONS` in all.

    All connections go to one of its checked *addresses*: the address that answered, see `use_attempts`.
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
        """Choose the address that accepted the connection, else an address that refused it, as its host is up."""
        best = sorted(attempts, key=lambda attempt: (not attempt.connected, attempt.problem != REFUSED))
        self._addresses.sort(key=lambda address: str(address) != best[0].address if best else False)

    async def inspect_unencrypted(
        self, port: int, *, wait: float = INSPECTION_TIMEOUT_SECONDS, speak_after: float | None = None
    ) -> PortProtocol:
        """Return the protocol of the port without TLS; *wait* is the time limit after the greeting is due."""
        try:
            async with asyncio.timeout(wait + (speak_after or 0)):
                async with self._session(port, None) as session:
                    return await _protocol_in_greeting(session, speak_after) or await _security_after_ehlo(session)
        except ReplyError as answer:
            return PortProtocol(other=identify_protocol(answer.code, answer.text))
        except (NotConnected, *WIRE_ERRORS):
            return PortProtocol()

    async def inspect_tls(
        self, port: int, *, wait: float = INSPECTION_TIMEOUT_SECONDS, speak_after: float | None = None
    ) -> PortProtocol:
        """Return the protocol of the port with implicit TLS; a completed handshake is enough."""
        try:
            async with asyncio.timeout(wait + (speak_after or 0)):
                async with self._session(port, _unverified_context()) as session:
                    with suppress(ReplyError, *WIRE_ERRORS):
                        if other := await _protocol_in_greeting(session, speak_after):
                            return other
                    return PortProtocol(ConnectionSecurity.IMPLICIT_TLS)
        except (NotConnected, *WIRE_ERRORS):
            return PortProtocol()

    async def tls_session(self, port: int, security: ConnectionSecurity) -> TLSSession | None:
        """Return the TLS session that the port offers, whether or not its certificate is valid."""
        implicit = security is ConnectionSecurity.IMPLICIT_TLS
        try:
            # Twice the time: greeting, EHLO and STARTTLS come before the handshake.
            async with asyncio.timeout(2 * INSPECTION_TIMEOUT_SECONDS):
                async with self._session(port, _unverified_context() if implicit else None) as session:
                    if not implicit:
                        await session.greeting()
                        await session.ehlo()
                        await session.start_tls(_unverified_context(), self._host)
                    return session.tls
        except (ReplyError, NotConnected, *WIRE_ERRORS):
            return None

    async def diagnose_dhe(self, port: int, security: ConnectionSecurity) -> str | None:
        """Return the result of `diagnose_dhe`, or None after the time limit."""
        return await self._in_a_thread(port, security, diagnose_dhe)

    async def requires_client_certificate(self, port: int, security: ConnectionSecurity) -> bool:
        """Return the result of `requires_client_certificate`, or False after the time limit."""
        return bool(await self._in_a_thread(port, security, requires_client_certificate))

    async def _in_a_thread(
        self, port: int, security: ConnectionSecurity, check: Callable[[Handshake], T]
    ) -> T | None:
        address = self._addresses[0]
        if not self._left or not await self._is_allowed(address, port):
            return None
        self._left -= 1
        implicit = security is ConnectionSecurity.IMPLICIT_TLS
        # Own threads: a server that drips bytes could block a shared pool for all tests.
        threads = DaemonThreads(1, "handshake")
        with suppress(TimeoutError):
            async with asyncio.timeout(INSPECTION_TIMEOUT_SECONDS):
                return await threads.run(
                    lambda: check(Handshake(address, port, implicit, INSPECTION_TIMEOUT_SECONDS))
                )
        return None

    @asynccontextmanager
    async def _session(self, port: int, context: ssl.SSLContext | None) -> AsyncIterator[Session]:
        if not self._left:
            # No connection is left: end like an unreachable port, which every caller handles.
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
    """Wait for the greeting, and return the protocol if it is not SMTP. Raises `ReplyError`.

    After *speak_after* seconds without a greeting it sends EHLO, to which for example a web server replies.
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
    """Return a context that verifies nothing and accepts old TLS versions. For inspection only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    # Level 0 accepts weak keys and old versions: the report must show them, not fail at them.
    context.set_ciphers(without_dhe("DEFAULT:@SECLEVEL=0"))
    return context
