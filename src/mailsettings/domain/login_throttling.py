"""Login throttling: how failed logins are counted, and how long the next login has to wait.

Failures are counted for each account and neighbourhood together, so that an attacker makes its own neighbourhood
wait and not the owner of the account. Limits on what many neighbourhoods do together are higher, end by
themselves, and do not hold for a neighbourhood that is known: from which the account has logged in lately.
See docs/decisions/0012-who-waits-after-failed-logins.md.
"""

import ipaddress
import math
from collections.abc import Mapping
from dataclasses import dataclass

KNOWN_NETWORK_SECONDS = 30 * 86400
"""How long a neighbourhood is known after its last login with an account."""
MAX_KNOWN_NETWORKS_PER_ACCOUNT = 50
"""Known neighbourhoods of one account; the one with the oldest login is forgotten first."""


@dataclass(frozen=True, slots=True)
class Failures:
    """Failed logins that have something in common; times are seconds since the epoch.

    `last_at` is when the last of them was, or when a `FixedWindow` began to count.
    """

    count: int = 0
    last_at: float = 0
    blocked_until: float = 0

    def wait_seconds(self, now: float) -> int:
        """How long until the next login is looked at; 0 for at once."""
        return max(0, math.ceil(self.blocked_until - now))


@dataclass(frozen=True, slots=True)
class Backoff:
    """After `free` failures each one more costs a wait, twice the last one and `max_seconds` at most."""

    free_failures: int
    first_wait_seconds: float = 5
    max_seconds: float = 15 * 60
    forgotten_after_seconds: float = 12 * 3600

    def after_failure(self, failures: Failures, now: float) -> Failures:
        """*failures* and one more, now."""
        forgotten = now - failures.last_at > self.forgotten_after_seconds
        count = 1 if forgotten else failures.count + 1
        return Failures(count, now, now + self._wait(count))

    def _wait(self, count: int) -> float:
        beyond = count - self.free_failures
        if beyond < 0:
            return 0
        return min(self.max_seconds, self.first_wait_seconds * 2.0 ** min(beyond, 32))


@dataclass(frozen=True, slots=True)
class FixedWindow:
    """At most `failures` in each period, which begins with the first of them; then a wait until its end."""

    failures: int
    forgotten_after_seconds: float = 3600

    def after_failure(self, failures: Failures, now: float) -> Failures:
        """*failures* and one more, now."""
        if not 0 <= now - failures.last_at < self.forgotten_after_seconds:
            failures = Failures(0, now)
        count, ends = failures.count + 1, failures.last_at + self.forgotten_after_seconds
        return Failures(count, failures.last_at, ends if count >= self.failures else 0)


Limit = Backoff | FixedWindow

ACCOUNT_FROM_NETWORK_LIMIT = Backoff(free_failures=5)
"""From one neighbourhood. A client of one vendor logs in again three times by itself before it gives up."""
NETWORK_LIMIT = Backoff(free_failures=20, forgotten_after_seconds=30 * 60)
"""Many people may share an address, and no login that succeeds forgets their failures; half an hour without one
does, or a few in each shift would end in the longest wait after every one."""
SITE_LIMIT = FixedWindow(45)
"""From an IPv6 /48, which one customer may have, with 65,536 neighbourhoods in it. One of these alone makes fewer,
so that it does not make the others wait."""
ACCOUNT_LIMIT = FixedWindow(100)
"""From all neighbourhoods that are not known. One network alone makes fewer, even in two of its periods."""
MAX_MEMORY_SECONDS = max(
    limit.forgotten_after_seconds
    for limit in (ACCOUNT_FROM_NETWORK_LIMIT, NETWORK_LIMIT, SITE_LIMIT, ACCOUNT_LIMIT)
)


@dataclass(frozen=True, slots=True)
class ThrottleKey:
    """What some failed logins have in common; `account` is the name where they are of one account."""

    text: str
    account: str | None = None


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """A login by *name* from *address*; None where there is no name or no address to count by."""

    name: str | None
    address: str | None

    @property
    def client_network(self) -> str:
        """Where it comes from; empty where that cannot be told."""
        return client_network(self.address or "")

    @property
    def account_from_network(self) -> ThrottleKey:
        """The failures of this account from this neighbourhood."""
        return ThrottleKey(f"account|{self.name}|from|{self.client_network}", self.name)

    @property
    def callers(self) -> tuple[str, ...]:
        """Who takes a share of what logins cost."""
        address = () if self.address is None else (f"address|{self.client_network}",)
        return *address, f"account|{self.name}"

    def limits(self, *, known: bool) -> Mapping[ThrottleKey, Limit]:
        """What its failure counts for; *known* spares the neighbourhood what others cause."""
        limits: dict[ThrottleKey, Limit] = {}
        if self.name is not None:
            limits[self.account_from_network] = ACCOUNT_FROM_NETWORK_LIMIT
        if self.address is not None:
            limits[ThrottleKey(f"address|{self.client_network}")] = NETWORK_LIMIT
        if not known:
            limits.update(self._shared_limits())
        return limits

    def _shared_limits(self) -> Mapping[ThrottleKey, Limit]:
        """The limits on what many neighbourhoods do together."""
        limits: dict[ThrottleKey, Limit] = {}
        if self.name is not None:
            limits[ThrottleKey(f"account|{self.name}", self.name)] = ACCOUNT_LIMIT
        if (network := site_network(self.address or "")) is not None:
            limits[ThrottleKey(f"network|{network}")] = SITE_LIMIT
        return limits


def client_network(address: str) -> str:
    """An IPv4 address, or the /64 network of an IPv6 one, of which one machine has all the addresses."""
    parsed = _parsed(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address if parsed is None else str(parsed)


def site_network(address: str) -> str | None:
    """The /48 network of an IPv6 address (RFC 6177: what one site may have); None for all others."""
    parsed = _parsed(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 48), strict=False))
    return None


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return (parsed.ipv4_mapped or parsed) if isinstance(parsed, ipaddress.IPv6Address) else parsed
