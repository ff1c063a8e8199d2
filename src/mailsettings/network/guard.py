"""What is asked before every connection of a test: the policy, and whether it would lead back to ourselves.

Our own listening socket and our database are reached from inside, past whatever guards them from outside; no
setting opens them. An endpoint on this machine is closed by all of the machine's addresses, since what is
listened on need not be what it is called by. What cannot be known here stays open: an address of another
machine that hands on to ours, be it a proxy, a published port of a container, or a port forwarded by NAT.
"""

import asyncio
import errno
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address

from mailsettings.domain.connection_test import FailureCode, Steps
from mailsettings.network.policy import NETWORKS_SETTING, PORTS_SETTING, EgressPolicy
from mailsettings.smtp.embedding import Address, reachable_addresses
from mailsettings.smtp.resolving import HostLookup

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
                f"Or let whoever runs this service add its network to {NETWORKS_SETTING}.",
            )
            raise NotAllowed(FailureCode.ADDRESS_NOT_ALLOWED, steps)
        if await self._any_is_ours(addresses, port):
            raise NotAllowed(FailureCode.ADDRESS_NOT_ALLOWED, (_OWN_ENDPOINT_STEP,))

    def require_port(self, port: int) -> None:
        """Raises `NotAllowed`."""
        if not self._policy.allows_port(port):
            explanation = f"connection tests may not use port {port}."
            steps = ("Use a port for mail.", f"Or let whoever runs this service add it to {PORTS_SETTING}.")
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
