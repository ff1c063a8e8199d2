"""Places: the rights to connections to a mail server, which admits only a few at once.

They are counted by host and user name, because a provider counts the connections of a mailbox: pools with another
secret, and pools that a changed setting made obsolete, have them in common. Several relays of one database divide
them by lease: a message takes a place in memory, and a task of its own asks the database.
"""

import asyncio
import hashlib
import logging
import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Protocol

from mailsettings.domain.errors import StoreUnavailable
from mailsettings.domain.mail_server import Destination
from mailsettings.domain.relay_places import PlaceGrant, largest_part

RELEASE_TIMEOUT_SECONDS = 3.0
_log = logging.getLogger("mailsettings.relay")


class PlaceRegister(Protocol):
    """What all relays know about their places. Each method may raise `StoreUnavailable`."""

    lease_seconds: float

    async def claim(self, wanted: Mapping[str, int]) -> Mapping[str, PlaceGrant]:
        """Renew, take or release places, so that this relay holds at most the *wanted* number for each key."""

    async def others_waiting(self, keys: Collection[str]) -> frozenset[str]:
        """Return those of *keys* for which another relay has too few places."""


def places_key(destination: Destination) -> str:
    """Return the key under which the connections to *destination* are counted."""
    return hashlib.sha256(f"{destination.username or ''}\n{destination.host}".encode()).hexdigest()


class Place:
    """The right to one connection, until `until` by the event loop's clock.

    The holder sets `on_wanted`, called when another needs the place after the message in progress, and `on_lost`,
    called when it must end the connection at once.
    """

    def __init__(self, counter: "Counter") -> None:
        self._counter: Counter | None = counter
        self.wanted = False
        self.on_wanted: Callable[[], None] = _ignore
        self.on_lost: Callable[[], object] = _ignore

    @property
    def until(self) -> float:
        """The end of the place; in the past after its release."""
        return self._counter.until if self._counter is not None else -math.inf

    def want(self) -> None:
        """Ask the holder to release the place after the message in progress."""
        self.wanted = True
        self.on_wanted()

    def release(self) -> None:
        """Return the place. Does nothing the second time."""
        counter, self._counter = self._counter, None
        if counter is not None:
            counter.released(self)


class Counter:
    """The places of one key: those held, and the pools in line. `granted` of them belong to this relay."""

    def __init__(self, limit: int, granted: int, on_need: Callable[[], None]) -> None:
        self._limit = limit
        self._on_need = on_need
        self._held: list[Place] = []
        self._line: deque[asyncio.Future[Place]] = deque()
        self._to_yield = 0
        self._yielded = False
        self.granted = granted
        self.until = math.inf if granted else -math.inf
        self.next_claim = -math.inf
        self.granted_since = -math.inf

    @property
    def need(self) -> int:
        """The number of places to hold: those in use, and those that would be."""
        waiting = sum(not waiter.done() for waiter in self._line)
        return min(len(self._held) + waiting, self._limit)

    @property
    def claim(self) -> int:
        """The number of places to claim; a place given up for another relay is released first."""
        return min(self.need, self.granted) if self._yielded else self.need

    async def take(self) -> Place:
        """Wait for a place, in the order of arrival."""
        waiter: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        self._line.append(waiter)
        self._serve()
        self._ask_for_more()
        try:
            return await waiter
        except asyncio.CancelledError:
            self._leave(waiter)
            raise

    def _leave(self, waiter: "asyncio.Future[Place]") -> None:
        if waiter in self._line:
            self._line.remove(waiter)
        elif not waiter.cancelled():
            waiter.result().release()

    def _serve(self) -> None:
        while self._line and len(self._held) < self.granted - self._to_yield:
            waiter = self._line.popleft()
            if not waiter.done():
                place = Place(self)
                self._held.append(place)
                waiter.set_result(place)

    def _ask_for_more(self) -> None:
        if self._line and self.granted < self._limit:
            self._on_need()
        elif self._line:
            self._ask_for(len(self._line))

    def _ask_for(self, number: int) -> None:
        missing = number - sum(place.wanted for place in self._held)
        for place in [place for place in self._held if not place.wanted][: max(missing, 0)]:
            place.want()

    def released(self, place: Place) -> None:
        """Take *place* back."""
        self._held.remove(place)
        if self._to_yield:
            self._to_yield -= 1
            self._yield(1)
        self._serve()
        self._ask_for_more()

    def apply(self, grant: PlaceGrant, until: float, now: float) -> None:
        """Take over what the register granted until *until*."""
        if grant.places and not self.granted:
            self.granted_since = now
        self.granted, self.until = grant.places, until
        self._to_yield, self._yielded = 0, False
        for place in self._held[self.granted :]:
            place.on_lost()
        if grant.waiting:
            self._yield_to_others(grant, now)
        self._serve()
        self._ask_for(len(self._line))

    def _yield_to_others(self, grant: PlaceGrant, now: float) -> None:
        """Release the places above the fair number; with more relays than places, take turns."""
        keep = largest_part(self._limit, grant.relays)
        if grant.relays > self._limit and now - self.granted_since >= (self.until - now) / 5:
            keep = 0
        self._to_yield = max(self.granted - keep, 0)
        free = self.granted - len(self._held)
        unused = min(free, self._to_yield)
        self._to_yield -= unused
        self._yield(unused)
        self._ask_for(self._to_yield)

    def _yield(self, number: int) -> None:
        if number:
            self.granted -= number
            self._yielded = True
            self._on_need()

    def lose(self) -> None:
        """End all connections at once: the lease is over."""
        self.granted = 0
        for place in [*self._held]:
            place.on_lost()


class Places:
    """The places of this relay, at most *limit* for a mailbox; with a *register*, over all relays."""

    def __init__(self, limit: int, register: PlaceRegister | None = None) -> None:
        self.limit = limit
        self._register = register
        self._counters: dict[str, Counter] = {}
        self._needed = asyncio.Event()

    async def take(self, key: str) -> Place:
        """Wait for a place in the order of arrival; holders of idle connections are asked for theirs."""
        counter = self._counters.get(key)
        if counter is None:
            granted = self.limit if self._register is None else 0
            counter = self._counters[key] = Counter(self.limit, granted, self._needed.set)
        return await counter.take()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hold places by lease during the block; with a register, no place is given out before it."""
        if self._register is None:
            yield
            return
        task = asyncio.create_task(self._run(_Keeper(self._register, self._counters)))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def _run(self, keeper: "_Keeper") -> None:
        try:
            while True:
                self._needed.clear()
                pause = await keeper.step()
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._needed.wait()
        finally:
            await keeper.release_all()


class _Keeper:
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


def _ignore() -> None:
    pass
