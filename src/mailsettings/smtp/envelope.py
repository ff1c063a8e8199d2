"""Send one message. With PIPELINING (RFC 2920) MAIL, RCPT and DATA travel in one packet.

aiosmtplib waits for each reply before the next command, which takes three round trips instead of one, so this
class takes the connection over. BDAT (RFC 3030) would save one more, but sends the content before the server
accepts the recipient: after a lost connection the outcome would be unknown more often.
"""

import asyncio
import re
from collections import deque

import aiosmtplib

from mailsettings.smtp.errors import ReplyError
from mailsettings.smtp.session import Session

MAX_REPLY_BYTES = 32 * 1024
SERVICE_CLOSING = 421  # RFC 5321 3.8: at any time
_REPLY_LINE = re.compile(rb"(\d{3})(?:([ -])(.*))?$")


class Envelope(asyncio.Protocol):
    """Reads the replies in the order of the commands, independent of packet boundaries."""

    def __init__(self, session: Session) -> None:
        self._buffer = bytearray()
        self._lines: list[bytes] = []
        self._code = b""
        self._size = 0
        self._outstanding = 0
        self._replies: deque[aiosmtplib.SMTPResponse] = deque()
        self._arrived = asyncio.Event()
        self._error: Exception | None = None
        self._transport = session.hand_over(self)

    def write(self, *lines: bytes) -> None:
        """Send all command *lines* at once."""
        self._outstanding += len(lines)
        self._transport.write(b"".join(line + b"\r\n" for line in lines))

    def write_message(self, message: bytes) -> None:
        """Send *message* (with CRLF line ends) and the final dot, with dots stuffed (RFC 5321 4.5.2).

        Raises the error that broke the connection; then nothing is sent.
        """
        if self._error is not None:
            raise self._error
        self._outstanding += 1
        self._transport.write(re.sub(rb"(?m)^\.", b"..", message) + b".\r\n")

    async def reply(self, *, wanted: int) -> aiosmtplib.SMTPResponse:
        """Return the next reply.

        Raises `ReplyError` unless its first digit is *wanted*, and the error that broke the connection.
        """
        while not self._replies:
            if self._error is not None:
                raise self._error
            self._arrived.clear()
            await self._arrived.wait()
        answer = self._replies.popleft()
        if answer.code // 100 != wanted:
            raise ReplyError(answer.code, answer.message)
        return answer

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
        """Store a complete reply. A reply without a command is an error, except 421 (RFC 5321 3.8)."""
        # An early reply would be taken for the reply to the next command, and so for a success.
        if not self._outstanding and code != SERVICE_CLOSING:
            self._fail(ReplyError(-1, "Reply without a command"))
            return
        self._outstanding -= 1
        text = b"\n".join(self._lines).decode("utf-8", "replace")
        self._lines.clear()
        self._size = 0
        self._replies.append(aiosmtplib.SMTPResponse(code, text))
        self._arrived.set()

    def _fail(self, error: Exception) -> None:
        self._error = self._error or error
        self._buffer.clear()
        self._arrived.set()
        self._transport.abort()
