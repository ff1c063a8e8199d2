"""Admits as many messages of each device in a minute as its limit says, counted for all relays together."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from mailsettings.domain.device import Device
from mailsettings.store.database import SQLStore
from mailsettings.use_cases.lease import shielded


@dataclass(slots=True)
class _Reserve:
    """What this relay may still admit of one device until `ends_at`."""

    left: int = 0
    ends_at: float = 0
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    exhausted: bool = False


class DeviceRates:
    """Counts messages; most of them in memory, and a few times in a minute in the database."""

    def __init__(self, store: SQLStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._reserves: dict[int, _Reserve] = defaultdict(_Reserve)

    async def admit(self, device: Device) -> bool:
        """Count a message of *device*; return whether its rate allows the message. Raises `StoreUnavailable`."""
        if device.messages_per_minute is None:
            return True
        reserve = self._reserves[device.id]
        if self._taken(reserve):
            return True
        async with reserve.asking:
            # Another message may have asked meanwhile.
            while not self._taken(reserve):
                if reserve.exhausted and self._clock() < reserve.ends_at:
                    return False
                await shielded(self._ask(device, reserve))
        return True

    def _taken(self, reserve: _Reserve) -> bool:
        if reserve.left and self._clock() < reserve.ends_at:
            reserve.left -= 1
            return True
        return False

    async def _ask(self, device: Device, reserve: _Reserve) -> None:
        async with self._store.writing_unqueued() as work:
            found = await work.device_rates.reserve(device.id, device.messages_per_minute or 0)
        reserve.left, reserve.exhausted = found.messages, not found.messages
        reserve.ends_at = self._clock() + found.seconds_left
