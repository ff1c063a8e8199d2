"""One device's connection: lines and content in, replies out, each with bounded memory and a time limit.

It does not know SMTP. Reading pauses while the buffer is full or the device does not read its replies.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import TypeVar

from mailsettings.domain.device import Peer, plain_peer
from mailsettings.relay.incoming.time_limit import TimeLimit, TooSlow
from mailsettings.relay.incoming.tls_channel import TLSChannel

__all__ = ["ClientGone", "Connection", "LineTooLong", "TooSlow"]

T = TypeVar("T")
MAX_BUFFERED_BYTES = 64 * 1024
"""Reading pauses above it; the event loop may add one read of 256 KiB."""
CLOSE_TIMEOUT_SECONDS = 1.0
MAX_REPLY_BYTES = 16 * 1024
MAX_LINE_BYTES = 12_288 + 512
"""RFC 4954 4 names 12,288 octets for the lines of a login; a command may have that as initial response."""


class ClientGone(Exception):
    """The client closed the connection, or it broke."""


class LineTooLong(Exception):
    """The client sent a line beyond every limit."""


class Connection(asyncio.Protocol):
    """A connection; *accept* is called once it is made, `on_gone` once the client is gone."""

    peer: Peer
    """The address of the client; an IPv4-mapped address as IPv4 (RFC 4291 2.5.5.2)."""

    def __init__(self, accept: "Callable[[Connection], None]") -> None:
        self._accept = accept
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._replies = bytearray()
        self._tls: TLSChannel | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._draining: asyncio.Future[None] | None = None
        self._limit = TimeLimit()
        self._is_broken = False
        self._is_reading = True
        self._is_writable = True
        self._closing: asyncio.TimerHandle | None = None
        self.is_gone = False
        self.on_gone: Callable[[], object] | None = None

    # The transport calls these.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # TCP transports are of this type
        """Accept the connection, unless the client has left already: under uvloop it has no address then."""
        self._transport = transport
        name = transport.get_extra_info("peername")
        if name is None:
            transport.abort()
            return
        self.peer = _peer(name[0])
        self._accept(self)

    def data_received(self, data: bytes) -> None:
        """Keep *data*, decrypted, for the conversation."""
        if self._tls is not None:
            data = self._decrypt(self._tls, data)
        self._buffer += data
        self._adjust_reading()
        self._wake()

    def eof_received(self) -> bool:
        """Keep the connection for replies to what arrived before."""
        self._end()
        return True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # of asyncio
        """End all waiting."""
        self._transport = None
        if self._closing is not None:
            self._closing.cancel()
        self._limit.end()
        if self._draining is not None and not self._draining.done():
            self._draining.set_exception(ClientGone())
        self._end()

    def pause_writing(self) -> None:
        """Take no more commands from a client that does not read the replies."""
        self._is_writable = False
        self._adjust_reading()

    def resume_writing(self) -> None:
        """Continue."""
        self._is_writable = True
        if self._draining is not None and not self._draining.done():
            self._draining.set_result(None)
        self._adjust_reading()

    # The conversation calls these.

    @property
    def tls_version(self) -> str | None:
        """The version of TLS, or None in clear."""
        return self._tls.version if self._tls is not None else None

    @property
    def is_secure(self) -> bool:
        """Whether the connection is encrypted."""
        return self._tls is not None

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Send all replies, start TLS, and forget everything that arrived in clear (RFC 3207 4.2)."""
        self.flush()
        self._buffer.clear()
        self._tls = TLSChannel(context)

    async def shake_hands(self, timeout: float) -> None:  # noqa: ASYNC109  # passed on to a timer
        """Wait for the end of the TLS handshake. Raises `ClientGone`, `TooSlow`."""
        deadline = asyncio.get_running_loop().time() + timeout
        while self._tls is not None and not self._tls.is_open:
            await self._receive(deadline)

    def buffered_line(self) -> bytes | None:
        """Return the next line with its line feed, if all of it has arrived, without taking it."""
        end = self._buffer.find(b"\n")
        return bytes(self._buffer[: end + 1]) if end >= 0 else None

    @property
    def has_buffered(self) -> bool:
        """Whether bytes wait that the conversation has not taken."""
        return bool(self._buffer)

    async def read_line(self, timeout: float) -> bytes:  # noqa: ASYNC109  # passed on to a timer
        """Return the next line with its line feed. Raises `ClientGone`, `TooSlow`, `LineTooLong`."""
        deadline = asyncio.get_running_loop().time() + timeout
        await self.drain(timeout)
        while (line := self.buffered_line()) is None:
            if len(self._buffer) > MAX_LINE_BYTES:
                raise LineTooLong
            await self._receive(deadline)
        del self._buffer[: len(line)]
        self._adjust_reading()
        if len(line) > MAX_LINE_BYTES:
            raise LineTooLong
        return line

    async def read(self, timeout: float) -> bytes:  # noqa: ASYNC109  # passed on to a timer
        """Return everything that has arrived, at least one byte. Raises `ClientGone`, `TooSlow`."""
        deadline = asyncio.get_running_loop().time() + timeout
        while not self._buffer:
            await self._receive(deadline)
        data = bytes(self._buffer)
        self._buffer.clear()
        self._adjust_reading()
        return data

    def put_back(self, data: bytes) -> None:
        """Put *data* in front of the bytes that have arrived."""
        self._buffer[:0] = data

    def write(self, reply: bytes) -> None:
        """Send *reply* with the next `flush`: replies to pipelined commands travel together (RFC 2920 3.2)."""
        self._replies += reply

    def flush(self, *, is_last: bool = False) -> None:
        """Send all replies in one packet, with the end of TLS if it *is_last*."""
        if self._transport is None or self._is_broken or not (self._replies or (is_last and self._tls)):
            return
        data = bytes(self._replies)
        self._replies.clear()
        if self._tls is not None:
            data = self._tls.encrypt(data, is_last=is_last)
        self._transport.write(data)

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109  # passed on to a timer
        """Wait while the client does not read, and send many replies early. Raises `ClientGone`, `TooSlow`."""
        if len(self._replies) > MAX_REPLY_BYTES:
            self.flush()
        while not self._is_writable:
            self._draining = asyncio.get_running_loop().create_future()
            await self._limit.wait(self._draining, asyncio.get_running_loop().time() + timeout)

    async def unless_gone(self, work: Awaitable[T]) -> T:
        """Return the result of *work*; cancel it when the client leaves, and raise `ClientGone`."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # a coroutine runs in a task
        self.on_gone = task.cancel
        try:
            return await work
        except asyncio.CancelledError:
            if self.is_gone and task.uncancel() == 0:
                raise ClientGone from None
            raise
        finally:
            self.on_gone = None

    def interrupt(self, error: Exception) -> bool:
        """Make a `read` or `read_line` that waits raise *error*; return whether one waits."""
        if self._waiting is None or self._waiting.done():
            return False
        self._waiting.set_exception(error)
        return True

    def close(self) -> None:
        """Send all replies and close. A client that does not read them in time is cut off."""
        if self._transport is None:
            return
        if self._tls is None or self._tls.is_open:
            self.flush(is_last=True)
        self._closing = asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_SECONDS, self.abort)
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    async def _receive(self, deadline: float) -> None:
        """Wait until more bytes arrive."""
        self.flush()
        if self.is_gone:
            raise ClientGone
        self._waiting = asyncio.get_running_loop().create_future()
        self._adjust_reading()
        await self._limit.wait(self._waiting, deadline)

    def _decrypt(self, tls: TLSChannel, data: bytes) -> bytes:
        try:
            clear = tls.receive(data)
        except ssl.SSLError:
            self._fail(tls)
            return b""
        # The session tickets of TLS 1.3 travel with the next reply.
        if (not tls.is_open or tls.version != "TLSv1.3") and (answer := tls.outgoing()) and self._transport:
            self._transport.write(answer)
        if tls.is_ended:
            self._end()
        return clear

    def _fail(self, tls: TLSChannel) -> None:
        """End the connection after the alert that says why."""
        self._is_broken = True
        if self._transport is not None:
            self._transport.write(tls.outgoing())
        self._end()

    def _adjust_reading(self) -> None:
        """Read while there is room, and while the client reads the replies; nothing behind the end of TLS."""
        wanted = len(self._buffer) <= MAX_BUFFERED_BYTES and self._is_writable and not self.is_gone
        if self._transport is None or wanted is self._is_reading:
            return
        self._is_reading = wanted
        self._transport.resume_reading() if wanted else self._transport.pause_reading()

    def _end(self) -> None:
        self.is_gone = True
        self._wake()
        if self.on_gone is not None:
            self.on_gone()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


def _peer(text: str) -> Peer:
    """Return the address in *text*, without the zone of a link-local address (RFC 4007 11.2)."""
    return plain_peer(ip_address(text.partition("%")[0]))
