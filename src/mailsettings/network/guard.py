"""Look up a host once and check its addresses before each connection.

A second look-up may return other addresses (DNS rebinding), so connections go to the addresses that were checked,
and the certificate is verified against the name.

No setting opens our own listening socket or our database: a connection from inside bypasses whatever guards
them from outside. An endpoint on this machine is closed on all of the machine's addresses. Forwarding by another
machine (a proxy, a published container port, NAT) cannot be detected here and stays open.
"""

import asyncio
import errno
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, ip_address

from mailsettings.domain.connection_test import FailureCode, Steps
from mailsettings.network.policy import NETWORKS_SETTING, PORTS_SETTING, Address, EgressPolicy, reachable_addresses
from mailsettings.network.threads import DaemonThreads

MAX_CONCURRENT_LOOKUPS = 64
"""More than tests at once: a look-up that nobody waits for any more takes a thread until the resolver gives up."""

Resolve = Callable[[str], Sequence[Address]]


def resolve_with_system(host: str) -> Sequence[Address]:
    """All addresses of *host*, in the system's order of preference. Raises `OSError`; blocks."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    # A scope, as in fe80::1%eth0, is of no matter to the policy and refused with its address.
    texts = [str(sockaddr[0]).partition("%")[0] for *_, sockaddr in found]
    return [ip_address(text) for text in dict.fromkeys(texts)]


class HostLookup:
    """Looks names up on threads of its own; an address needs no looking up."""

    def __init__(self, resolve: Resolve = resolve_with_system) -> None:
        self._resolve = resolve
        self._threads = DaemonThreads(MAX_CONCURRENT_LOOKUPS, "look-up")

    async def addresses(self, host: str) -> Sequence[Address]:
        """Return all addresses of *host*, without zones, which compare as other addresses. Raises `OSError`."""
        with suppress(ValueError):
            return [ip_address(host.partition("%")[0])]
        return await self._threads.run(lambda: self._resolve(host))


LOOKUP_TIMEOUT_SECONDS = 3.0
_OWN_ENDPOINT_STEP = "Use another host or port: this one is the service's own."
_NOT_LOCAL_ERRORS = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL}
_UNSPECIFIED_ADDRESS = IPv4Address(0)


class NotAllowed(Exception):
    """A connection that the policy forbids; `explanation` is empty where that of the code says enough."""

    def __init__(self, code: FailureCode, steps: Steps, explanation: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.steps = steps
        self.explanation = explanation


class EgressGuard:
    """Lets connections through as *policy* has it; names of our own are looked up with *lookup*."""

    def __init__(self, policy: EgressPolicy, lookup: HostLookup) -> None:
        self._policy = policy
        self._lookup = lookup

    async def require(self, addresses: Sequence[Address], port: int) -> None:
        """One closed address closes the host: a name may not carry us past the policy. Raises `NotAllowed`."""
        if not all(self._policy.allows(address) for address in addresses):
            steps = (
                "Use another host.",
                f"Or ask this service's administrator to add its network to {NETWORKS_SETTING}.",
            )
            raise NotAllowed(FailureCode.ADDRESS_NOT_ALLOWED, steps)
        if await self._any_is_ours(addresses, port):
            raise NotAllowed(FailureCode.ADDRESS_NOT_ALLOWED, (_OWN_ENDPOINT_STEP,))

    def require_port(self, port: int) -> None:
        """Raises `NotAllowed`."""
        if not self._policy.allows_port(port):
            explanation = f"connection tests may not use port {port}."
            steps = ("Use a port for mail.", f"Or ask this service's administrator to add it to {PORTS_SETTING}.")
            raise NotAllowed(FailureCode.PORT_NOT_ALLOWED, steps, explanation)

    async def allows(self, address: Address, port: int) -> bool:
        """Whether a connection to *port* of *address* may be made."""
        if not self._policy.allows_port(port) or not self._policy.allows(address):
            return False
        return not await self._any_is_ours([address], port)

    async def _any_is_ours(self, addresses: Sequence[Address], port: int) -> bool:
        """Names are looked up only where the port is the same, which for mail it hardly ever is."""
        hosts = [own.host for own in self._policy.own if own.port == port]
        if not hosts:
            return False
        targets = frozenset[Address]().union(*map(reachable_addresses, addresses))
        return any([await self._leads_to(host, targets) for host in hosts])

    async def _leads_to(self, host: str, targets: frozenset[Address]) -> bool:
        """Whether one of *targets* is *host*. A name of ours that nobody knows right now may be any of them."""
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT_SECONDS):
                addresses = await self._lookup.addresses(host) if host else [_UNSPECIFIED_ADDRESS]
        except (OSError, UnicodeError):  # TimeoutError is an OSError
            return True
        ours = frozenset[Address]().union(*map(reachable_addresses, addresses))
        return bool(ours & targets) or (any(map(_is_local, ours)) and any(map(_is_local, targets)))


def _is_local(address: Address) -> bool:
    """Whether *address* is one of this machine's, which are those that can be bound to."""
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.bind((str(address), 0))
    except OSError as error:
        return error.errno not in _NOT_LOCAL_ERRORS
    return True
