"""A relay for tests: real listeners and submissions, devices in memory, and a plain way to a real mail server."""

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network

from mailsettings.domain.access import Moment
from mailsettings.domain.device import Device, Network, Peer
from mailsettings.domain.errors import LoginRefused
from mailsettings.domain.listening import ListenAddress, ListenerKind, RelayListener
from mailsettings.domain.mail_server import MailServer, StoredMailServer
from mailsettings.domain.message_log import MessageRecord
from mailsettings.domain.observation import ServerGreeting
from mailsettings.relay.incoming.client import Endpoint, RelayParts
from mailsettings.relay.incoming.limits import Counters, RelayLimits
from mailsettings.relay.incoming.listener import RelayServer
from mailsettings.relay.outgoing.places import Places
from mailsettings.relay.outgoing.pools import MailCommand, Outgoing, Transfer
from mailsettings.relay.replies import Refused
from mailsettings.relay.services import Services

from support.probers import make_connector
from support.smtp_server import AUTHORITY, HOST, Behaviour, RealServer, real_server, server_context
from support.timeouts import GUARD_SECONDS

SECRET = "k7mq2xw9rt4bz8vn3hs6pd5fja"
DEVICE = Device(7, "scanner-3", senders=("scan@example.com",), from_domains=("example.com",))
LOOPBACK = (ip_network("127.0.0.0/8"),)
_WELL_BEHAVED = Behaviour()
_LIMITS = RelayLimits()
_COUNTERS = Counters()
CLIENT_CONTEXT = ssl.create_default_context(cadata=AUTHORITY.cert_pem.bytes().decode())


class WatchedOutgoing(Outgoing):
    """The way to the mail server; `refusal` and `offered` take the place of what it knows, if they are set."""

    def __init__(self, places: int) -> None:
        super().__init__(make_connector(), Places(places))
        self.offered: ServerGreeting | None = None
        self.refusal: Refused | None = None
        self.begun: list[MailCommand] = []
        self.batches: list[tuple[Sequence[str], bool]] = []

    def require_usable(self, server: StoredMailServer) -> None:
        if self.refusal is not None:
            raise self.refusal
        super().require_usable(server)

    def features(self, server: StoredMailServer) -> ServerGreeting | None:
        return self.offered or super().features(server)

    async def begin(
        self, server: StoredMailServer, mail: MailCommand, recipients: Sequence[str], *, data: bool
    ) -> Transfer:
        self.begun.append(mail)
        self.batches.append((recipients, data))
        return await super().begin(server, mail, recipients, data=data)


@dataclass
class Devices:
    """The devices of a test: those that log in with `SECRET`, and those that trust a network."""

    known: dict[str, Device] = field(default_factory=lambda: {DEVICE.name: DEVICE})
    secret: str = SECRET
    server: StoredMailServer | None = None
    allows: bool = True
    records: list[MessageRecord] = field(default_factory=list)
    noted: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None
    """What each service raises, if anything."""

    async def log_in(self, name: str, secret: str, peer: Peer) -> Device:
        self._raise()
        device = self.known.get(name)
        if device is None or secret != self.secret or not device.allows_peer(peer):
            raise LoginRefused
        return device

    async def trusted_device(self, peer: Peer, _moment: Moment) -> Device | None:
        self._raise()
        trusting = (device for device in self.known.values() if device.trusts_network)
        return next((device for device in trusting if device.networks and device.allows_peer(peer)), None)

    async def current(self, device: Device, _moment: Moment) -> Device | None:
        self._raise()
        return self.known.get(device.name)

    async def mail_server(self, device: Device, _moment: Moment) -> StoredMailServer | None:
        self._raise()
        return self.server

    async def admit(self, device: Device) -> bool:
        self._raise()
        return self.allows

    def note(self, record: MessageRecord) -> None:
        self.records.append(record)
        self.noted.set()

    def services(self) -> Services:
        return Services(
            log_in=self.log_in,
            trusted_device=self.trusted_device,
            current=self.current,
            mail_server=self.mail_server,
            admit=self.admit,
            note=self.note,
        )

    def _raise(self) -> None:
        if self.error is not None:
            raise self.error


