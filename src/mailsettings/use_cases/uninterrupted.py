"""Finishing a transaction although its task is cancelled meanwhile.

SQLAlchemy gives up a connection whose statement is broken off, and the thread that aiosqlite runs it on may take
the lock of the file all the same: nobody can write then, in any process, until the garbage collector comes by.
"""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

Result = TypeVar("Result")


async def shielded(transaction: Coroutine[None, None, Result]) -> Result:
    """The result of *transaction*; a cancellation is passed on when that has ended."""
    task = asyncio.ensure_future(transaction)
    # Looked at, so that asyncio does not complain that nobody has.
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
