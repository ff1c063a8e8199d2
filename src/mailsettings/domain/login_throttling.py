"""Login throttling: how failed logins are counted, and how long the next login has to wait.

Failures are counted for each pair of account and client network, so an attacker delays its own network and not the
owner of the account. The limits on several networks together are higher, end by themselves, and do not apply to
known networks: those from which the account logged in lately.
See docs/decisions/0012-who-waits-after-failed-logins.md.
"""

import ipaddress
import math
from collections.abc import Mapping
from dataclasses import dataclass

KNOWN_NETWORK_SECONDS = 30 * 86400
"""How long a network stays known after the last login with an account from there."""
MAX_KNOWN_NETWORKS_PER_ACCOUNT = 50
"""When an account has more known networks, the one with the oldest login is forgotten."""


@dataclass(frozen=True, slots=True)
class Failures:
    """Failed logins with the same key; times are seconds since the epoch.

    `last_at` is the time of the last failure, or for a `FixedWindow` the start of its period.
    """

    count: int = 0
    last_at: float = 0
    blocked_until: float = 0

    def wait_seconds(self, now: float) -> int:
        """Return the seconds until the next login is accepted for checking; 0 for now."""
        return max(0, math.ceil(self.blocked_until - now))


@dataclass(frozen=True, slots=True)
class Backoff:
    """After `free` failures, each further one doubles the wait, up to `max_seconds`."""

    free_failures: int
    first_wait_seconds: float = 5
    max_seconds: float = 15 * 60
    forgotten_after_seconds: float = 12 * 3600

    def after_failure(self, failures: Failures, now: float) -> Failures:
        """Return *failures* with one more at *now*."""
        forgotten = now - failures.last_at > self.forgotten_after_seconds
        count = 1 if forgotten else failures.count + 1
        return Failures(count, now, now + self._wait(count))

    def _wait(self, count: int) -> float:
        beyond = count - self.free_failures
        if beyond < 0:
            return 0
        # The exponent is bounded, because a float overflows at 2 ** 1024.
        return min(self.max_seconds, self.first_wait_seconds * 2.0 ** min(beyond, 32))


@dataclass(frozen=True, slots=True)
class FixedWindow:
    """At most `failures` in a period that begins with the first failure; then a wait until its end."""

    failures: int
    forgotten_after_seconds: float = 3600

    def after_failure(self, failures: Failures, now: float) -> Failures:
        """Return *failures* with one more at *now*."""
        # A negative age means that the clock was set back; the period then starts again.
        if not 0 <= now - failures.last_at < self.forgotten_after_seconds:
            failures = Failures(0, now)
        count, ends = failures.count + 1, failures.last_at + self.forgotten_after_seconds
        return Failures(count, failures.last_at, ends if count >= self.failures else 0)


Limit = Backoff | FixedWindow

ACCOUNT_FROM_NETWORK_LIMIT = Backoff(free_failures=5)
"""For one account from one client network. One vendor's client retries a login three times before it gives up."""
NETWORK_LIMIT = Backoff(free_failures=20, forgotten_after_seconds=30 * 60)
"""For one client network and all accounts. Many people may share an address, so a successful login does not reset
the count; half an hour without a failure does, or a few failures in each shift would lead to the longest wait."""
SITE_LIMIT = FixedWindow(45)
"""For an IPv6 /48, which one customer may have and which contains 65,536 client networks. A single one of them
reaches its own limit first, so it cannot delay the others."""
ACCOUNT_LIMIT = FixedWindow(100)
"""For one account from all networks that are not known. One site alone stays below it, even in two periods."""
MAX_MEMORY_SECONDS = max(
    limit.forgotten_after_seconds
    for limit in (ACCOUNT_FROM_NETWORK_LIMIT, NETWORK_LIMIT, SITE_LIMIT, ACCOUNT_LIMIT)
)


@dataclass(frozen=True, slots=True)
class ThrottleKey:
    """The key by which failed logins are counted; `account` is set when the key belongs to one account."""

    text: str
    account: str | None = None


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """A login with *name* from *address*; None where the name or address is unknown."""

    name: str | None
    address: str | None

    @property
    def client_network(self) -> str:
        """The client network of the address; empty if the address is unknown."""
        return client_network(self.address or "")

    @property
    def account_from_network(self) -> ThrottleKey:
        """The key for this account from this client network."""
        return ThrottleKey(f"account|{self.name}|from|{self.client_network}", self.name)

    @property
    def account(self) -> ThrottleKey:
        """The key for this account from all networks together."""
        return ThrottleKey(f"account|{self.name}", self.name)

    @property
    def callers(self) -> tuple[str, ...]:
        """The network and the account that share the capacity for password hashing."""
        address = () if self.address is None else (f"address|{self.client_network}",)
        return *address, f"account|{self.name}"

    def limits(self, *, known: bool) -> Mapping[ThrottleKey, Limit]:
        """Return the limits that a failure counts for; a *known* network is exempt from shared limits."""
        limits: dict[ThrottleKey, Limit] = {}
        if self.name is not None:
            limits[self.account_from_network] = ACCOUNT_FROM_NETWORK_LIMIT
        if self.address is not None:
            limits[ThrottleKey(f"address|{self.client_network}")] = NETWORK_LIMIT
        if not known:
            limits.update(self._shared_limits())
        return limits

    def _shared_limits(self) -> Mapping[ThrottleKey, Limit]:
        """Return the limits on several client networks together."""
        limits: dict[ThrottleKey, Limit] = {}
        if self.name is not None:
            limits[self.account] = ACCOUNT_LIMIT
        if (network := site_network(self.address or "")) is not None:
            limits[ThrottleKey(f"network|{network}")] = SITE_LIMIT
        return limits


def client_network(address: str) -> str:
    """Return an IPv4 address itself, or the /64 of an IPv6 address: one machine may use all of its addresses."""
    parsed = _parsed(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address if parsed is None else str(parsed)


def site_network(address: str) -> str | None:
    """Return the /48 of an IPv6 address, the size that one site may have (RFC 6177); None for IPv4."""
    parsed = _parsed(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 48), strict=False))
    return None


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        # Without the zone of a link-local address (RFC 4007 11), which names an interface of this machine.
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    # A dual-stack socket shows IPv4 clients as ::ffff:192.0.2.1 (RFC 4291 2.5.5.2); count them as IPv4.
    return (parsed.ipv4_mapped or parsed) if isinstance(parsed, ipaddress.IPv6Address) else parsed
