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
"""Bytes of requests without a response yet, and of responses that clients have not read. One byte of a request
takes up to 2.5 bytes of memory (`benchmarks/attacks.py`)."""
MAX_UNAUTHENTICATED_REQUESTS = 256
"""Concurrent requests of callers that have not shown a valid access token, or need none."""
RESERVE_DIVISOR = 8
"""One in this many connections, requests and bytes is reserved for addresses that have authenticated."""
MAX_KNOWN_ADDRESSES = 10_000
CAPACITY_STATE_KEY = "capacity"
"""The key of the `Capacity` in the application's state (ASGI lifespan)."""

Networks = Collection[IPv4Network | IPv6Network]


@dataclass(frozen=True, slots=True)
class CapacityLimits:
    """The configurable limit of connections, and the trusted proxies, each of which speaks for many clients."""

    max_connections: int = 2048
    trusted_proxies: Networks = ()


class Capacity:
    """The pools that the clients of one process share, and the addresses that may use their reserve."""

    def __init__(self, limits: CapacityLimits) -> None:
        self._known: dict[str, None] = {}  # the newest last
        self._trusted = limits.trusted_proxies
        self.connections = Pool(limits.max_connections, self._known)
        self.bytes_in_flight = Pool(MAX_BYTES_IN_FLIGHT, self._known)
        self.unauthenticated = Pool(MAX_UNAUTHENTICATED_REQUESTS, self._known)
        self.client_key = lru_cache(4096)(self._client_key)

    def _client_key(self, address: str | None) -> str | None:
        """Return the key under which the usage of *address* is counted; None for trusted proxies."""
        try:
            parsed = ip_address(address or "")
        except ValueError:
            return address or ""
        return None if any(parsed in network for network in self._trusted) else client_network(str(parsed))

    def remember(self, address: str | None) -> None:
        """Record that a caller has authenticated from *address*, which may use the reserve from now on."""
        client_key = self.client_key(address)
        if client_key is not None:
            self._known.pop(client_key, None)
            self._known[client_key] = None
            if len(self._known) > MAX_KNOWN_ADDRESSES:
                del self._known[next(iter(self._known))]


class Pool:
    """A shared amount with a limit. Clients are identified by keys from `Capacity.client_key`."""

    def __init__(self, limit: int, known: Collection[str] = ()) -> None:
        self.limit = limit
        self.used = 0
        self._known = known
        self._of: Counter[str] = Counter()

    def take(self, client_key: str | None, amount: int = 1) -> bool:
        """Take *amount* if the limits allow it; return whether they do."""
        free = self._free_for(client_key) - amount
        if free < 0 or self.used_by(client_key) > free:
            return False
        self.add(client_key, amount)
        return True

    def add(self, client_key: str | None, amount: int) -> None:
        """Take *amount* regardless of the limits; a negative amount is given back."""
        self.used += amount
        if client_key is not None:
            self._of[client_key] += amount
            if not self._of[client_key]:
                del self._of[client_key]

    def used_by(self, client_key: str | None) -> int:
        """Return how much *client_key* holds; always 0 for a trusted proxy, which has no key."""
        return 0 if client_key is None else self._of[client_key]

    def is_full(self, client_key: str | None) -> bool:
        """Return whether nothing is left for *client_key*, however little it holds itself."""
        return self._free_for(client_key) < 1

    def has_reserve_for(self, client_key: str | None) -> bool:
        """Return whether *client_key* may use the reserve."""
        return client_key is None or client_key in self._known

    def _free_for(self, client_key: str | None) -> int:
        return self.limit - self.used - (0 if self.has_reserve_for(client_key) else self.limit // RESERVE_DIVISOR)


class Allocation:
    """The part of a pool that one connection holds."""

    def __init__(self, pool: Pool, client_key: str | None) -> None:
        self._pool = pool
        self._client_key = client_key
        self._held = 0

    def set(self, amount: int) -> None:
        """Hold *amount* from now on, regardless of the limits."""
        self._pool.add(self._client_key, amount - self._held)
        self._held = amount

    def levels(self) -> tuple[int, int]:
        """Return how much all clients hold, and how much the address of this connection holds."""
        return self._pool.used, self._pool.used_by(self._client_key)

    def try_raise_to(self, amount: int) -> bool:
        """Hold at least *amount* from now on if the limits allow it; return whether they do."""
        if amount > self._held and not self._pool.take(self._client_key, amount - self._held):
            return False
        self._held = max(self._held, amount)
        return True


class ConnectionSlots:
    """The open connections of one process.

    An idle connection of the same address makes room first, then one of the unreserved address with the most
    connections. Connections of trusted proxies stay.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._idle: defaultdict[str, dict[ConnectionSlot, None]] = defaultdict(dict)

    def enter(self, client_key: str | None) -> "ConnectionSlot | None":
        """Return a slot for a new connection, idle at first; None if there is no room."""
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
        """Make *slot* evictable, after the slots that have been idle for longer."""
        if slot.client_key is not None:
            self._idle[slot.client_key][slot] = None

    def remove_idle(self, slot: "ConnectionSlot") -> None:
        """Keep *slot* from eviction."""
        of_address = self._idle.get(slot.client_key or "", {})
        of_address.pop(slot, None)
        if not of_address:
            self._idle.pop(slot.client_key or "", None)

    def leave(self, slot: "ConnectionSlot") -> None:
        """Remove *slot* and give back its place."""
        self.remove_idle(slot)
        self._pool.add(slot.client_key, -1)

    def _evictable(self, client_key: str | None) -> "ConnectionSlot | None":
        if client_key is not None and client_key in self._idle:
            return next(iter(self._idle[client_key]))
        if not self._pool.is_full(client_key):
            return None  # the limit for this one address is reached, so no other address makes room
        unreserved = [each for each in self._idle if not self._pool.has_reserve_for(each)]
        return next(iter(self._idle[max(unreserved, key=self._pool.used_by)])) if unreserved else None


class ConnectionSlot:
    """The place of one connection of *client_key*."""

    def __init__(self, slots: ConnectionSlots, client_key: str | None) -> None:
        self.client_key = client_key
        self.close: Callable[[], None] = _do_nothing
        """Closes the connection at once, to make room for another."""
        self._slots: ConnectionSlots | None = slots

    def mark_idle(self) -> None:
        """Note that the connection waits for a request."""
        if self._slots is not None:
            self._slots.add_idle(self)

    def mark_busy(self) -> None:
        """Note that the connection processes a request."""
        if self._slots is not None:
            self._slots.remove_idle(self)

    def release(self) -> None:
        """Give back the place; a second call does nothing."""
        slots, self._slots = self._slots, None
        if slots is not None:
            slots.leave(self)


def _do_nothing() -> None:
    pass
