"""Which connections are open, and which of them makes room for a new one: an idle one, the oldest first.

First one of the same address, then one of the stranger's address that has the most. Connections of trusted
proxies stay: a request that meets the end of one is a 502.
"""

from collections import defaultdict
from collections.abc import Callable

from mailsettings.web.capacity import Pool


class Slots:
    """The places for connections in one process."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._idle: defaultdict[str, dict[Slot, None]] = defaultdict(dict)

    def enter(self, sharer: str | None) -> "Slot | None":
        """Return a place for a connection, which is idle; None if there is no room."""
        while not self._pool.take(sharer):
            dispensable = self._dispensable(sharer)
            if dispensable is None:
                return None
            dispensable.release()
            dispensable.close()
        slot = Slot(self, sharer)
        self.note_idle(slot)
        return slot

    def note_idle(self, slot: "Slot") -> None:
        """Let *slot* make room if need be, after those that are idle for longer."""
        if slot.sharer is not None:
            self._idle[slot.sharer][slot] = None

    def note_busy(self, slot: "Slot") -> None:
        """Let *slot* stay."""
        of_address = self._idle.get(slot.sharer or "", {})
        of_address.pop(slot, None)
        if not of_address:
            self._idle.pop(slot.sharer or "", None)

    def leave(self, slot: "Slot") -> None:
        """Forget *slot*."""
        self.note_busy(slot)
        self._pool.add(slot.sharer, -1)

    def _dispensable(self, sharer: str | None) -> "Slot | None":
        if sharer is not None and sharer in self._idle:
            return next(iter(self._idle[sharer]))
        if not self._pool.is_full(sharer):
            return None  # it is this address that has too many
        strangers = [each for each in self._idle if not self._pool.has_reserve_for(each)]
        return next(iter(self._idle[max(strangers, key=self._pool.used_by)])) if strangers else None


class Slot:
    """The place of one connection, of which *sharer* has one more."""

    def __init__(self, slots: Slots, sharer: str | None) -> None:
        self.sharer = sharer
        self.close: Callable[[], None] = _nothing
        """What closes the connection at once, to make room."""
        self._slots: Slots | None = slots

    def be_idle(self) -> None:
        """Wait for a request."""
        if self._slots is not None:
            self._slots.note_idle(self)

    def be_busy(self) -> None:
        """Have a request."""
        if self._slots is not None:
            self._slots.note_busy(self)

    def release(self) -> None:
        """Make room; the second time, do nothing."""
        slots, self._slots = self._slots, None
        if slots is not None:
            slots.leave(self)


def _nothing() -> None:
    pass
