"""Answers that are too long to be sent at once: in pieces, each sent when the client has taken the one before."""

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mailsettings.domain.errors import MailSettingsError

CHUNK_BYTES = 32 * 1024
"""Bytes of a shared body that are sent at once."""

_log = logging.getLogger("mailsettings.pieces")


class Chunk(NamedTuple):
    """Some of a body, and whether more of it follows."""

    body: bytes
    more: bool


async def streamed(chunks: AsyncGenerator[Chunk], media_type: str, headers: Mapping[str, str]) -> Response:
    """The answer, whole if it is a single piece. Raises what the first one does: then nothing is sent yet."""
    first = await anext(chunks)
    if not first.more:
        return Response(first.body, media_type=media_type, headers=headers)
    return _StreamedResponse(first, chunks, media_type, headers)


class SharedBodyResponse(Response):
    """A body that all answers share, sent in chunks: a slow client costs no more than one of them."""

    def __init__(self, body: bytes, media_type: str, headers: Mapping[str, str] | None = None) -> None:
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        self.body = body
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # as ASGI has it
        """Send it as fast as it is taken."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for begin in range(0, max(1, len(self.body)), CHUNK_BYTES):
            end = begin + CHUNK_BYTES
            more = end < len(self.body)
            await send({"type": "http.response.body", "body": self.body[begin:end], "more_body": more})


class _StreamedResponse(Response):
    """Starlette's own for this would break off a reading of the database when the client goes away."""

    def __init__(
        self, first: Chunk, rest: AsyncGenerator[Chunk], media_type: str, headers: Mapping[str, str]
    ) -> None:
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        self.init_headers(headers)
        self._chunks = _chained([first], rest)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them all, as fast as they are taken."""
        client = Request(scope, receive)
        head = scope["method"] == "HEAD"  # whose body the server leaves out, so that one piece is enough
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            async with aclosing(self._chunks) as chunks:
                async for chunk in chunks:
                    # Waits while the client has not taken enough of what was sent before.
                    await send(
                        {"type": "http.response.body", "body": chunk.body, "more_body": chunk.more and not head}
                    )
                    if head or await client.is_disconnected():
                        return
        except MailSettingsError as error:
            # The status has been sent. That the body does not end as it should is all that can be told.
            _log.warning("An answer breaks off: %s", type(error).__name__)


async def _chained(first: list[Chunk], rest: AsyncGenerator[Chunk]) -> AsyncGenerator[Chunk]:
    """One by one, and none kept: each may be a long one, of each of many clients that are slow."""
    yield first.pop()
    async with aclosing(rest):
        async for chunk in rest:
            yield chunk
