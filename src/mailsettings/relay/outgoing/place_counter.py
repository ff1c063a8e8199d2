"""Count the places of one mailbox in this relay, and give them out in the order of arrival."""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from mailsettings.domain.relay_places import PlaceGrant, largest_part


class Place:
    """The right to one connection, until `until` by the event loop's clock.

    `owner` is the pool that holds it. That sets `on_wanted`, called when another needs the place after the message
    in progress, and `on_lost`, called when the connection must end at once.
    """

    def __init__(self, counter: "Counter", owner: object) -> None:
        self._counter: Counter | None = counter
        self.owner = owner
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


@dataclass(eq=False, slots=True)
class _Waiter:
    place: asyncio.Future[Place]
    owner: object


class Counter:
    """The places of one key: those held, and the pools in line. `granted` of them belong to this relay."""

    def __init__(self, limit: int, granted: int, on_need: Callable[[], None]) -> None:
        self._limit = limit
        self._on_need = on_need
        self._held: list[Place] = []
        self._line: deque[_Waiter] = deque()
        self._to_yield = 0
        self._yielded = False
        self.granted = granted
        self.until = math.inf if granted else -math.inf
        self.next_claim = -math.inf
        self.granted_since = -math.inf

    @property
    def need(self) -> int:
        """The number of places to hold: those in use, and those that would be."""
        waiting = sum(not waiter.place.done() for waiter in self._line)
        return min(len(self._held) + waiting, self._limit)

    @property
    def claim(self) -> int:
        """The number of places to claim; a place given up for another relay is released first."""
        return min(self.need, self.granted) if self._yielded else self.need

    async def take(self, owner: object) -> Place:
        """Wait for a place, in the order of arrival."""
        waiter = _Waiter(asyncio.get_running_loop().create_future(), owner)
        self._line.append(waiter)
        self._serve()
        self._ask_for_more()
        try:
            return await waiter.place
        except asyncio.CancelledError:
            self._leave(waiter)
            raise

    def _leave(self, waiter: "_Waiter") -> None:
        if waiter in self._line:
            self._line.remove(waiter)
        elif not waiter.place.cancelled():
            waiter.place.result().release()

    def _serve(self) -> None:
        while self._line and len(self._held) < self.granted - self._to_yield:
            waiter = self._line.popleft()
            if not waiter.place.done():
                place = Place(self, waiter.owner)
                self._held.append(place)
                waiter.place.set_result(place)

    def _ask_for_more(self) -> None:
        if self._line and self.granted < self._limit:
            self._on_need()
        else:
            self._ask_other_pools()

    def _ask_other_pools(self) -> None:
        """Ask for a place for each waiter, but not its own pool, which would only log in again."""
        asked = [place for place in self._held if place.wanted]
        for waiter in [*self._line]:
            given = next((place for place in asked if place.owner is not waiter.owner), None)
            if given is not None:
                asked.remove(given)
            elif (place := self._of_another(waiter.owner)) is not None:
                place.want()

    def _of_another(self, owner: object) -> Place | None:
        free = (place for place in self._held if not place.wanted and place.owner is not owner)
        return next(free, None)

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
        self._ask_other_pools()

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


def _ignore() -> None:
    pass
