"""A mail server that does everything right up to one step, and there misbehaves in a named way."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from mailsettings.domain.connection_test import ProbeStage
from mailsettings.domain.mail_server import Authentication, ConnectionSecurity, MailServer, NoAuthentication

from support.smtp_server import AUTHORITY, HOST, SENDER, TRUST, listening

NONE, STARTTLS, IMPLICIT = ConnectionSecurity.NONE, ConnectionSecurity.STARTTLS, ConnectionSecurity.IMPLICIT_TLS


class Step(StrEnum):
    """What the server does, in order."""

    HANDSHAKE = "handshake"
    GREETING = "greeting"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    UPGRADE = "handshake after STARTTLS"
    SECOND_EHLO = "EHLO after STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    DOT = "final dot"


class Kind(StrEnum):
    """How it misbehaves."""

    SILENCE = "stays silent"
    DRIP = "sends a byte at a time"
    FLOOD = "never ends its reply"
    LONG_LINE = "sends a line without end"
    CLOSE = "closes"
    RESET = "resets"
    GARBAGE = "sends bytes"
    REFUSE = "refuses"
    LATER = "refuses for now"
    UNAVAILABLE = "says 421"
    WRONG_CODE = "sends a wrong code"


STEPS = {
    NONE: (Step.GREETING, Step.EHLO, Step.AUTH, Step.MAIL, Step.RCPT, Step.DATA, Step.DOT),
    STARTTLS: (
        *(Step.GREETING, Step.EHLO, Step.STARTTLS, Step.UPGRADE, Step.SECOND_EHLO),
        *(Step.AUTH, Step.MAIL, Step.RCPT, Step.DATA, Step.DOT),
    ),
    IMPLICIT: (
        *(Step.HANDSHAKE, Step.GREETING, Step.EHLO),
        *(Step.AUTH, Step.MAIL, Step.RCPT, Step.DATA, Step.DOT),
    ),
}
WITHOUT_A_REPLY = {Step.HANDSHAKE, Step.UPGRADE}
ENVELOPE = (Step.MAIL, Step.RCPT, Step.DATA, Step.DOT)
STAGES = {
    Step.HANDSHAKE: ProbeStage.SECURE,
    Step.GREETING: ProbeStage.GREET,
    Step.EHLO: ProbeStage.GREET,
    Step.STARTTLS: ProbeStage.SECURE,
    Step.UPGRADE: ProbeStage.SECURE,
    Step.SECOND_EHLO: ProbeStage.SECURE,
    Step.AUTH: ProbeStage.AUTHENTICATE,
    Step.MAIL: ProbeStage.SENDER,
    Step.RCPT: ProbeStage.RECIPIENT,
    Step.DATA: ProbeStage.CONTENT,
    Step.DOT: ProbeStage.CONTENT,
}
_GOOD = {
    Step.GREETING: b"220 mail.example.org ESMTP\r\n",
    Step.STARTTLS: b"220 2.0.0 Go ahead\r\n",
    Step.AUTH: b"235 2.7.0 Yes\r\n",
    Step.MAIL: b"250 2.1.0 OK\r\n",
    Step.RCPT: b"250 2.1.5 OK\r\n",
    Step.DATA: b"354 Go ahead\r\n",
    Step.DOT: b"250 2.0.0 Queued\r\n",
}
_REPLIES = {
    Kind.REFUSE: b"554 5.0.0 canary-reply No\r\n",
    Kind.LATER: b"451 4.3.0 Not now\r\n",
    Kind.UNAVAILABLE: b"421 4.3.2 Closing\r\n",
    Kind.GARBAGE: b"\xff\xfe\x00canary-bytes\r\n",
}


@dataclass
class MisbehavingServer:
    """What it saw: credentials and whole messages are counted, connections are those that are open."""

    security: ConnectionSecurity
    port: int = 0
    logins: int = 0
    messages: int = 0
    heard_in_clear: list[bytes] = field(default_factory=list)
    open_connections: int = 0

    def settings(self, login: Authentication | None = None) -> MailServer:
        """The settings to reach it with."""
        return MailServer(HOST, self.port, self.security, SENDER, login or NoAuthentication(), TRUST)

    async def all_closed(self) -> bool:
        """Return whether all connections close within two seconds."""
        for _ in range(200):
            if not self.open_connections:
                return True
            await asyncio.sleep(0.01)
        return False


@asynccontextmanager
async def misbehaving_server(
    security: ConnectionSecurity, step: Step, kind: Kind, *, pipelining: bool = False
) -> AsyncIterator[MisbehavingServer]:
    """Misbehaves at *step*; every connection is treated alike."""
    seen = MisbehavingServer(security)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.open_connections += 1
        try:
            await _Visit(seen, step, kind, pipelining, reader, writer).serve()
        finally:
            seen.open_connections -= 1

    tls = security is IMPLICIT and step is not Step.HANDSHAKE
    async with listening(serve, _context() if tls else None) as seen.port:
        yield seen


class _Visit:
    def __init__(
        self,
        seen: MisbehavingServer,
        step: Step,
        kind: Kind,
        pipelining: bool,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._seen, self._step, self._kind, self._pipelining = seen, step, kind, pipelining
        self._reader, self._writer = reader, writer
        self._encrypted = seen.security is IMPLICIT

    async def serve(self) -> None:
        for step in STEPS[self._seen.security]:
            if step not in {Step.GREETING, Step.HANDSHAKE, Step.UPGRADE}:
                await self._listen(step)
            if step is self._step:
                await self._misbehave(step)
                return
            await self._do(step)
        await self._reader.read()

    async def _listen(self, step: Step) -> None:
        line = await self._reader.readline()
        if not self._encrypted:
            self._seen.heard_in_clear.append(line)
        if not line:
            raise ConnectionResetError
        self._seen.logins += line.startswith(b"AUTH")
        if step is Step.DOT:
            while line not in {b".\r\n", b""}:
                line = await self._reader.readline()
            self._seen.messages += line == b".\r\n"

    async def _do(self, step: Step) -> None:
        if step is Step.UPGRADE:
            await self._writer.start_tls(_context())
            self._encrypted = True
        elif step in {Step.EHLO, Step.SECOND_EHLO}:
            await self._say(self._extensions())
        elif step is not Step.HANDSHAKE:
            await self._say(_GOOD[step])

    def _extensions(self) -> bytes:
        starttls = b"250-STARTTLS\r\n" if self._seen.security is STARTTLS and not self._encrypted else b""
        pipelining = b"250-PIPELINING\r\n" if self._pipelining else b""
        return b"250-mail.example.org\r\n" + starttls + pipelining + b"250 AUTH PLAIN\r\n"

    async def _say(self, words: bytes) -> None:
        self._writer.write(words)
        await self._writer.drain()

    async def _misbehave(self, step: Step) -> None:
        match self._kind:
            case Kind.SILENCE:
                await self._reader.read()
            case Kind.DRIP:
                while not self._reader.at_eof():
                    await self._say(b"2")
                    await asyncio.sleep(0.1)
            case Kind.FLOOD:
                while True:
                    await self._say(b"250-more\r\n" * 100)
            case Kind.LONG_LINE:
                await self._say(b"250 " + b"x" * 100_000)
                await self._reader.read()
            case Kind.CLOSE:
                return
            case Kind.RESET:
                sock: socket.socket = self._writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self._writer.transport.abort()
            case Kind.WRONG_CODE:
                await self._repeat(b"250 OK\r\n" if step in {Step.DATA, Step.STARTTLS} else b"354 Go\r\n")
            case _:
                await self._repeat(_REPLIES[self._kind])

    async def _repeat(self, reply: bytes) -> None:
        """The same answer to everything from here on, as HELO may follow EHLO."""
        await self._say(reply)
        while await self._reader.readline():
            await self._say(reply)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(HOST).configure_cert(context)
    return context
