"""A wire between two programs on loopback that can be cut, blocked, slowed down and pulled out.

It has a thread of its own, so that it works whatever the test and the service in it are waiting for.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

HOST = "127.0.0.1"


class Proxy:
    """Hands on to one port; what holds for a wire holds for all connections on it."""

    def __init__(self, target: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._wires = _Wires(target)
        self.allow()

    @property
    def port(self) -> int:
        """Where it listens, also when it does not for a while."""
        return self._wires.port

    def allow(self) -> None:
        """Take connections."""
        self._run(self._wires.listen)

    def refuse(self) -> None:
        """Take no connections, and cut those there are."""
        self._run(self._wires.refuse)

    def cut(self) -> None:
        """End all connections with a reset, in both directions."""
        self._run(self._wires.cut)

    def delay(self, seconds: float) -> None:
        """Hand everything on that much later."""
        self._wires.delay_seconds = seconds

    def hold(self) -> None:
        """Hand nothing on, as a network that loses all packets: connections stay, and both sides hear nothing."""
        self._run(self._wires.hold)

    def hold_answers(self) -> None:
        """Hand on what the client sends, and nothing of what comes back."""
        self._run(self._wires.hold_answers)

    def forget(self) -> None:
        """Never hand anything on again for the connections there are, and tell neither side."""
        self._run(self._wires.forget)

    def resume(self) -> None:
        """Hand on what was held, and all that comes."""
        self._run(self._wires.resume)

    def close(self) -> None:
        """End everything, and wait for it."""
        self._run(self._wires.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, what: Callable[[], Coroutine[Any, Any, None]]) -> None:
        asyncio.run_coroutine_threadsafe(what(), self._loop).result(10)


class _Wires:
    """The part of a proxy that runs on its thread."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self.delay_seconds = 0.0
        self._target = target
        self._server: asyncio.Server | None = None
        self._wires: dict[_Wire, asyncio.Task[None]] = {}
        self._passing = asyncio.Event()
        self._passing.set()
        self._answering = asyncio.Event()
        self._answering.set()

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self.cut()

    async def cut(self) -> None:
        tasks = list(self._wires.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def hold(self) -> None:
        self._passing.clear()

    async def hold_answers(self) -> None:
        self._answering.clear()

    async def forget(self) -> None:
        for wire in self._wires:
            wire.forgotten = True

    async def resume(self) -> None:
        self._passing.set()
        self._answering.set()

    async def close(self) -> None:
        await self.refuse()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection(HOST, self._target)
        except OSError:
            writer.transport.abort()
            return
        wire = _Wire(back, writer)
        self._wires[wire] = task = asyncio.create_task(self._join(wire, reader, there))
        with suppress(asyncio.CancelledError):
            await task

    async def _join(self, wire: "_Wire", near: asyncio.StreamReader, far: asyncio.StreamReader) -> None:
        try:
            await asyncio.gather(
                self._carry(wire, near, wire.to_server), self._carry(wire, far, wire.to_client, self._answering)
            )
        finally:
            del self._wires[wire]
            wire.to_server.transport.abort()
            wire.to_client.transport.abort()

    async def _carry(
        self,
        wire: "_Wire",
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        gate: asyncio.Event | None = None,
    ) -> None:
        with suppress(OSError, RuntimeError):  # either side may be gone at any moment
            while not reader.at_eof():
                piece = await reader.read(65536)
                await asyncio.sleep(self.delay_seconds)
                await self._passing.wait()
                await (gate or self._passing).wait()
                if wire.forgotten:
                    await asyncio.get_running_loop().create_future()  # until it is cut
                writer.write(piece)
                await writer.drain()
            writer.write_eof()


class _Wire:
    """One connection, seen from both sides."""

    def __init__(self, to_server: asyncio.StreamWriter, to_client: asyncio.StreamWriter) -> None:
        self.to_server = to_server
        self.to_client = to_client
        self.forgotten = False


@contextmanager
def proxied(target: int) -> Iterator[Proxy]:
    """A proxy to *target* while the block runs."""
    proxy = Proxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
