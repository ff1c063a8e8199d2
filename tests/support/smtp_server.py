"""Mail servers for tests: a real server with real TLS, and scripted servers that misbehave in a named way."""

import asyncio
import contextlib
import hashlib
import hmac
import ssl
import warnings
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session, auth_mechanism

from mailsettings.domain.certificates import CustomTrust
from mailsettings.domain.mail_server import (
    Authentication,
    ConnectionSecurity,
    MailServer,
    NoAuthentication,
    PasswordAuthentication,
    Sender,
)
from mailsettings.domain.values import Secret

from support.certificates import SelfSigned
from support.timeouts import GUARD_SECONDS

HOST = "127.0.0.1"
USERNAME = "alice"
AUTHORITY = trustme.CA()
AUTHORITY_PEM = AUTHORITY.cert_pem.bytes().decode()
TRUST = CustomTrust(AUTHORITY_PEM)
SENDER = Sender("scans@example.org", "Scan results")


@dataclass
class RealServer:
    """A running server, and what it saw."""

    port: int = 0
    messages: list[bytes] = field(default_factory=list)
    attempts: list[str] = field(default_factory=list)
    connections: int = 0
    greetings: list[str] = field(default_factory=list)
    envelopes: list[tuple[str | None, list[str]]] = field(default_factory=list)

    def settings(
        self,
        security: ConnectionSecurity = ConnectionSecurity.NONE,
        login: Authentication | None = None,
        host: str = HOST,
    ) -> MailServer:
        """The settings to reach it with."""
        login = login or NoAuthentication()
        return MailServer(host, self.port, security, SENDER, login, TRUST)


@dataclass(frozen=True)
class Behaviour:
    """How the real server is set up; replies take the place of its own when they are given."""

    security: ConnectionSecurity = ConnectionSecurity.NONE
    password: str | None = None
    mechanisms: Sequence[str] = ("PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2")
    sender_reply: str | None = None
    recipient_reply: str | None = None
    content_reply: str | None = None
    login_reply: str = "535 5.7.8 Authentication credentials invalid"
    certificate: trustme.LeafCert | SelfSigned | None = None
    oldest_tls: bool = False
    tls_1_2: bool = False
    username: str = USERNAME


