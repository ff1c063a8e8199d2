"""The server of one process: uvicorn's, with limits for TLS and open files, and a bounded shutdown.

On a signal it reports that it is not ready, and keeps serving for as long as a load balancer needs to notice.
Then it accepts no more requests, and running requests get the grace time. Requests that are not done by then are
cut off without a response: whether they took effect is unknown.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from math import ceil
from types import FrameType

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import STARTUP_FAILURE
from uvicorn.server import HANDLED_SIGNALS

from mailsettings.domain.listening import ListenAddress
from mailsettings.server.capacity import CAPACITY_STATE_KEY, Allocation, Capacity, CapacityLimits, ConnectionSlot
from mailsettings.server.connection import DRAINING_STATE_KEY, BoundedConnection, ConnectionLimits
from mailsettings.server.listener import Listener
from mailsettings.server.open_files import raise_open_file_limit
from mailsettings.server.sockets import listening_sockets
from mailsettings.server.status import STATUS_STATE_KEY, Status, serve_status

_log = logging.getLogger("mailsettings.server")


@dataclass(frozen=True, slots=True)
class ShutdownTimeouts:
    """Seconds to keep serving while the server is not ready, and seconds that running requests may then take."""

    drain: float = 0
    grace: float = 30


class Server(uvicorn.Server):
    """The server of one process, with the address of its status listener if it has one.

    *on_stop* is called at the first signal. A worker leaves an immediate stop to its parent.
    """

    def __init__(  # noqa: PLR0913  # each is one line in the composition root
        self,
        config: uvicorn.Config,
        shutdown_timeouts: ShutdownTimeouts,
        connection_limits: ConnectionLimits,
        limits: CapacityLimits,
        *,
        status: ListenAddress | None = None,
        on_stop: Callable[[], None] | None = None,
        is_worker: bool = False,
        hosts: Sequence[str] = (),
    ) -> None:
        super().__init__(config)
        self._hosts = hosts
        # One second more than `_cut_off`, for tasks that ignore their cancellation.
        config.timeout_graceful_shutdown = ceil(shutdown_timeouts.grace) + 1
        self._shutdown_timeouts = shutdown_timeouts
        self._connection_limits = connection_limits
        self._limits = limits
        self._status = status
        self._on_stop = on_stop
        self._status_task: asyncio.Task[None] | None = None
        self._is_worker = is_worker
        self._signalled_at: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does, with limits for all connections together."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(STARTUP_FAILURE)
        capacity = Capacity(
            replace(self._limits, max_connections=raise_open_file_limit(self._limits.max_connections))
        )
        self.lifespan.state[CAPACITY_STATE_KEY] = capacity
        self._listener = Listener(capacity, self._connection, self._connection_limits, self.config.ssl)
        self.config.loaded_app = _ignoring_cancellation(self.config.loaded_app)
        hosts = self._hosts or (self.config.host,)
        try:
            listening = sockets or listening_sockets(hosts, self.config.port, self.config.backlog)
            self.servers = [await self._listen(sock) for sock in listening]
        except OSError as error:
            _log.error("%s", error.strerror or error)
            await self.lifespan.shutdown()
            sys.exit(STARTUP_FAILURE)
        if self._status is not None:
            self._status_task = asyncio.create_task(serve_status(self._status, self._shown()))
        self.started = True

    def _shown(self) -> Status:
        state = self.lifespan.state
        shown: Status = state[STATUS_STATE_KEY]
        return replace(shown, is_draining=lambda: state.get(DRAINING_STATE_KEY, False))

    async def _listen(self, sock: socket.socket) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_server(self._listener.accept, sock=sock, backlog=self.config.backlog)

    def _connection(self, slot: ConnectionSlot, allocation: Allocation) -> BoundedConnection:
        return BoundedConnection(
            slot,
            allocation,
            self._connection_limits,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Handle signals as a regular stop; uvicorn would raise the signal again after the shutdown."""
        for number in HANDLED_SIGNALS:
            signal.signal(number, self.handle_exit)
        yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # the signature of signal handlers
        """Begin the shutdown on the first signal, and exit at once on the second.

        A worker ignores the second signal: a process manager may signal the parent and the worker.
        """
        if self._signalled_at is None:
            self._signalled_at = time.monotonic()
            if self._on_stop is not None:
                self._on_stop()
        elif not self._is_worker:
            logging.shutdown()  # writes the last lines
            # os._exit, since Linux ignores an unhandled signal to the first process of a container (PID 1).
            os._exit(128 + sig)

    async def on_tick(self, counter: int) -> bool:
        """Return whether to stop; uvicorn asks ten times a second."""
        if self._signalled_at is not None:
            self.lifespan.state[DRAINING_STATE_KEY] = True
            self.should_exit = time.monotonic() - self._signalled_at >= self._shutdown_timeouts.drain
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more requests, and wait for running requests within the grace time."""
        over = asyncio.get_running_loop().call_later(self._shutdown_timeouts.grace, self._cut_off)
        self._listener.close()
        await super().shutdown(sockets)
        over.cancel()
        if self._status_task is not None:
            self._status_task.cancel()

    def _cut_off(self) -> None:
        connections, tasks = list(self.server_state.connections), list(self.server_state.tasks)
        _log.warning("Cut off %d connections and %d requests after the grace time.", len(connections), len(tasks))
        for connection in connections:
            connection.transport.abort()
        for task in tasks:
            task.cancel()


def _ignoring_cancellation(app: ASGIApp) -> ASGIApp:
    """Return *app* without its `CancelledError`, which uvicorn would log as a fault of the application."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(asyncio.CancelledError):
            await app(scope, receive, send)

    return run
