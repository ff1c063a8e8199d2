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


class DaemonThreads:
    """Runs at most *limit* concurrent calls; an abandoned call counts until it returns."""

    def __init__(self, limit: int, name: str) -> None:
        self._turns = asyncio.Semaphore(limit)
        self._name = name

    async def run(self, call: Callable[[], Result]) -> Result:
        """Return the result of *call*, or raise its error."""
        await self._turns.acquire()
        loop = asyncio.get_running_loop()
        outcome: Future[Result] = Future()
        outcome.set_running_or_notify_cancel()

        def work() -> None:
            try:
                outcome.set_result(call())
            except Exception as error:  # noqa: BLE001  # raised again in the caller
                outcome.set_exception(error)
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._turns.release)

        threading.Thread(target=work, name=self._name, daemon=True).start()
        return await asyncio.wrap_future(outcome)