class _Handler:
    def __init__(self, seen: RealServer, behaviour: Behaviour) -> None:
        self._seen = seen
        self._behaviour = behaviour

    async def handle_EHLO(
        self, _server: SMTP, session: Session, _envelope: Envelope, name: str, responses: list[str]
    ) -> list[str]:
        session.host_name = name
        self._seen.greetings.append(name)
        return responses

    async def handle_MAIL(self, _server: SMTP, _s: Session, envelope: Envelope, address: str, options: Any) -> str:
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return self._behaviour.sender_reply or "250 2.1.0 Sender OK"

    async def handle_RCPT(
        self, _server: SMTP, _s: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self._behaviour.recipient_reply or "250 2.1.5 Recipient OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        if self._behaviour.content_reply:
            return self._behaviour.content_reply
        assert isinstance(envelope.content, bytes)
        self._seen.messages.append(envelope.content)
        self._seen.envelopes.append((envelope.mail_from, envelope.rcpt_tos))
        return "250 2.0.0 Queued"


class _Server(SMTP):
    """aiosmtpd with the mechanisms it lacks, and a record of every attempt to log in."""

    def __init__(self, seen: RealServer, behaviour: Behaviour, **options: Any) -> None:
        self._seen = seen
        self._behaviour = behaviour
        excluded = {"PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2"} - set(behaviour.mechanisms)
        super().__init__(
            _Handler(seen, behaviour),
            authenticator=self._check,
            auth_exclude_mechanism=excluded,
            auth_require_tls=False,
            hostname="mail.example.org",
            **options,
        )

    def _check(
        self, _server: SMTP, _session: Session, _envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        self._seen.attempts.append(mechanism)
        return self._result(
            data.login == self._behaviour.username.encode()
            and data.password == (self._behaviour.password or "").encode()
        )

    def _result(self, good: bool) -> AuthResult:
        return AuthResult(success=good, handled=False, message=None if good else self._behaviour.login_reply)

    @auth_mechanism("CRAM-MD5")
    async def auth_CRAM_MD5(self, _server: SMTP, _args: list[str]) -> AuthResult:
        self._seen.attempts.append("CRAM-MD5")
        challenge = b"<1@mail.example.org>"
        await self.push(b"334 " + b64encode(challenge))
        answer = b64decode(await self._reader.readline())
        digest = hmac.new((self._behaviour.password or "").encode(), challenge, hashlib.md5).hexdigest()
        return self._result(answer == f"{USERNAME} {digest}".encode())

    @auth_mechanism("XOAUTH2")
    async def auth_XOAUTH2(self, _server: SMTP, args: list[str]) -> AuthResult:
        self._seen.attempts.append("XOAUTH2")
        expected = f"user={USERNAME}\x01auth=Bearer {self._behaviour.password}\x01\x01"
        return self._result(b64decode(args[1]).decode() == expected)


StartServer = Callable[..., AbstractAsyncContextManager[RealServer]]


@asynccontextmanager
async def real_server(behaviour: Behaviour) -> AsyncIterator[RealServer]:
    """A real server on a free port."""
    seen = RealServer()
    context = server_context(behaviour)
    implicit = behaviour.security is ConnectionSecurity.IMPLICIT_TLS
    starttls = context if behaviour.security is ConnectionSecurity.STARTTLS else None
    loop = asyncio.get_running_loop()

    def new_session() -> _Server:
        seen.connections += 1
        return _Server(seen, behaviour, tls_context=starttls, require_starttls=starttls is not None, loop=loop)

    listening = await loop.create_server(
        new_session,
        HOST,
        0,
        ssl=context if implicit else None,
    )
    seen.port = listening.sockets[0].getsockname()[1]
    try:
        yield seen
    finally:
        listening.close()
        # Sessions notice the closed connection on the loop's next turns.
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            if "_handle_client" in repr(task.get_coro()):
                with contextlib.suppress(Exception, asyncio.CancelledError):
                    await asyncio.wait_for(task, GUARD_SECONDS)


def server_context(behaviour: Behaviour) -> ssl.SSLContext:
    """Return the TLS context for *behaviour*."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = behaviour.certificate or AUTHORITY.issue_cert(HOST, "localhost")
    certificate.configure_cert(context)
    if behaviour.tls_1_2:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    if behaviour.oldest_tls:
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # an old version is intended
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class ScriptedServer:
    """A scripted server; `heard` has every line that it received."""

    port: int = 0
    heard: list[bytes] = field(default_factory=list)
    connections: int = 0


@asynccontextmanager
async def scripted_server(script: Script) -> AsyncIterator[ScriptedServer]:
    """Runs *script* for each connection, then closes it."""
    seen = ScriptedServer()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        readline = reader.readline

        async def heard() -> bytes:
            line = await readline()
            seen.heard.append(line)
            return line

        reader.readline = heard  # type: ignore[method-assign]  # so that scripts read and we hear
        await script(reader, writer)

    async with listening(serve) as seen.port:
        yield seen


@asynccontextmanager
async def listening(serve: Script, context: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[int]:
    """The port on which *serve* is run for each connection, which is closed when it ends."""
    tasks: set[asyncio.Task[None]] = set()

    async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError, asyncio.CancelledError):
                await serve(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(visit, HOST, port, limit=2**20, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def says(*replies: bytes, then: Script | None = None) -> Script:
    """Send the first of *replies* as greeting, the others after a line from the client each, then *then*."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number, reply in enumerate(replies):
            if number:
                await reader.readline()
            writer.write(reply + b"\r\n")
            await writer.drain()
        if then is not None:
            await then(reader, writer)

    return script


async def stays_silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Reads what comes and never says a word more."""
    while await reader.readline():
        pass


async def takes_the_message(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Lets DATA be sent, reads it to its last dot, and closes without a word."""
    await reader.readline()
    writer.write(b"354 Go ahead\r\n")
    while await reader.readline() not in {b".\r\n", b""}:
        pass


async def never_stops(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A reply of lines without end."""
    while True:
        writer.write(b"220-more\r\n" * 100)
        await writer.drain()


async def one_byte_at_a_time(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Slow enough for no single read to time out, and never done."""
    while True:
        writer.write(b"2")
        await writer.drain()
        await asyncio.sleep(0.1)


@pytest.fixture
def password_login() -> PasswordAuthentication:
    """The login that a `Behaviour` with the password `canary-password` takes."""
    return PasswordAuthentication(USERNAME, Secret("canary-password"))
