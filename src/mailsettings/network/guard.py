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
"""More than concurrent tests: an abandoned look-up occupies a thread until the resolver gives up."""

Resolve = Callable[[str], Sequence[Address]]


def resolve_with_system(host: str) -> Sequence[Address]:
    """Return all addresses of *host* in the system's order of preference. Blocks. Raises `OSError`."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    # The zone of fe80::1%eth0 does not matter: the policy closes link-local addresses anyway.
    texts = [str(sockaddr[0]).partition("%")[0] for *_, sockaddr in found]
    return [ip_address(text) for text in dict.fromkeys(texts)]


class HostLookup:
    """Looks names up on its own threads; an address is returned as it is."""

    def __init__(self, resolve: Resolve = resolve_with_system) -> None:
        self._resolve = resolve
        self._threads = DaemonThreads(MAX_CONCURRENT_LOOKUPS, "look-up")

    async def addresses(self, host: str) -> Sequence[Address]:
        """Return all addresses of *host*, without zones, so that they compare equal. Raises `OSError`."""
        with suppress(ValueError):
            return [ip_address(host.partition("%")[0])]
        return await self._threads.run(lambda: self._resolve(host))


LOOKUP_TIMEOUT_SECONDS = 3.0
_OWN_ENDPOINT_STEP = "Use another host or port: this one is the service's own."
_NOT_LOCAL_ERRORS = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL}
_UNSPECIFIED_ADDRESS = IPv4Address(0)


class NotAllowed(Exception):
    """The policy forbids a connection; `explanation` is empty if the catalogue's text is enough."""

    def __init__(self, code: FailureCode, steps: Steps, explanation: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.steps = steps
        self.explanation = explanation


class EgressGuard:
    """Applies *policy*; looks up the names of our own endpoints with *lookup*."""

    def __init__(self, policy: EgressPolicy, lookup: HostLookup) -> None:
        self._policy = policy
        self._lookup = lookup

    async def require(self, addresses: Sequence[Address], port: int) -> None:
        """Check all addresses of a host: one closed address closes the host. Raises `NotAllowed`."""
        if not all(self._policy.allows(address) for address in addresses):
            steps = (
                "Use another host.",
                f"Or ask this service's administrator to add its network to {NETWORKS_SETTING}.",
            )
            raise NotAllowed(FailureCode.ADDRESS_NOT_ALLOWED, steps)
        if await self._any_is_ours(addresses, port):
            raise NotAllowed(FailureCode.ADDRESS_NOT_ALLOWED, (_OWN_ENDPOINT_STEP,))

    def require_port(self, port: int) -> None:
        """Check *port*. Raises `NotAllowed`."""
        if not self._policy.allows_port(port):
            explanation = f"connection tests may not use port {port}."
            steps = ("Use a port for mail.", f"Or ask this service's administrator to add it to {PORTS_SETTING}.")
            raise NotAllowed(FailureCode.PORT_NOT_ALLOWED, steps, explanation)

    async def allows(self, address: Address, port: int) -> bool:
        """Return whether a connection to *port* of *address* is allowed."""
        if not self._policy.allows_port(port) or not self._policy.allows(address):
            return False
        return not await self._any_is_ours([address], port)

    async def _any_is_ours(self, addresses: Sequence[Address], port: int) -> bool:
        """Return whether one of *addresses* is ours. Looks up our names only if the port is the same."""
        hosts = [own.host for own in self._policy.own if own.port == port]
        if not hosts:
            return False
        targets = frozenset[Address]().union(*map(reachable_addresses, addresses))
        return any([await self._leads_to(host, targets) for host in hosts])

    async def _leads_to(self, host: str, targets: frozenset[Address]) -> bool:
        """Return whether one of *targets* is *host*. If the look-up fails, assume that it is."""
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT_SECONDS):
                addresses = await self._lookup.addresses(host) if host else [_UNSPECIFIED_ADDRESS]
        except (OSError, UnicodeError):  # TimeoutError is an OSError
            return True
        ours = frozenset[Address]().union(*map(reachable_addresses, addresses))
        return bool(ours & targets) or (any(map(_is_local, ours)) and any(map(_is_local, targets)))


def _is_local(address: Address) -> bool:
    """Return whether *address* belongs to this machine: only such an address can be bound."""
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.bind((str(address), 0))
    except OSError as error:
        return error.errno not in _NOT_LOCAL_ERRORS
    return True
