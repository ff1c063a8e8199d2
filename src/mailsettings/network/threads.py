"""Run calls that block for an unbounded time, such as name look-ups, on daemon threads.

Each user has its own threads, so that a slow call delays no other user. They are daemon threads because an
executor's threads would keep the program from ending until the last call returns.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

Result = TypeVar("Result")


def start_daemon(call: Callable[[], Result], name: str) -> "Future[Result]":
    """Run *call* on a new daemon thread; the future has its result or its error."""
    outcome: Future[Result] = Future()
    outcome.set_running_or_notify_cancel()

    def work() -> None:
        try:
            outcome.set_result(call())
        except Exception as error:  # noqa: BLE001  # raised again where the result is read
            outcome.set_exception(error)

    threading.Thread(target=work, name=name, daemon=True).start()
    return outcome


class DaemonThreads:
    """Runs at most *limit* concurrent calls; an abandoned call counts until it returns."""

    def __init__(self, limit: int, name: str) -> None:
        self._turns = asyncio.Semaphore(limit)
        self._name = name

    async def run(self, call: Callable[[], Result]) -> Result:
        """Return the result of *call*, or raise its error."""
        await self._turns.acquire()
        loop = asyncio.get_running_loop()
        outcome = start_daemon(call, self._name)

        def release(_outcome: "Future[Result]") -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._turns.release)

        outcome.add_done_callback(release)
        return await asyncio.wrap_future(outcome)
