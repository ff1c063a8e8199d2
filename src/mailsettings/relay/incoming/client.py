"""What the relay knows of one client, and the parts of the relay that serve it."""

import ssl
import time
from dataclasses import dataclass, field

from mailsettings.domain.access import Moment
from mailsettings.domain.device import Device, Network, Peer
from mailsettings.domain.listening import ListenerKind, RelayListener
from mailsettings.relay.incoming import refusals
from mailsettings.relay.incoming.connection import Connection
from mailsettings.relay.incoming.limits import Counters, RefusedMails, RelayLimits
from mailsettings.relay.outgoing.pools import Outgoing
from mailsettings.relay.replies import Refused
from mailsettings.relay.services import Services

HELLO_SECONDS = 1.0
"""What a client learns from EHLO may be so old: MAIL asks again, and applies what it finds."""


def moment_of_hello() -> Moment:
    """Return the time of which EHLO may show the state, so that few of them cost a question to the database."""
    return Moment(time.perf_counter() - HELLO_SECONDS)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A listener; `networks` are those that may use it if it is plain.

    Before TLS, only STARTTLS works on a `starttls` listener. On a plain listener STARTTLS is possible, too.
    """

    listener: RelayListener
    networks: tuple[Network, ...] = ()
    tls_context: ssl.SSLContext | None = None
    """In place of the context of the relay, for example to accept old versions of TLS."""

    def admits(self, peer: Peer) -> bool:
        """Return whether *peer* may use this listener."""
        return self.listener.kind is not ListenerKind.PLAIN or any(peer in network for network in self.networks)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayParts:
    """What all submissions share."""

    services: Services
    outgoing: Outgoing
    host_name: str
    limits: RelayLimits = field(default_factory=RelayLimits)
    counters: Counters = field(default_factory=Counters)
    tls_context: ssl.SSLContext | None = None
    refused_mails: RefusedMails = field(default_factory=RefusedMails)


@dataclass(slots=True, eq=False)
class Client:
    """One client: its connection, its name in EHLO or HELO, and the device that it logged in as."""

    relay: RelayParts
    connection: Connection
    endpoint: Endpoint
    peer: Peer
    hello: str = ""
    is_extended: bool = False
    """Whether the client sent EHLO, not HELO."""
    device: Device | None = None
    is_logged_in: bool = False

    @property
    def tls_context(self) -> ssl.SSLContext | None:
        """The context for TLS with this client."""
        return self.endpoint.tls_context or self.relay.tls_context

    @property
    def needs_tls(self) -> bool:
        """Whether the client must send STARTTLS before anything else."""
        return self.endpoint.listener.kind is ListenerKind.STARTTLS and not self.connection.is_secure

    @property
    def may_start_tls(self) -> bool:
        """Whether STARTTLS is possible now."""
        return not self.connection.is_secure and self.tls_context is not None

    @property
    def protocol(self) -> str:
        """The protocol for the trace field (RFC 3848)."""
        if not self.is_extended:
            return "SMTP"
        return f"ESMTP{'S' if self.connection.is_secure else ''}{'A' if self.is_logged_in else ''}"

    def forget(self) -> None:
        """Forget everything that the client said before TLS (RFC 3207 4.2)."""
        self.hello, self.is_extended = "", False
        self.device, self.is_logged_in = None, False

    async def find_trusted(self, moment: Moment) -> Device | None:
        """Return the device that was logged in, or that trusts the network of this client."""
        if not self.is_logged_in:
            self.device = await self.relay.services.trusted_device(self.peer, moment)
        return self.device

    async def current_device(self, moment: Moment) -> Device | None:
        """Return the device as it is now, or None without one. Raises `Disconnected` if a login is void."""
        if self.device is None or not self.is_logged_in:
            return await self.find_trusted(moment)
        self.device = await self.relay.services.current(self.device, moment)
        if self.device is None or not self.device.allows_peer(self.peer):
            raise Disconnected(refusals.LOGIN_ENDED)
        return self.device


class Disconnected(Refused):
    """The relay answers and closes the connection."""
