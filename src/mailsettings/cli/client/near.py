"""Call the API in this process, on the database of this machine, as the operator."""

import asyncio
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from typing import Any

from starlette.types import ASGIApp, Message

from mailsettings.bootstrap.backend import Backend
from mailsettings.cli.client.client import Answer, Client
from mailsettings.cli.running import open_backend, operator, reporting_errors
from mailsettings.dialects.v1 import V1
from mailsettings.store.database_errors import explanation_of
from mailsettings.use_cases.lease import outline
from mailsettings.web.normalization import routable_path


@contextmanager
def near_client() -> Iterator["Near"]:
    """Open the client on the database that the settings choose."""
    with reporting_errors(), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        client = Near(runner)
        try:
            client.open()
            yield client
        finally:
            client.close()


class Near(Client):
    """The API as an ASGI application; it runs on the loop of *runner* while a command reads its answer."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._opened = AsyncExitStack()
        self._app: ASGIApp
        self._backend: Backend
        self._failure: BaseException | None = None

    def open(self) -> None:
        """Open the database, and build the application."""
        self._backend = self._runner.run(self._opened.enter_async_context(open_backend()))
        self._app = V1.build(self._backend.use_cases, caller=operator())

    def close(self) -> None:
        """Close the database."""
        self._runner.run(self._opened.aclose())

    def exchange(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Run one request until its answer begins."""
        request = _Request(self._app, _scope(method, target, headers), body)
        start = self._runner.run(request.begin())
        received = {name.decode().lower(): value.decode("latin-1") for name, value in start["headers"]}
        return Answer(start["status"], received, self._chunks(request))

    def cause(self) -> str | None:
        """Return why the last request failed: what the log of a service would have."""
        if (problem := self._backend.store.outages.problem) is not None:
            return explanation_of(problem)
        if self._failure is None:
            return None
        return f"The command failed unexpectedly, which is a bug. Please report this:\n{outline(self._failure)}"

    def _chunks(self, request: "_Request") -> Iterator[bytes]:
        try:
            while (chunk := self._runner.run(request.next_chunk())) is not None:
                yield chunk
        finally:
            self._failure = self._runner.run(request.close())


class _Request:
    """One request to an ASGI application; its answer is read part by part."""

    def __init__(self, app: ASGIApp, scope: Mapping[str, Any], body: bytes) -> None:
        self._app = app
        self._scope = scope
        self._body: bytes | None = body
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None]
        self._is_complete = False

    async def begin(self) -> Message:
        """Start the application and return the head of its answer."""
        self._task = asyncio.create_task(self._answer())
        return await self._next_message()

    async def _answer(self) -> None:
        await self._app(dict(self._scope), self._receive, self._messages.put)

    async def next_chunk(self) -> bytes | None:
        """Return the next part of the body; None after the last."""
        if self._is_complete:
            # The application may still have to finish something, or raise the error that it answered.
            await asyncio.gather(self._task, return_exceptions=True)
            return None
        message = await self._next_message()
        self._is_complete = not message.get("more_body", False)
        chunk: bytes = message.get("body", b"")
        return chunk

    async def close(self) -> BaseException | None:
        """Cancel an application that still answers; return the error that it ended with."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        return None if self._task.cancelled() else self._task.exception()

    async def _next_message(self) -> Message:
        message = asyncio.create_task(self._messages.get())
        await asyncio.wait({message, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if message.done():
            return message.result()
        message.cancel()
        self._task.result()  # raises its error
        raise RuntimeError("the application ended before its answer")

    async def _receive(self) -> Message:
        if self._body is None:
            await asyncio.Event().wait()  # a client that stays connected
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


def _scope(method: str, target: str, headers: Mapping[str, str]) -> Mapping[str, Any]:
    path, _, query = target.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": routable_path(path.encode()),
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": None,
        "server": None,
        "request_id": uuid.uuid4().hex,
        "api": V1.name,
    }


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes the loop of the service; see `running.run_on_loop`."""
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop
