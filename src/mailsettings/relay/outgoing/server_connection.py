"""A logged-in connection to a mail server, which carries one message after the other."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from aiosmtplib import SMTPResponse

from mailsettings.domain.mail_server import StoredMailServer
from mailsettings.relay.outgoing.place_counter import Place
from mailsettings.smtp.envelope import Envelope
from mailsettings.smtp.errors import WIRE_ERRORS, ReplyError
from mailsettings.smtp.journal import Journal
from mailsettings.smtp.session import Session

QUIT_TIMEOUT_SECONDS = 1.0
EXPECTED_ERRORS = (ReplyError, *WIRE_ERRORS)
"""The errors that end a connection."""
_BYE = 221  # RFC 5321 4.2.3


class ServerConnection:
    """A connection in a place.

    `reused`: it carried a message before, so the server may have closed it meanwhile.
    """

    def __init__(self, server: StoredMailServer, session: Session, journal: Journal, place: Place) -> None:
        self.server = server
        self.journal = journal
        self.place = place
        self.offered = session.server
        self.pipelining = self.offered.offers("PIPELINING")
        self.reused = False
        self.on_closed: Callable[[], None] = _ignore
        self._session = session
        self._loop = asyncio.get_running_loop()
        self.since = self.idle_since = self._loop.time()
        self._needs_reset = False
        self._is_open, self._is_closed = True, False
        self._quitting: asyncio.Task[None] | None = None
        self._envelope = Envelope(session)
        self._envelope.on_broken = self.abort
        place.on_lost = self.abort

    @property
    def is_open(self) -> bool:
        """Whether a message can be sent over it."""
        return self._is_open and self._loop.time() < self.place.until

    def send(self, *lines: bytes) -> None:
        """Send all *lines* at once. Raises the error that broke the connection."""
        self._require_open()
        self._envelope.write(*lines)

    async def reply(self) -> SMTPResponse:
        """Return the next reply. Raises the error that broke the connection."""
        return await self._envelope.any_reply()

    def write(self, content: bytes) -> None:
        """Send a part of the content. Raises the error that broke the connection."""
        self._require_open()
        self._envelope.write_content(content)

    @property
    def is_full(self) -> bool:
        """Whether the server reads more slowly than content arrives."""
        return self._envelope.is_full

    async def room(self) -> None:
        """Wait until the server has read enough. Raises the error that broke the connection."""
        await self._envelope.room()

    def end_content(self, last: bytes) -> None:
        """Send the *last* part of the content and the final dot. Raises the error that broke the connection."""
        self._require_open()
        self._envelope.end_content(last)

    def reset_later(self) -> None:
        """Note that a transaction is open, which RSET must end before the next begins."""
        self._needs_reset = True

    def begin(self) -> Sequence[bytes]:
        """Return the command that must precede the next transaction, if any."""
        needs_reset, self._needs_reset = self._needs_reset, False
        return [b"RSET"] if needs_reset else []

    def quit(self) -> None:
        """End the connection with QUIT, between two messages.

        The place is released when the server has answered: until then the server counts the connection.
        """
        if self._is_open:
            self._is_open = False
            self._envelope.write(b"QUIT")
            self._quitting = asyncio.create_task(self._quit())

    async def _quit(self) -> None:
        with suppress(TimeoutError, *EXPECTED_ERRORS):
            async with asyncio.timeout(QUIT_TIMEOUT_SECONDS):
                while (await self._envelope.any_reply()).code != _BYE:
                    pass
        self.abort()

    def abort(self) -> None:
        """End the connection at once; a message without its final dot is not sent."""
        self._is_open = False
        if not self._is_closed:
            self._is_closed = True
            self._session.abort()
            self.place.release()
            self.on_closed()

    def _require_open(self) -> None:
        if self._envelope.error is not None:
            raise self._envelope.error
        if not self.is_open:  # the place went to another relay
            self.abort()
            raise ConnectionAbortedError


def _ignore() -> None:
    pass
