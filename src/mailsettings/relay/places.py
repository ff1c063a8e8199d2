"""Places: the rights to connections to a mail server, which never admits more than a few at once.

They are counted by host and user name, because a provider counts the connections of a mailbox: pools with another
secret, and pools that a changed setting made obsolete, share them.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence

from mailsettings.domain.mail_server import Destination


def places_key(destination: Destination) -> str:
    """Return the key under which the connections to *destination* are counted."""
    return f"{destination.username or ''}@{destination.host}"


class Place:
    """The right to one connection until `until`, by the event loop's clock."""

    def __init__(self, release: Callable[["Place"], None]) -> None:
        self._release: Callable[[Place], None] | None = release
        self.until = math.inf
        self.wanted = False
        self.on_wanted: Callable[[], None] = _ignore

    def want(self) -> None:
        """Ask the holder to release the place after the message in progress."""
        self.wanted = True
        self.on_wanted()

    def release(self) -> None:
        """Return the place. Does nothing the second time."""
        release, self._release = self._release, None
        if release is not None:
            release(self)


class _Counter:
    """The places of one key, and who waits for them, in the order of arrival."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: list[Place] = []
        self._line: deque[asyncio.Future[Place]] = deque()

    async def take(self) -> Place:
        waiter: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        self._line.append(waiter)
        self._serve()
        try:
            return await waiter
        except asyncio.CancelledError:
            self._leave(waiter)
            raise

    def _leave(self, waiter: "asyncio.Future[Place]") -> None:
        if waiter in self._line:
            self._line.remove(waiter)
        elif waiter.done() and not waiter.cancelled():
            waiter.result().release()

    def _serve(self) -> None:
        while self._line and len(self._held) < self._limit:
            waiter = self._line.popleft()
            if not waiter.done():
                place = Place(self._released)
                self._held.append(place)
                waiter.set_result(place)
        for place in self._asked(len(self._line)):
            place.want()

    def _asked(self, count: int) -> Sequence[Place]:
        """Return the places to ask for, so that *count* will be released."""
        missing = count - sum(place.wanted for place in self._held)
        return [place for place in self._held if not place.wanted][: max(missing, 0)]

    def _released(self, place: Place) -> None:
        self._held.remove(place)
        self._serve()


class Places:
    """The places of this process, at most *limit* for a key."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._counters: dict[str, _Counter] = {}

    async def take(self, key: str) -> Place:
        """Wait for a place in the order of arrival; holders of idle connections are asked for theirs."""
        return await self._counters.setdefault(key, _Counter(self.limit)).take()


def _ignore() -> None:
    pass
