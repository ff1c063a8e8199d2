"""How guessing passwords is made slow: a wait that doubles with each failure, and ends by itself.

No account is ever locked for good, or anybody could lock out anybody else.
"""

import ipaddress
import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Failures:
    """Failed logins that have something in common; times are seconds since the epoch."""

    count: int = 0
    last_at: float = 0
    blocked_until: float = 0

    def wait_seconds(self, now: float) -> int:
        """How long until the next login is looked at; 0 for at once."""
        return max(0, math.ceil(self.blocked_until - now))


@dataclass(frozen=True, slots=True)
class Patience:
    """After `free` failures each one more costs a wait, twice the last one and `longest_seconds` at most."""

    free: int
    first_seconds: float = 5
    longest_seconds: float = 15 * 60
    forgotten_after_seconds: float = 12 * 3600

    def after_failure(self, failures: Failures, now: float) -> Failures:
        """*failures* and one more, now."""
        forgotten = now - failures.last_at > self.forgotten_after_seconds
        count = 1 if forgotten else failures.count + 1
        return Failures(count, now, now + self._wait(count))

    def _wait(self, count: int) -> float:
        beyond = count - self.free
        if beyond < 0:
            return 0
        return min(self.longest_seconds, self.first_seconds * 2.0 ** min(beyond, 32))


WITH_ONE_ACCOUNT = Patience(free=5)
"""A client of one vendor logs in again three times by itself before it gives up."""
FROM_ONE_ADDRESS = Patience(free=20, forgotten_after_seconds=30 * 60)
"""Many people may share an address, and no login that succeeds forgets their failures; half an hour without one
does, or a few in each shift would end in the longest wait after every one."""


def neighbourhood(address: str) -> str:
    """An IPv4 address, or the /64 network of an IPv6 one, of which one machine has all the addresses."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    if mapped is not None or isinstance(parsed, ipaddress.IPv4Address):
        return str(mapped or parsed)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
