"""One SMTP session over a connected socket, on aiosmtplib's protocol class.

aiosmtplib's `SMTP` class is not used: it makes the TLS handshake and reads the greeting in one call, so that a
timeout would not show which of the two is missing.
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
    """aiosmtplib's protocol, stricter: no reply before its command, and one code in all lines of a reply.

    RFC 5321 4.2.1 requires the same code in each line. A reply that arrives before its command may be injected.
    """

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
        """Keep *exc*: a TLS alert may arrive between two replies."""
        self.lost_by = exc
        super().connection_lost(exc)

    def _read_response_from_buffer(self) -> SMTPResponse | None:
        codes = set()
        *lines, _rest = self._buffer.split(b"\n")  # the last line may still be incomplete
        for line in lines:
            codes.add(bytes(line[:3]))
            if line[3:4] != b"-" or len(codes) > 1:
                break
        if len(codes) > 1:
            raise SMTPResponseException(-1, "More than one code in a reply")
        return super()._read_response_from_buffer()


class Session:
    """One session; `greeting` and `ehlo` fill `server`. An error ends the session: it cannot be used again."""

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
        """Open a session on *sock*; with a *context* it starts with implicit TLS. Raises `OSError`."""
        loop = asyncio.get_running_loop()
        protocol = _Protocol(loop)
        # Bytes before TLS are discarded. create_connection could start TLS itself, but under uvloop it leaks the
        # socket when a handshake fails.
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
        """The TLS session, or None without TLS."""
        ssl_object = self._transport.get_extra_info("ssl_object")
        return read_tls_session(ssl_object) if ssl_object else None

    async def greeting(self) -> SMTPResponse:
        """Return the server's greeting. Raises `ReplyError` unless its code is 220."""
        words = await _read(self._protocol.read_response())
        self._greeted = True
        answer = _require_code(words, READY)
        self.server = ServerGreeting(parse_host_name(answer.message))
        return answer

    async def ehlo(self) -> SMTPResponse:
        """Send EHLO and read the server's extensions; fall back to HELO if it is refused (RFC 5321 3.2)."""
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
        """Send HELO. If it is refused too, raise the refusal of EHLO, unless EHLO was merely unknown."""
        answer = await _read(self._protocol.execute_command(b"HELO", name))
        if answer.code // 100 != 2 and refused.code not in COMMAND_UNKNOWN:  # noqa: PLR2004  # RFC 5321 4.2.1
            raise ReplyError(refused.code, refused.message)
        return _require_code(answer, 2)

    async def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Start TLS, and forget what the server offered without it (RFC 3207 4.2). Raises `ReplyError`."""
        await _read(self._protocol.start_tls(context, server_hostname=tls_name(host)))
        self._transport = _transport_of(self._protocol)
        self.server = ServerGreeting(self.server.name)

    @property
    def starttls_accepted(self) -> bool:
        """Whether the server accepted STARTTLS."""
        last = getattr(self._protocol, "last_reply", None)
        return last is not None and last.code == READY

    async def send_expecting(self, *words: bytes, wanted: int) -> SMTPResponse:
        """Send a command, return its reply. Raises `ReplyError` unless the code or its first digit is *wanted*."""
        return _require_code(await _read(self._protocol.execute_command(*words)), wanted)

    async def send(self, *words: bytes) -> SMTPResponse:
        """Send a command and return its reply, whatever its code. Raises `ReplyError` if malformed."""
        return await _read(self._protocol.execute_command(*words))

    def hand_over(self, protocol: asyncio.Protocol) -> asyncio.Transport:
        """Pass the transport to *protocol*; this session reads nothing afterwards."""
        self._transport.set_protocol(protocol)
        return self._transport

    def abort(self) -> None:
        """Close at once, and drop the unsent data."""
        self._transport.abort()

    def close(self) -> None:
        """Close without waiting for a reply; send QUIT only after the greeting.

        RFC 5321 4.3.1 forbids any command before the greeting, and filters reject clients that send one.
        """
        if self._transport.is_closing():
            return
        if self._greeted:
            self._transport.write(b"QUIT\r\n")
        # A closing TLS transport waits up to 30 seconds for the peer's close_notify.
        asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_SECONDS, self._transport.abort)
        self._transport.close()


async def _begin_tls(
    transport: asyncio.Transport, protocol: SMTPProtocol, context: ssl.SSLContext, host: str
) -> None:
    if transport.is_closing():  # start_tls would wait forever
        raise ConnectionResetError
    protocol.connection_made(transport)
    loop = asyncio.get_running_loop()
    protocol.transport = await loop.start_tls(transport, protocol, context, server_hostname=tls_name(host))


async def _read(words: Awaitable[SMTPResponse]) -> SMTPResponse:
    """Await *words*, and turn aiosmtplib's reply errors into `ReplyError`."""
    try:
        return await words
    except SMTPResponseException as error:
        raise ReplyError(error.code, error.message) from None


def _require_code(answer: SMTPResponse, wanted: int) -> SMTPResponse:
    if wanted not in {answer.code, answer.code // 100}:
        raise ReplyError(answer.code, answer.message)
    return answer


def tls_name(host: str) -> str:
    """Return *host* without a final dot, as in SNI (RFC 6066 3) and certificates."""
    return host.removesuffix(".")


def _transport_of(protocol: SMTPProtocol) -> asyncio.Transport:
    if protocol.transport is None:
        raise SMTPServerDisconnected("Connection lost")
    return cast("asyncio.Transport", protocol.transport)  # uvloop's are not instances of asyncio's


def _address_literal(sock: socket.socket) -> str:
    """Return the local address as a literal (RFC 5321 4.1.3), for machines without a public name."""
    address = str(sock.getsockname()[0]).partition("%")[0]
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"
