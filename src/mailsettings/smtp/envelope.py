"""Handing over one message. With PIPELINING (RFC 2920) sender, recipient and DATA travel together.

aiosmtplib waits for each reply before it sends the next command, three round trips where one will do; so the
connection is taken over from it here. BDAT (RFC 3030) would save one more and is left alone: it sends the
content before the recipient is accepted, so that a connection lost in between leaves more in doubt.
"""

import asyncio
import re
from collections import deque

import aiosmtplib

from mailsettings.smtp.errors import Answered
from mailsettings.smtp.session import Session

LONGEST_REPLY = 32 * 1024
_LINE = re.compile(rb"(\d{3})(?:([ -])(.*))?$")


class Envelope(asyncio.Protocol):
    """Reads replies in the order of the commands, however they are cut into packets."""

    def __init__(self, session: Session) -> None:
        self._buffer = bytearray()
        self._lines: list[bytes] = []
        self._replies: deque[aiosmtplib.SMTPResponse] = deque()
        self._arrived = asyncio.Event()
        self._error: Exception | None = None
        self._transport = session.hand_over(self)

    def write(self, *lines: bytes) -> None:
        """Send command lines, together."""
        self._transport.write(b"".join(line + b"\r\n" for line in lines))

    def write_message(self, message: bytes) -> None:
        """Send *message*, whose lines end in CRLF, and the dot that ends it (RFC 5321 4.5.2)."""
        self._transport.write(re.sub(rb"(?m)^\.", b"..", message) + b".\r\n")

    async def reply(self, *, wanted: int) -> aiosmtplib.SMTPResponse:
        """The next reply. Raises `Answered` unless its first digit is *wanted*, and what broke the connection."""
        while not self._replies:
            if self._error is not None:
                raise self._error
            self._arrived.clear()
            await self._arrived.wait()
        answer = self._replies.popleft()
        if answer.code // 100 != wanted:
            raise Answered(answer.code, answer.message)
        return answer

    def data_received(self, data: bytes) -> None:
        """Called by the transport."""
        self._buffer += data
        while self._error is None and (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._take(line.rstrip(b"\r"))
        if len(self._buffer) + sum(map(len, self._lines)) > LONGEST_REPLY:
            self._fail(Answered(-1, "Response too long"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the transport."""
        self._fail(exc or aiosmtplib.SMTPServerDisconnected("Connection lost"))

    def _take(self, line: bytes) -> None:
        match = _LINE.match(line)
        if match is None:
            self._fail(Answered(-1, line.decode("utf-8", "replace")))
            return
        self._lines.append(match[3] or b"")
        if match[2] != b"-":
            text = b"\n".join(self._lines).decode("utf-8", "replace")
            self._lines.clear()
            self._replies.append(aiosmtplib.SMTPResponse(int(match[1]), text))
            self._arrived.set()

    def _fail(self, error: Exception) -> None:
        self._error = self._error or error
        self._buffer.clear()
        self._arrived.set()
        self._transport.abort()
