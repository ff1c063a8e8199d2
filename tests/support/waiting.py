"""Wait for what happens in another task, process or database, without a signal."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from support.timeouts import GUARD_SECONDS

Found = TypeVar("Found")


async def eventually(look: Callable[[], Awaitable[Found]], is_enough: Callable[[Found], object] = bool) -> Found:
    """Return what *look* finds, once it is enough."""
    async with asyncio.timeout(GUARD_SECONDS):
        while not is_enough(found := await look()):  # noqa: ASYNC110  # see above
            await asyncio.sleep(0.01)
    return found
