"""A mail server that the relay hands messages on to: it keeps what it accepted, and misbehaves as a test says."""

import asyncio
import base64
import socket
import ssl
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

from mailsettings.domain.mail_server import (
    Authentication,
    ConnectionSecurity,
    MailServer,
    NoAuthentication,
    PasswordAuthentication,
    Revision,
    Sender,
    StoredMailServer,
)
from mailsettings.domain.values import Secret

from support.smtp_server import AUTHORITY, HOST, TRUST, listening

SILENCE, CLOSE, RESET = "silence", "close", "reset"
_IDS = count(1)

Reaction = Callable[["Visit", str], str | None]
"""Return the reply to a command (the whole line; "." is the end of a message), or an action; None as usual."""


@dataclass
class Provider:
    """What the server does, and what it saw."""

    react: Reaction = lambda _visit, _line: None
    extensions: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 1000000", "AUTH PLAIN XOAUTH2")
    security: ConnectionSecurity = ConnectionSecurity.NONE
    most: int | None = None
    """The connections that may be logged in at once; another gets 432."""
    pace: float = 0.0
    """The seconds that a message takes."""
    tokens: set[str] | None = None
    """The access tokens that it accepts."""
    limit: int | None = None
    """The bytes of content after which it refuses a message."""
    reads: bool = True
    """Whether it reads content."""
    on_accepted: Callable[[bytes], None] = lambda _content: None
    """Called with each accepted message before the reply."""
    port: int = 0
    connections: int = 0
    logged_in: int = 0
    most_logged_in: int = 0
    most_sending: int = 0
    sending: int = 0
    messages: list[tuple[str, list[str], bytes]] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    packets: list[list[str]] = field(default_factory=list)
    said: Counter[str] = field(default_factory=Counter)
    visits: "list[Visit]" = field(default_factory=list)

    def stored(self, login: Authentication | None = None, **changes: object) -> StoredMailServer:
        """Return the stored mail server that leads here."""
        settings = {
            "security": self.security,
            "sender": Sender("scan@example.org"),
            "authentication": login or NoAuthentication(),
            "trust": TRUST,
        }
        server = MailServer(HOST, self.port, **(settings | changes))  # type: ignore[arg-type]  # by name
        return StoredMailServer(next(_IDS), 1, server, Revision(datetime.now(UTC), "admin"))


def password_login(
    secret: str = "canary-password-5e1d", name: str = "mailer@example.org"
) -> PasswordAuthentication:
    """Return a login with a stored password."""
    return PasswordAuthentication(name, Secret.sealed(lambda: secret, f"label of {secret}"))


