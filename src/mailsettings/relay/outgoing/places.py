"""Places: the rights to connections to a mail server, which admits only a few at once.

They are counted by host and user name, because a provider counts the connections of a mailbox: pools with another
secret, and pools that a changed setting made obsolete, have them in common. Several relays of one database divide
them by lease: a message takes a place in memory, and a task of its own asks the database.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from mailsettings.domain.mail_server import Destination
from mailsettings.relay.outgoing.place_counter import Counter, Place
from mailsettings.relay.outgoing.place_keeper import PlaceKeeper, PlaceRegister


def places_key(destination: Destination) -> str:
    """Return the key under which the connections to *destination* are counted."""
    return hashlib.sha256(f"{destination.username or ''}\n{destination.host}".encode()).hexdigest()


class Places:
    """The places of this relay, at most *limit* for a mailbox; with a *register*, over all relays."""

    def __init__(self, limit: int, register: PlaceRegister | None = None) -> None:
        self.limit = limit
        self._register = register
        self._counters: dict[str, Counter] = {}
        self._needed = asyncio.Event()

    async def take(self, key: str, owner: object) -> Place:
        """Wait for a place in the order of arrival; pools other than *owner* are asked for theirs."""
        counter = self._counters.get(key)
        if counter is None:
            granted = self.limit if self._register is None else 0
            counter = self._counters[key] = Counter(self.limit, granted, self._needed.set)
        return await counter.take(owner)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hold places by lease during the block; with a register, no place is given out before it."""
        if self._register is None:
            yield
            return
        task = asyncio.create_task(self._run(PlaceKeeper(self._register, self._counters)))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def _run(self, keeper: PlaceKeeper) -> None:
        try:
            while True:
                self._needed.clear()
                pause = await keeper.step()
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._needed.wait()
        finally:
            await keeper.release_all()