@dataclass
class RunningRelay:
    """A relay, the mail server behind it, and what both saw."""

    relay: RelayServer
    mail_server: RealServer
    devices: Devices
    outgoing: WatchedOutgoing
    kind: ListenerKind
    port: int

    @property
    def records(self) -> list[MessageRecord]:
        return self.devices.records

    @asynccontextmanager
    async def client(self) -> AsyncIterator["SubmissionClient"]:
        """A connected client that has read the greeting, over TLS where the listener begins with it."""
        context = CLIENT_CONTEXT if self.kind is ListenerKind.TLS else None
        reader, writer = await asyncio.open_connection(HOST, self.port, ssl=context)
        client = SubmissionClient(reader, writer)
        try:
            client.greeting = await client.reply()
            yield client
        finally:
            writer.transport.abort()

    @asynccontextmanager
    async def logged_in(self) -> AsyncIterator["SubmissionClient"]:
        """A client that has logged in as `DEVICE`, with STARTTLS where the listener needs it."""
        async with self.client() as client:
            await client.command("EHLO device.example.com")
            if self.kind is ListenerKind.STARTTLS:
                await client.start_tls()
                await client.command("EHLO device.example.com")
            answer = await client.command(f"AUTH PLAIN {plain(DEVICE.name, self.devices.secret)}")
            assert answer.startswith("235"), answer
            yield client

    async def has_records(self, count: int) -> list[MessageRecord]:
        """Return the records once there are *count* of them."""
        async with asyncio.timeout(GUARD_SECONDS):
            while len(self.records) < count:
                self.devices.noted.clear()
                await self.devices.noted.wait()
        return self.records


class SubmissionClient:
    """A client that sends exactly what it is given."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.greeting = ""

    async def reply(self) -> str:
        """The next reply, its lines with line feeds between; "" at the end of the connection."""
        lines: list[str] = []
        async with asyncio.timeout(GUARD_SECONDS):
            while not lines or lines[-1][3:4] == "-":
                try:
                    line = await self.reader.readline()
                except (ConnectionError, ssl.SSLError):
                    line = b""
                if not line:
                    break
                lines.append(line.decode().rstrip("\r\n"))
        return "\n".join(lines)

    def send(self, data: bytes | str) -> None:
        self.writer.write(data.encode() if isinstance(data, str) else data)

    async def command(self, line: str) -> str:
        self.send(f"{line}\r\n")
        return await self.reply()

    async def start_tls(self) -> None:
        answer = await self.command("STARTTLS")
        assert answer.startswith("220"), answer
        await self.start_tls_now()

    async def start_tls_now(self) -> None:
        """Start TLS, after the reply to STARTTLS."""
        await self.writer.start_tls(CLIENT_CONTEXT, server_hostname=HOST)

    async def envelope(self, *recipients: str, sender: str = "scan@example.com") -> list[str]:
        """The replies to MAIL and to each RCPT."""
        lines = [f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{address}>" for address in recipients)]
        return [await self.command(line) for line in lines]

    async def message(self, content: bytes, *recipients: str, sender: str = "scan@example.com") -> str:
        """Send one message; return the reply to its final dot."""
        for answer in await self.envelope(*(recipients or ("post@example.org",)), sender=sender):
            assert answer.startswith("250"), answer
        answer = await self.command("DATA")
        assert answer.startswith("354"), answer
        self.send(content + b".\r\n")
        return await self.reply()

    async def is_closed(self) -> bool:
        """Whether the relay has closed the connection, after everything that it still sends."""
        async with asyncio.timeout(GUARD_SECONDS):
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await self.reader.read()
        return self.reader.at_eof() or self.reader.exception() is not None


def plain(name: str, secret: str, identity: str = "") -> str:
    """The initial response of AUTH PLAIN."""
    return encoded(f"{identity}\0{name}\0{secret}")


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def stored(server: MailServer) -> StoredMailServer:
    return StoredMailServer(3, 1, server, given_name="outgoing")


@asynccontextmanager
async def running_relay(
    kind: ListenerKind = ListenerKind.PLAIN,
    *,
    behaviour: Behaviour = _WELL_BEHAVED,
    limits: RelayLimits = _LIMITS,
    counters: Counters = _COUNTERS,
    networks: tuple[Network, ...] = LOOPBACK,
    change: Callable[[Device], Device] = lambda device: device,
    server: StoredMailServer | None = None,
    places: int = 3,
) -> AsyncIterator[RunningRelay]:
    """A relay on a free port, in front of a real mail server.

    *change* makes the device of the test; *server* takes the place of the real mail server.
    """
    async with real_server(behaviour) as mail_server:
        devices = Devices({DEVICE.name: change(DEVICE)}, server=server or stored(mail_server.settings()))
        outgoing = WatchedOutgoing(places)
        parts = RelayParts(
            services=devices.services(),
            outgoing=outgoing,
            host_name="relay.example.com",
            limits=limits,
            counters=counters,
            tls_context=server_context(Behaviour()),
        )
        relay = RelayServer(parts)
        await relay.start([Endpoint(RelayListener(kind, ListenAddress(HOST, 0)), networks)])
        try:
            yield RunningRelay(relay, mail_server, devices, outgoing, kind, relay.ports[0])
        finally:
            await relay.close(0)
            await outgoing.close(0)
