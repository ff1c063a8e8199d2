"""One SMTP session over a connected socket: aiosmtplib reads and writes, what is said when is ours.

Its `SMTP` class joins the TLS handshake and the greeting into one call, after which nobody can tell which of
the two never came; so the protocol class below it is used.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable
from typing import Self, cast

from aiosmtplib import SMTPResponse, SMTPResponseException, SMTPServerDisconnected
from aiosmtplib.esmtp import parse_esmtp_extensions
from aiosmtplib.protocol import SMTPProtocol

from mailsettings.domain.observation import ServerGreeting, TLSSession
from mailsettings.smtp.errors import ReplyError
from mailsettings.smtp.redaction import parse_host_name, parse_keywords
from mailsettings.smtp.tls import read_tls_session

CLOSE_TIMEOUT_SECONDS = 0.5
MAX_EXTENSIONS = 50
READY = 220  # RFC 5321 4.2
COMMAND_UNKNOWN = {500, 502}  # RFC 5321 4.2.2: command not recognised, not implemented


class _Protocol(SMTPProtocol):
    """aiosmtplib's protocol, stricter: no reply before its command, and one code in all lines of a reply."""

    lost_by: Exception | None = None
    last_reply: SMTPResponse | None = None

    async def execute_command(
        self,
        *args: bytes,
        timeout: float | None = None,  # noqa: ASYNC109  # the library's
    ) -> SMTPResponse:
        if self._buffer:
            raise SMTPResponseException(-1, "Reply without a command")
        try:
            return await super().execute_command(*args, timeout=timeout)
        except SMTPServerDisconnected as lost:
            raise lost from (lost.__cause__ or self.lost_by)

    async def read_response(
        self,
        timeout: float | None = None,  # noqa: ASYNC109  # the library's
    ) -> SMTPResponse:
        try:
            self.last_reply = await super().read_response(timeout)
        except SMTPServerDisconnected as lost:
            raise lost from (lost.__cause__ or self.lost_by)
        return self.last_reply

    def connection_lost(self, exc: Exception | None) -> None:
        """Keep *exc*: a TLS alert may come while no reply is awaited."""
        self.lost_by = exc
        super().connection_lost(exc)

    def _read_response_from_buffer(self) -> SMTPResponse | None:
        codes = set()
        *lines, _rest = self._buffer.split(b"\n")  # the network may cut the rest inside its code
        for line in lines:
            codes.add(bytes(line[:3]))
            if line[3:4] != b"-" or len(codes) > 1:
                break
        if len(codes) > 1:
            raise SMTPResponseException(-1, "More than one code in a reply")
        return super()._read_response_from_buffer()


