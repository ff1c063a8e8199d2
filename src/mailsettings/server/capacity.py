"""What the clients of one process share: connections, bytes in flight, and requests of strangers.

Each is bounded in all. Besides, an address may hold no more than it leaves free for the others, so that alone it
gets half of everything, and ten that take what they can leave an eleventh free. Trusted proxies, which speak for
many, are bound by the total alone.
"""

from collections import Counter
from collections.abc import Collection
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
