"""Keep the leases of places: renew them, ask for more, and give places up when another relay waits."""

import asyncio
import logging
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Protocol

from mailsettings.domain.errors import StoreUnavailable
from mailsettings.domain.relay_places import PlaceGrant
from mailsettings.relay.outgoing.place_counter import Counter

RELEASE_TIMEOUT_SECONDS = 3.0
_log = logging.getLogger("mailsettings.relay")


class PlaceRegister(Protocol):
    """What all relays know about their places. Each method may raise `StoreUnavailable`."""

    lease_seconds: float

    async def claim(self, wanted: Mapping[str, int]) -> Mapping[str, PlaceGrant]:
        """Renew, take or release places, so that this relay holds at most the *wanted* number for each key."""

    async def others_waiting(self, keys: Collection[str]) -> frozenset[str]:
        """Return those of *keys* for which another relay has too few places."""


class PlaceKeeper:
    """Keeps the leases: renews them, asks for more, and looks whether other relays wait."""

    def __init__(self, register: PlaceRegister, counters: Mapping[str, Counter]) -> None:
        self._register = register
        self._counters = counters
        self._lease = register.lease_seconds
        # One lease lasts for several attempts to renew it. Another relay waits about a second.
        self._renewal, self._look, self._retry = self._lease / 3, self._lease / 15, self._lease / 30
        self._loop = asyncio.get_running_loop()
        self._expiry: asyncio.TimerHandle | None = None
        self._asked: dict[str, int] = {}

    async def step(self) -> float | None:
        """Do what is due; return the seconds until the next step, None if only a need will call for it."""
        try:
            others = await self._others()
            due = {
                key: counter.claim for key, counter in self._counters.items() if self._is_due(key, counter, others)
            }
            if due:
                await self._claim(due)
        except StoreUnavailable:
            return self._retry
        except Exception:  # noqa: BLE001  # whatever it is, the next attempt may succeed
            _log.exception("The places at mail servers were not renewed; trying again.")
            return self._retry
        return self._pause()

    async def _others(self) -> Collection[str]:
        held = [key for key, counter in self._counters.items() if counter.granted]
        return await self._register.others_waiting(held) if held else ()

    def _is_due(self, key: str, counter: Counter, others: Collection[str]) -> bool:
        changed = {counter.claim, self._asked.get(key, 0)} != {counter.granted}
        return key in others or changed or (counter.granted > 0 and self._loop.time() >= counter.next_claim)

    async def _claim(self, wanted: Mapping[str, int]) -> None:
        asked_at = self._loop.time()
        grants = await self._register.claim(wanted)
        for key, grant in grants.items():
            counter = self._counters[key]
            counter.next_claim = asked_at + self._renewal
            self._asked[key] = grant.places
            counter.apply(grant, asked_at + self._lease, self._loop.time())
        self._watch_expiry()

    def _watch_expiry(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        ends = [counter.until for counter in self._counters.values() if counter.granted]
        self._expiry = self._loop.call_at(min(ends), self._expire) if ends else None

    def _expire(self) -> None:
        self._expiry = None
        for counter in self._counters.values():
            if counter.granted and counter.until <= self._loop.time():
                counter.lose()
        self._watch_expiry()

    def _pause(self) -> float | None:
        if any(counter.need > counter.granted for counter in self._counters.values()):
            return self._retry
        return self._look if any(counter.granted for counter in self._counters.values()) else None

    async def release_all(self) -> None:
        """Return all places, so that other relays need not wait for the end of the lease."""
        if self._expiry is not None:
            self._expiry.cancel()
        for counter in self._counters.values():
            counter.lose()
        held = dict.fromkeys((key for key, places in self._asked.items() if places), 0)
        with suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(RELEASE_TIMEOUT_SECONDS):
                await self._register.claim(held)
