"""TLS over the bytes of a connection, by OpenSSL in memory.

The event loop's own TLS transport reserves 256 KiB for each connection under asyncio. This class holds 15 KiB,
and sees only the bytes that it gets: none that arrived in clear before STARTTLS.
"""

import ssl
from contextlib import suppress

MAX_READ_BYTES = 256 * 1024


class TLSChannel:
    """The server's side of one TLS session. Bytes for the client collect in `outgoing`."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._session = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.is_open = False
        """Whether the handshake is complete."""
        self.is_ended = False
        """Whether the client said that it sends no more."""

    @property
    def version(self) -> str | None:
        """The version of TLS, after the handshake."""
        return self._session.version()

    def outgoing(self) -> bytes:
        """Return the bytes to send."""
        return self._outgoing.read()

    def encrypt(self, data: bytes, *, is_last: bool = False) -> bytes:
        """Return *data* as it goes over the wire, with the end of the session (close_notify) if it *is_last*."""
        if data:
            self._session.write(data)
        if is_last:
            with suppress(ssl.SSLError):  # the client's own close_notify is not awaited
                self._session.unwrap()
        return self._outgoing.read()

    def receive(self, data: bytes) -> bytes:
        """Return what the client sent in *data*. Raises `ssl.SSLError`."""
        self._incoming.write(data)
        try:
            if not self.is_open:
                self._session.do_handshake()
                self.is_open = True
            return self._read()
        except ssl.SSLWantReadError:
            return b""

    def _read(self) -> bytes:
        parts: list[bytes] = []
        try:
            while part := self._session.read(MAX_READ_BYTES):
                parts.append(part)
            self.is_ended = True
        except ssl.SSLZeroReturnError:
            self.is_ended = True
        except ssl.SSLWantReadError:
            pass
        return b"".join(parts)
