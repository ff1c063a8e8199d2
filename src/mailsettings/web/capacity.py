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

from mailsettings.domain.guessing import neighbourhood

MAX_BYTES_IN_FLIGHT = 64 * 1024 * 1024
"""Of requests that are not answered yet, and of answers that the clients have not taken. The memory for a byte of
a request is up to 2.5 bytes (`benchmarks/attacks.py`)."""
MAX_STRANGERS_REQUESTS = 256
"""Requests at once whose callers have not shown a good access token, or do not need one."""
RESERVE = 8
"""One of so many connections, requests and bytes is for addresses from which somebody has authenticated."""
MAX_KNOWN_ADDRESSES = 10_000
CAPACITY = "capacity"
"""The name in the application's state (ASGI lifespan)."""

Networks = Collection[IPv4Network | IPv6Network]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much there is to share, and which proxies are trusted."""

    max_connections: int = 2048
    trusted_proxies: Networks = ()


class Capacity:
    """Everything that the clients of this process share."""

    def __init__(self, limits: Limits) -> None:
        self._known: dict[str, None] = {}  # the newest last
        self._trusted = limits.trusted_proxies
        self.connections = Pool(limits.max_connections, self._known)
        self.bytes_in_flight = Pool(MAX_BYTES_IN_FLIGHT, self._known)
        self.strangers = Pool(MAX_STRANGERS_REQUESTS, self._known)
        self.sharer = lru_cache(4096)(self._sharer)

    def _sharer(self, address: str | None) -> str | None:
        """Return under which name what *address* uses is counted; None for trusted proxies."""
        try:
            parsed = ip_address(address or "")
        except ValueError:
            return address or ""
        return None if any(parsed in network for network in self._trusted) else neighbourhood(str(parsed))

    def remember(self, address: str | None) -> None:
        """Note that somebody has authenticated from *address*, for which there is a reserve."""
        sharer = self.sharer(address)
        if sharer is not None:
            self._known.pop(sharer, None)
            self._known[sharer] = None
            if len(self._known) > MAX_KNOWN_ADDRESSES:
                del self._known[next(iter(self._known))]


class Pool:
    """An amount that is shared. Who shares is a name as of `Capacity.sharer`."""

    def __init__(self, most: int, known: Collection[str] = ()) -> None:
        self.most = most
        self.used = 0
        self._known = known
        self._of: Counter[str] = Counter()

    def take(self, sharer: str | None, amount: int = 1) -> bool:
        """Return whether there was room for *amount* more, which is then taken."""
        free = self._free_for(sharer) - amount
        if free < 0 or self.used_by(sharer) > free:
            return False
        self.add(sharer, amount)
        return True

    def add(self, sharer: str | None, amount: int) -> None:
        """Take *amount*, or give it back if it is negative, whether there is room or not."""
        self.used += amount
        if sharer is not None:
            self._of[sharer] += amount
            if not self._of[sharer]:
                del self._of[sharer]

    def used_by(self, sharer: str | None) -> int:
        """Return how much *sharer* holds; 0 for a trusted proxy."""
        return 0 if sharer is None else self._of[sharer]

    def is_full(self, sharer: str | None) -> bool:
        """Return whether there is nothing left for *sharer*, however little it holds."""
        return self._free_for(sharer) < 1

    def has_reserve_for(self, sharer: str | None) -> bool:
        """Return whether *sharer* may use the reserve."""
        return sharer is None or sharer in self._known

    def _free_for(self, sharer: str | None) -> int:
        return self.most - self.used - (0 if self.has_reserve_for(sharer) else self.most // RESERVE)


class Account:
    """How much of a pool one connection holds."""

    def __init__(self, pool: Pool, sharer: str | None) -> None:
        self._pool = pool
        self._sharer = sharer
        self._held = 0

    def set(self, amount: int) -> None:
        """Hold *amount* from now on, whether there is room or not."""
        self._pool.add(self._sharer, amount - self._held)
        self._held = amount

    def levels(self) -> tuple[int, int]:
        """Return how much is held by all, and by this connection's address."""
        return self._pool.used, self._pool.used_by(self._sharer)

    def raise_to(self, amount: int) -> bool:
        """Return whether there is room to hold *amount* from now on, which is then held."""
        if amount > self._held and not self._pool.take(self._sharer, amount - self._held):
            return False
        self._held = max(self._held, amount)
        return True