@asynccontextmanager
async def running(provider: Provider, port: int = 0) -> AsyncIterator[Provider]:
    """Run *provider* on *port*, by default a free port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Visit(provider, reader, writer).serve()

    tls = provider.security is ConnectionSecurity.IMPLICIT_TLS
    async with listening(serve, _context() if tls else None, port) as provider.port:
        yield provider


class Visit:
    """One connection; `number` counts them from 1, `transactions` its MAIL commands."""

    def __init__(self, provider: Provider, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.provider = provider
        self.transactions = 0
        self.recipients: list[str] = []
        self.sender: str | None = None
        self.logged_in = False
        self._reader, self._writer = reader, writer
        self._buffer = b""
        provider.connections += 1
        self.number = provider.connections
        provider.visits.append(self)

    async def serve(self) -> None:
        try:
            if await self._say(self._reaction("") or "220 mail.example.org ESMTP"):
                while line := await self._line():
                    if not await self._answer(line.decode(errors="replace").rstrip("\r\n")):
                        return
        finally:
            self.provider.logged_in -= self.logged_in

    def drop(self) -> None:
        """Close the connection from the server's side."""
        self._writer.close()

    async def say(self, text: str) -> None:
        """Send *text* although the client did not ask."""
        await self._say(text)

    async def _line(self, *, reads: bool = True) -> bytes:
        if not reads:
            await asyncio.Event().wait()
        while b"\n" not in self._buffer:
            read = await self._reader.read(65536)
            if not read:
                return b""
            self._buffer += read
            self.provider.packets.append(read.decode("latin-1").split("\r\n")[:-1])
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _reaction(self, line: str) -> str | None:
        return self.provider.react(self, line)

    async def _answer(self, line: str) -> bool:
        self.provider.heard.append(line)
        verb = line.split(" ", 1)[0].split(":", 1)[0].upper()
        if verb == "MAIL":
            self.transactions += 1
            self.sender, self.recipients = None, []
        reply = self._reaction(line) or self._usual(verb, line)
        if verb == "STARTTLS" and reply.startswith("220"):
            await self._say(reply)
            await self._writer.start_tls(_context())
            return True
        if verb == "AUTH" and reply.startswith("334"):
            return await self._refuse_token(reply)
        if verb == "DATA" and reply.startswith("354"):
            return await self._say(reply) and await self._message()
        if not await self._say(reply):
            return False
        return verb != "QUIT"

    def _usual(self, verb: str, line: str) -> str:  # noqa: PLR0911  # a table
        match verb:
            case "EHLO":
                tls = ("STARTTLS",) if self.provider.security is ConnectionSecurity.STARTTLS else ()
                lines = ["mail.example.org", *tls, *self.provider.extensions]
                return "\r\n".join([*(f"250-{each}" for each in lines[:-1]), f"250 {lines[-1]}"])
            case "AUTH":
                return self._log_in(line)
            case "MAIL":
                self.sender = line[len("MAIL FROM:<") :].partition(">")[0]
                return "250 2.1.0 OK"
            case "RCPT" if self.sender is None:
                return "503 5.5.1 No sender"
            case "RCPT":
                self.recipients.append(line[len("RCPT TO:<") :].partition(">")[0])
                return "250 2.1.5 OK"
            case "DATA":
                return "354 Go ahead" if self.recipients else "554 5.5.1 No valid recipients"
            case "STARTTLS":
                return "220 2.0.0 Ready"
            case "QUIT":
                return "221 2.0.0 Bye"
            case _:
                return "250 2.0.0 OK"

    async def _refuse_token(self, challenge: str) -> bool:
        self.provider.said["535"] += 1
        return (
            await self._say(challenge) and bool(await self._line()) and await self._say("535 5.7.3 Unsuccessful")
        )

    def _log_in(self, line: str) -> str:
        provider = self.provider
        sent = base64.b64decode(line.rpartition(" ")[2]).decode()
        if provider.tokens is not None and not any(token in sent for token in provider.tokens):
            return "334 eyJzdGF0dXMiOiI0MDEifQ=="
        if provider.most is not None and provider.logged_in >= provider.most:
            provider.said["432"] += 1
            return "432 4.3.2 Concurrent connections limit exceeded"
        self.logged_in = True
        provider.logged_in += 1
        provider.most_logged_in = max(provider.most_logged_in, provider.logged_in)
        return "235 2.7.0 Yes"

    async def _message(self) -> bool:
        provider, content = self.provider, []
        provider.sending += 1
        provider.most_sending = max(provider.most_sending, provider.sending)
        try:
            while (line := await self._line(reads=provider.reads)) != b".\r":
                if not line:
                    return False
                content.append(line + b"\n")
                if provider.limit is not None and len(content) * len(line) > provider.limit:
                    return await self._say("552 5.3.4 Too large") and False
            await asyncio.sleep(provider.pace)
            provider.heard.append(".")
            reply = self._reaction(".") or f"250 2.0.0 Ok: queued as {len(provider.messages) + 1:04}"
            if reply.startswith("250"):
                provider.on_accepted(b"".join(content))
                provider.messages.append((self.sender or "", self.recipients, b"".join(content)))
            return await self._say(reply)
        finally:
            provider.sending -= 1

    async def _say(self, reply: str) -> bool:
        if reply == SILENCE:
            await self._reader.read()
            return False
        if reply == RESET:
            sock: socket.socket = self._writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._writer.transport.abort()
        if reply in {CLOSE, RESET}:
            return False
        self._writer.write(reply.encode() + b"\r\n")
        await self._writer.drain()
        return True


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(HOST).configure_cert(context)
    return context
