"""Looking at something again and again, for what no event tells of."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

SAMPLING_INTERVAL_SECONDS = 5.0
"""Prometheus looks about as often, or less."""


@asynccontextmanager
async def sampling(
    sample: Callable[[], None], every_seconds: float = SAMPLING_INTERVAL_SECONDS
) -> AsyncIterator[None]:
    """Call *sample* at the beginning of the block and every so often until its end."""

    async def go_on() -> None:
        while True:
            await asyncio.sleep(every_seconds)
            sample()

    sample()
    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        task.cancel()
