"""Answer with server-sent events (HTML standard, 9.2): what happens while an operation runs.

No event has an id, so a browser that connects again by itself cannot ask for the events after one; and this is an
answer to POST, which browsers do not repeat.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mailsettings.domain.errors import MailSettingsError
from mailsettings.web.negotiation import NO_STORE
from mailsettings.web.request_errors import RequestError

MEDIA_TYPE = "text/event-stream"
COMMENT_SECONDS = 5.0
"""The longest silence: proxies close connections that are silent for longer, usually for a minute."""
_COMMENT = b": still running\n\n"
# nginx would buffer the events; Cache-Control also keeps proxies from it.
_HEADERS = {**NO_STORE, "X-Accel-Buffering": "no"}
_WEIGHT = re.compile(r"\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*", re.IGNORECASE)

_log = logging.getLogger("mailsettings.streaming")


class Event(NamedTuple):
    """One event; *data* is JSON without line breaks."""

    name: str
    data: str

    def encoded(self) -> bytes:
        """Return the event as it is sent."""
        return f"event: {self.name}\ndata: {self.data}\n\n".encode()


Emit = Callable[[Event], None]
Describe = Callable[[Exception], str]
"""Returns the JSON of an error for the event `error`."""


def wants_events(request: Request) -> bool:
    """Return whether the client prefers events to JSON (RFC 9110 12.5.1)."""
    return _weight(request, MEDIA_TYPE) > _weight(request, "application/json")


def _weight(request: Request, media_type: str) -> float:
    """Return the weight of exactly *media_type* in Accept; 0 if it is not named."""
    for media_range in ",".join(request.headers.getlist("accept")).split(","):
        name, *parameters = media_range.split(";")
        if name.strip().lower() == media_type:
            weights = [float(found[1]) for each in parameters if (found := _WEIGHT.fullmatch(each))]
            return weights[0] if weights else 1.0
    return 0.0


async def event_stream(
    work: Callable[[Emit], Awaitable[None]],
    describe: Describe,
    *,
    outlives_client: bool,
    silence: float = COMMENT_SECONDS,
) -> Response:
    """Return the events that *work* emits, as they happen; an error before the first event is raised.

    A disconnect ends *work*, unless it *outlives_client*: then a repeated request can get its result.
    """
    events: asyncio.Queue[Event | None] = asyncio.Queue()
    task = asyncio.ensure_future(work(events.put_nowait))
    task.add_done_callback(lambda _done: events.put_nowait(None))
    first = await events.get()
    if first is None:
        await task  # raises: an operation that succeeds emits at least one event
    return _EventStreamResponse(first, events, task, describe, outlives_client=outlives_client, silence=silence)


_running: set["asyncio.Future[None]"] = set()
"""Operations without a client; the event loop itself keeps no reference."""


class _EventStreamResponse(Response):
    """Sends events until the operation has ended or the client disconnects."""

    media_type = MEDIA_TYPE

    def __init__(  # noqa: PLR0913  # the parts of `event_stream`
        self,
        first: Event | None,
        events: "asyncio.Queue[Event | None]",
        task: "asyncio.Future[None]",
        describe: Describe,
        *,
        outlives_client: bool,
        silence: float,
    ) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers(_HEADERS)
        del self.headers["content-length"]
        self._next = first
        self._events = events
        self._task = task
        self._describe = describe
        self._outlives_client = outlives_client
        self._silence = silence

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # the ASGI signature
        """Send the events as fast as the client reads; the operation never waits for the client."""
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            while (part := await self._part(gone)) is not None:
                await send({"type": "http.response.body", "body": part, "more_body": True})
            if not gone.done():
                await send({"type": "http.response.body", "body": self._last(), "more_body": False})
        finally:
            gone.cancel()
            await self._leave()

    async def _part(self, gone: "asyncio.Future[None]") -> bytes | None:
        """Return the next event, a comment after a silence, or None at the end or after a disconnect."""
        if self._next is not None:
            event, self._next = self._next, None
            return event.encoded()
        getting: asyncio.Future[Event | None] = asyncio.ensure_future(self._events.get())
        both: set[asyncio.Future[Any]] = {getting, gone}
        try:
            await asyncio.wait(both, timeout=self._silence, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                return None
            if not getting.done():
                return _COMMENT
            found = getting.result()
        finally:
            getting.cancel()
        return None if found is None else found.encoded()

    def _last(self) -> bytes:
        """Return the event of the error that ended the operation; nothing if it succeeded."""
        error = None if self._task.cancelled() else self._task.exception()
        if not isinstance(error, Exception):
            return b""
        if not isinstance(error, MailSettingsError | RequestError):
            _log.error("An operation with events failed unexpectedly.", exc_info=error)
        return Event("error", self._describe(error)).encoded()

    async def _leave(self) -> None:
        if self._task.done():
            return
        if self._outlives_client:
            _running.add(self._task)
            self._task.add_done_callback(_forget)
            return
        self._task.cancel()
        with suppress(asyncio.CancelledError, MailSettingsError, RequestError):
            await self._task


def _forget(task: "asyncio.Future[None]") -> None:
    _running.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.warning("An operation without a client failed: %s", type(error).__name__)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