class Session:
    """`greeting` and `ehlo` fill `server`; whatever raises an error ends the session for good."""

    def __init__(self, protocol: SMTPProtocol, sock: socket.socket, ehlo_name: str | None) -> None:
        self._protocol = protocol
        self.ehlo_name = ehlo_name or _address_literal(sock)
        self._transport = _transport_of(protocol)
        self._greeted = False
        self.server = ServerGreeting("")

    @classmethod
    async def open(
        cls, sock: socket.socket, *, host: str, context: ssl.SSLContext | None, ehlo_name: str | None
    ) -> Self:
        """Take *sock* over; with a *context* TLS begins with the first byte. Raises `OSError`."""
        loop = asyncio.get_running_loop()
        protocol = _Protocol(loop)
        # Nobody listens to what is said before TLS. And TLS is not left to create_connection, which under uvloop
        # forgets to close the socket when a handshake fails.
        transport, _ = await loop.create_connection(asyncio.Protocol if context else lambda: protocol, sock=sock)
        try:
            if context is not None:
                await _begin_tls(transport, protocol, context, host)
            return cls(protocol, sock, ehlo_name)
        except BaseException:
            transport.abort()
            raise

    @property
    def tls(self) -> TLSSession | None:
        """How it is encrypted, if it is."""
        ssl_object = self._transport.get_extra_info("ssl_object")
        return read_tls_session(ssl_object) if ssl_object else None

    async def greeting(self) -> SMTPResponse:
        """Wait for the server's first words. Raises `Answered` if they are no welcome."""
        words = await _read(self._protocol.read_response())
        self._greeted = True
        answer = _require_code(words, READY)
        self.server = ServerGreeting(parse_host_name(answer.message))
        return answer

    async def ehlo(self) -> SMTPResponse:
        """Learn what the server can do; a server that knows no EHLO is greeted as of old (RFC 5321 3.2)."""
        name = self.ehlo_name.encode()
        answer = await _read(self._protocol.execute_command(b"EHLO", name))
        if answer.code // 100 == 5:  # noqa: PLR2004  # RFC 5321 4.2.1
            return await self._helo(name, answer)
        _require_code(answer, 2)
        extensions, mechanisms = parse_esmtp_extensions(answer.message)
        size = extensions.get("size", "")
        self.server = ServerGreeting(
            name=parse_host_name(answer.message) or self.server.name,
            extensions=parse_keywords(extensions)[:MAX_EXTENSIONS],
            mechanisms=parse_keywords(mechanisms)[:MAX_EXTENSIONS],
            size_limit=int(size) if size.isascii() and size.isdigit() and len(size) < 16 and int(size) else None,  # noqa: PLR2004  # beyond any size there is
        )
        return answer

    async def _helo(self, name: bytes, refused: SMTPResponse) -> SMTPResponse:
        """Greet as of old. Of two refusals the first counts, unless it only says that EHLO is not known."""
        answer = await _read(self._protocol.execute_command(b"HELO", name))
        if answer.code // 100 != 2 and refused.code not in COMMAND_UNKNOWN:  # noqa: PLR2004  # RFC 5321 4.2.1
            raise ReplyError(refused.code, refused.message)
        return _require_code(answer, 2)

    async def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Encrypt what follows; what was offered in clear is forgotten (RFC 3207 4.2). Raises `Answered`."""
        await _read(self._protocol.start_tls(context, server_hostname=tls_name(host)))
        self._transport = _transport_of(self._protocol)
        self.server = ServerGreeting(self.server.name)

    @property
    def starttls_accepted(self) -> bool:
        """Whether the last reply in clear was the one that lets TLS begin."""
        last = getattr(self._protocol, "last_reply", None)
        return last is not None and last.code == READY

    async def send_expecting(self, *words: bytes, wanted: int) -> SMTPResponse:
        """One command and its reply. Raises `Answered` unless its code, or the first digit, is *wanted*."""
        return _require_code(await _read(self._protocol.execute_command(*words)), wanted)

    async def send(self, *words: bytes) -> SMTPResponse:
        """Send one command and return its reply, whatever it says. Raises `Answered` for what is no reply."""
        return await _read(self._protocol.execute_command(*words))

    def hand_over(self, protocol: asyncio.Protocol) -> asyncio.Transport:
        """Let *protocol* read from here on; nobody else does after this."""
        self._transport.set_protocol(protocol)
        return self._transport

    def close(self) -> None:
        """Close without waiting for an answer; say QUIT only to a server that has greeted.

        Filters punish a client that speaks before the greeting (RFC 5321 4.3.1), and QUIT counts.
        """
        if self._transport.is_closing():
            return
        if self._greeted:
            self._transport.write(b"QUIT\r\n")
        # A TLS connection waits for the other side's farewell when it is closed, for half a minute.
        asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_SECONDS, self._transport.abort)
        self._transport.close()


async def _begin_tls(
    transport: asyncio.Transport, protocol: SMTPProtocol, context: ssl.SSLContext, host: str
) -> None:
    if transport.is_closing():  # to begin TLS now would wait for ever
        raise ConnectionResetError
    protocol.connection_made(transport)
    loop = asyncio.get_running_loop()
    protocol.transport = await loop.start_tls(transport, protocol, context, server_hostname=tls_name(host))


async def _read(words: Awaitable[SMTPResponse]) -> SMTPResponse:
    """Await *words*, with aiosmtplib's errors about a reply as ours."""
    try:
        return await words
    except SMTPResponseException as error:
        raise ReplyError(error.code, error.message) from None


def _require_code(answer: SMTPResponse, wanted: int) -> SMTPResponse:
    if wanted not in {answer.code, answer.code // 100}:
        raise ReplyError(answer.code, answer.message)
    return answer


def tls_name(host: str) -> str:
    """Return *host* as certificates and SNI spell it: without the final dot of an absolute name (RFC 6066 3)."""
    return host.removesuffix(".")


def _transport_of(protocol: SMTPProtocol) -> asyncio.Transport:
    if protocol.transport is None:
        raise SMTPServerDisconnected("Connection lost")
    return cast("asyncio.Transport", protocol.transport)  # uvloop's are not instances of asyncio's


def _address_literal(sock: socket.socket) -> str:
    """The address literal of RFC 5321 4.1.3, for machines without a name that others know."""
    address = str(sock.getsockname()[0]).partition("%")[0]
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"
