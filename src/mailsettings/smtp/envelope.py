"""Send messages over a session. With PIPELINING (RFC 2920) MAIL, RCPT and DATA travel in one packet.

aiosmtplib waits for each reply before the next command, which takes three round trips instead of one, so this
class takes the connection over. BDAT (RFC 3030) would save one more, but sends the content before the server
accepts the recipient: after a lost connection the outcome would be unknown more often.
"""

import asyncio
import re
from collections import deque
from collections.abc import Callable

import aiosmtplib

from mailsettings.smtp.errors import ReplyError
from mailsettings.smtp.session import Session

MAX_REPLY_BYTES = 32 * 1024
SERVICE_CLOSING = 421
REFUSALS = {4, 5}  # RFC 5321 4.2.1: first digits
_REPLY_LINE = re.compile(rb"(\d{3})(?:([ -])(.*))?$")


class Envelope(asyncio.Protocol):
    """Reads the replies in the order of the commands, independent of packet boundaries.

    A test sends one message, the relay many in turn. `on_broken` is called when the connection ends.
    """

    def __init__(self, session: Session) -> None:
        self._buffer = bytearray()
        self._lines: list[bytes] = []
        self._code = b""
        self._size = 0
        self._outstanding = 0
        self._replies: deque[aiosmtplib.SMTPResponse] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._in_content = False
        self._paused = False
        self.on_broken: Callable[[], None] = _ignore
        self._loop = asyncio.get_running_loop()
        self._transport = session.hand_over(self)

    @property
    def error(self) -> Exception | None:
        """The error that broke the connection."""
        return self._error

    def write(self, *lines: bytes) -> None:
        """Send all command *lines* at once."""
        self._outstanding += len(lines)
        self._transport.write(b"".join(line + b"\r\n" for line in lines))

    def write_message(self, message: bytes) -> None:
        """Send *message* (with CRLF line ends) and the final dot, with dots stuffed (RFC 5321 4.5.2).

        Raises the error that broke the connection; then nothing is sent.
        """
        self.end_content(re.sub(rb"(?m)^\.", b"..", message))

    def write_content(self, content: bytes) -> None:
        """Send a part of a message as it goes over the wire. Raises the error that broke the connection."""
        if self._error is not None:
            raise self._error
        self._in_content = True
        self._transport.write(content)

    def end_content(self, last: bytes = b"") -> None:
        """Send the *last* part and the final dot.

        Raises the error that broke the connection; then nothing is sent.
        """
        if self._error is not None:
            raise self._error
        self._in_content = False
        self._outstanding += 1
        self._transport.write(last + b".\r\n")

    @property
    def is_full(self) -> bool:
        """Whether the server reads too slowly, so that no more should be written."""
        return self._paused

    async def room(self) -> None:
        """Wait until the server has read enough. Raises the error that broke the connection."""
        while self._paused and self._error is None:
            await self._change()
        if self._error is not None:
            raise self._error

    async def reply(self, *, wanted: int) -> aiosmtplib.SMTPResponse:
        """Return the next reply.

        Raises `ReplyError` unless its first digit is *wanted*, and the error that broke the connection.
        """
        answer = await self.any_reply()
        if answer.code // 100 != wanted:
            raise ReplyError(answer.code, answer.message)
        return answer

    async def any_reply(self) -> aiosmtplib.SMTPResponse:
        """Return the next reply. Raises the error that broke the connection."""
        while not self._replies:
            if self._error is not None:
                raise self._error
            await self._change()
        return self._replies.popleft()

    async def _change(self) -> None:
        """Wait until something arrives, or the server reads."""
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def pause_writing(self) -> None:
        """Note that the server does not read. Called by the transport."""
        self._paused = True

    def resume_writing(self) -> None:
        """Note that the server reads again. Called by the transport."""
        self._paused = False
        self._wake()

    def data_received(self, data: bytes) -> None:
        """Split *data* into reply lines. Called by the transport."""
        *lines, rest = (bytes(self._buffer) + data).split(b"\n")
        self._buffer[:] = rest
        for line in lines:
            if self._error is None:
                self._take(line.rstrip(b"\r"))
        if self._size + len(rest) > MAX_REPLY_BYTES:
            self._fail(ReplyError(-1, "Response too long"))

    def connection_lost(self, exc: Exception | None) -> None:
        """End all waiting with the error. Called by the transport."""
        self._fail(exc or aiosmtplib.SMTPServerDisconnected("Connection lost"))

    def _take(self, line: bytes) -> None:
        match = _REPLY_LINE.match(line)
        self._size += len(line) + 1
        if match is None or self._size > MAX_REPLY_BYTES or (self._lines and match[1] != self._code):
            self._fail(ReplyError(-1, "Not a reply"))
            return
        self._code = match[1]
        self._lines.append(match[3] or b"")
        if match[2] != b"-":
            self._finish(int(self._code))

    def _finish(self, code: int) -> None:
        """Store a complete reply; one without a command is an error."""
        text = b"\n".join(self._lines).decode("utf-8", "replace")
        self._lines.clear()
        self._size = 0
        if self._outstanding:
            self._outstanding -= 1
            self._replies.append(aiosmtplib.SMTPResponse(code, text))
            self._wake()
        elif code == SERVICE_CLOSING or (self._in_content and code // 100 in REFUSALS):
            # RFC 5321 3.8: at any time. Some servers refuse a message before they have read it to its end.
            self._fail(ReplyError(code, text))
        else:
            # An early reply would be taken for the reply to the next command, and so for a success.
            self._fail(ReplyError(-1, "Reply without a command"))

    def _fail(self, error: Exception) -> None:
        first = self._error is None
        self._error = self._error or error
        self._buffer.clear()
        self._wake()
        self._transport.abort()
        if first:
            self.on_broken()


def _ignore() -> None:
    pass
