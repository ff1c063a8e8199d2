"""Limit what the clients of one process share: connections, bytes in flight, and unauthenticated requests.

Each amount has a total limit. One address may hold at most as much as it leaves free for others, so alone it
gets half of everything. Trusted proxies, which speak for many clients, are bound by the total alone. When no
place for a connection is free, the oldest idle connection makes room; connections of trusted proxies stay,
because a request that meets the end of one becomes a 502.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address

from mailsettings.domain.login_throttling import client_network

MAX_BYTES_IN_FLIGHT = 64 * 1024 * 1024
"""Of requests that are not answered yet, and of answers that the clients have not taken. The memory for a byte of
a request is up to 2.5 bytes (`benchmarks/attacks.py`)."""
MAX_UNAUTHENTICATED_REQUESTS = 256
"""Requests at once whose callers have not shown a good access token, or do not need one."""
RESERVE_DIVISOR = 8
"""One of so many connections, requests and bytes is for addresses from which somebody has authenticated."""
MAX_KNOWN_ADDRESSES = 10_000
CAPACITY_STATE_KEY = "capacity"
"""The name in the application's state (ASGI lifespan)."""

Networks = Collection[IPv4Network | IPv6Network]


@dataclass(frozen=True, slots=True)
class CapacityLimits:
    """How much there is to share, and which proxies are trusted."""

    max_connections: int = 2048
    trusted_proxies: Networks = ()


class Capacity:
    """Everything that the clients of this process share."""

    def __init__(self, limits: CapacityLimits) -> None:
        self._known: dict[str, None] = {}  # the newest last
        self._trusted = limits.trusted_proxies
        self.connections = Pool(limits.max_connections, self._known)
        self.bytes_in_flight = Pool(MAX_BYTES_IN_FLIGHT, self._known)
        self.unauthenticated = Pool(MAX_UNAUTHENTICATED_REQUESTS, self._known)
        self.client_key = lru_cache(4096)(self._client_key)

    def _client_key(self, address: str | None) -> str | None:
        """Return under which name what *address* uses is counted; None for trusted proxies."""
        try:
            parsed = ip_address(address or "")
        except ValueError:
            return address or ""
        return None if any(parsed in network for network in self._trusted) else client_network(str(parsed))

    def remember(self, address: str | None) -> None:
        """Note that somebody has authenticated from *address*, for which there is a reserve."""
        client_key = self.client_key(address)
        if client_key is not None:
            self._known.pop(client_key, None)
            self._known[client_key] = None
            if len(self._known) > MAX_KNOWN_ADDRESSES:
                del self._known[next(iter(self._known))]


class Pool:
    """An amount that is shared. Who shares is a name as of `Capacity.client_key`."""

    def __init__(self, limit: int, known: Collection[str] = ()) -> None:
        self.limit = limit
        self.used = 0
        self._known = known
        self._of: Counter[str] = Counter()

    def take(self, client_key: str | None, amount: int = 1) -> bool:
        """Return whether there was room for *amount* more, which is then taken."""
        free = self._free_for(client_key) - amount
        if free < 0 or self.used_by(client_key) > free:
            return False
        self.add(client_key, amount)
        return True

    def add(self, client_key: str | None, amount: int) -> None:
        """Take *amount*, or give it back if it is negative, whether there is room or not."""
        self.used += amount
        if client_key is not None:
            self._of[client_key] += amount
            if not self._of[client_key]:
                del self._of[client_key]

    def used_by(self, client_key: str | None) -> int:
        """Return how much *sharer* holds; 0 for a trusted proxy."""
        return 0 if client_key is None else self._of[client_key]

    def is_full(self, client_key: str | None) -> bool:
        """Return whether there is nothing left for *sharer*, however little it holds."""
        return self._free_for(client_key) < 1

    def has_reserve_for(self, client_key: str | None) -> bool:
        """Return whether *sharer* may use the reserve."""
        return client_key is None or client_key in self._known

    def _free_for(self, client_key: str | None) -> int:
        return self.limit - self.used - (0 if self.has_reserve_for(client_key) else self.limit // RESERVE_DIVISOR)


class Allocation:
    """How much of a pool one connection holds."""

    def __init__(self, pool: Pool, client_key: str | None) -> None:
        self._pool = pool
        self._client_key = client_key
        self._held = 0

    def set(self, amount: int) -> None:
        """Hold *amount* from now on, whether there is room or not."""
        self._pool.add(self._client_key, amount - self._held)
        self._held = amount

    def levels(self) -> tuple[int, int]:
        """Return how much is held by all, and by this connection's address."""
        return self._pool.used, self._pool.used_by(self._client_key)

    def try_raise_to(self, amount: int) -> bool:
        """Return whether there is room to hold *amount* from now on, which is then held."""
        if amount > self._held and not self._pool.take(self._client_key, amount - self._held):
            return False
        self._held = max(self._held, amount)
        return True


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
