"""Send long responses in chunks, each when the client has read the chunk before."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import NamedTuple

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mailsettings.domain.errors import MailSettingsError
from mailsettings.domain.mail_server import ListedMailServer
from mailsettings.use_cases.mail_servers import Page
from mailsettings.web.kept_answers import KeptAnswers

CHUNK_BYTES = 32 * 1024
"""Bytes of each chunk of a shared body."""
MAX_KEPT_PAGES = 4
"""A page may have some hundred kilobytes."""

_log = logging.getLogger("mailsettings.streaming")


class Chunk(NamedTuple):
    """A part of a body, and whether more of it follows."""

    body: bytes
    more: bool


Read = Callable[[int], Awaitable[Page]]
"""Returns the page after an id."""
View = Callable[[ListedMailServer], Mapping[str, object]]
"""Returns what an API shows of a mail server."""


class JsonArray:
    """Answers with all mail servers as a JSON array, one chunk for each page; the bytes of a single page are kept.

    An API that has the array as a member of an object gives the text before and after it in *opening* and
    *closing*.
    """

    def __init__(
        self,
        view: View,
        media_type: str,
        headers: Mapping[str, str],
        opening: bytes = b"[",
        closing: bytes = b"]",
    ) -> None:
        self._view = view
        self._media_type = media_type
        self._headers = headers
        self._opening = opening
        self._closing = closing
        self._single_pages = KeptAnswers(self._whole, MAX_KEPT_PAGES)

    async def response(self, read: Read) -> Response:
        """Return a response; an error in the first page is raised before anything is sent."""
        # The first page decides the status: an error before it is still a 503.
        first = await read(0)
        if not first.more:
            return self._single_pages.of(first.servers)
        return _StreamedResponse(self._chunks(first, read), self._media_type, self._headers)

    async def _chunks(self, page: Page, read: Read) -> AsyncGenerator[Chunk]:
        before = self._opening
        while page.more:
            last, body = page.last, before + self._members(page.servers)
            del page  # it is not kept while the client reads
            yield Chunk(body, more=True)
            page = await read(last)
            before = b"," if page.servers else b""
        yield Chunk(before + self._members(page.servers) + self._closing, more=False)

    def _whole(self, servers: Sequence[ListedMailServer]) -> Response:
        body = self._opening + self._members(servers) + self._closing
        return Response(body, media_type=self._media_type, headers=self._headers)

    def _members(self, servers: Sequence[ListedMailServer]) -> bytes:
        """Return the views with commas between them."""
        return to_json([self._view(server) for server in servers])[1:-1]


class SharedBodyResponse(Response):
    """A body that all responses share, sent in chunks: a slow client costs the memory of one chunk."""

    def __init__(self, body: bytes, media_type: str, headers: Mapping[str, str] | None = None) -> None:
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        # Not through Response.__init__, which would encode and copy the body.
        self.body = body
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # the ASGI signature
        """Send the body as fast as the client reads."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        # At least one message, since an ASGI response needs a last part even if the body is empty.
        for begin in range(0, max(1, len(self.body)), CHUNK_BYTES):
            end = begin + CHUNK_BYTES
            more = end < len(self.body)
            await send({"type": "http.response.body", "body": self.body[begin:end], "more_body": more})


class _StreamedResponse(Response):
    """A body that is produced chunk by chunk.

    Starlette's StreamingResponse would cancel a read of the database when the client disconnects.
    """

    def __init__(self, chunks: AsyncGenerator[Chunk], media_type: str, headers: Mapping[str, str]) -> None:
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        self.init_headers(headers)
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all chunks, as fast as the client reads."""
        client = Request(scope, receive)
        head = scope["method"] == "HEAD"  # the server leaves out the body, so one chunk is enough
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            async with aclosing(self._chunks) as chunks:
                async for chunk in chunks:
                    # Waits until the client has read enough of the earlier chunks.
                    await send(
                        {"type": "http.response.body", "body": chunk.body, "more_body": chunk.more and not head}
                    )
                    if head or await client.is_disconnected():
                        return
        except MailSettingsError as error:
            # The status has been sent, so only the missing end of the body can report the error (RFC 9112 8).
            _log.warning("A response ends early: %s", type(error).__name__)
