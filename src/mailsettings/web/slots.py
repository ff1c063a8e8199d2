"""Which connections are open, and which of them makes room for a new one: an idle one, the oldest first.

First one of the same address, then one of the stranger's address that has the most. Connections of trusted
proxies stay: a request that meets the end of one is a 502.
"""

from collections import defaultdict
from collections.abc import Callable

from mailsettings.server.capacity import Pool


class ConnectionSlots:
    """The places for connections in one process."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._idle: defaultdict[str, dict[ConnectionSlot, None]] = defaultdict(dict)

    def enter(self, client_key: str | None) -> "ConnectionSlot | None":
        """Return a place for a connection, which is idle; None if there is no room."""
        while not self._pool.take(client_key):
            evictable = self._evictable(client_key)
            if evictable is None:
                return None
            evictable.release()
            evictable.close()
        slot = ConnectionSlot(self, client_key)
        self.add_idle(slot)
        return slot

    def add_idle(self, slot: "ConnectionSlot") -> None:
        """Let *slot* make room if need be, after those that are idle for longer."""
        if slot.client_key is not None:
            self._idle[slot.client_key][slot] = None

    def remove_idle(self, slot: "ConnectionSlot") -> None:
        """Let *slot* stay."""
        of_address = self._idle.get(slot.client_key or "", {})
        of_address.pop(slot, None)
        if not of_address:
            self._idle.pop(slot.client_key or "", None)

    def leave(self, slot: "ConnectionSlot") -> None:
        """Forget *slot*."""
        self.remove_idle(slot)
        self._pool.add(slot.client_key, -1)

    def _evictable(self, client_key: str | None) -> "ConnectionSlot | None":
        if client_key is not None and client_key in self._idle:
            return next(iter(self._idle[client_key]))
        if not self._pool.is_full(client_key):
            return None  # it is this address that has too many
        unreserved = [each for each in self._idle if not self._pool.has_reserve_for(each)]
        return next(iter(self._idle[max(unreserved, key=self._pool.used_by)])) if unreserved else None


class ConnectionSlot:
    """The place of one connection, of which *sharer* has one more."""

    def __init__(self, slots: ConnectionSlots, client_key: str | None) -> None:
        self.client_key = client_key
        self.close: Callable[[], None] = _do_nothing
        """What closes the connection at once, to make room."""
        self._slots: ConnectionSlots | None = slots

    def mark_idle(self) -> None:
        """Wait for a request."""
        if self._slots is not None:
            self._slots.add_idle(self)

    def mark_busy(self) -> None:
        """Have a request."""
        if self._slots is not None:
            self._slots.remove_idle(self)

    def release(self) -> None:
        """Make room; the second time, do nothing."""
        slots, self._slots = self._slots, None
        if slots is not None:
            slots.leave(self)


def _do_nothing() -> None:
    pass
