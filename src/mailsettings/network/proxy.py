"""The HTTP proxy of the operator, for requests that cannot leave the network otherwise.

The environment never chooses it: `HTTPS_PROXY` would take the address policy out of force. The policy still checks
the addresses of a host that this machine can look up; for any other host, the proxy decides.
"""

from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

import httpcore

from mailsettings.network.guard import EgressGuard, HostLookup
from mailsettings.network.http import GuardedNetwork, ProxyRoute, RequestFailed
from mailsettings.network.policy import UNRESTRICTED, EgressPolicy


class ProxyNetwork(httpcore.AsyncNetworkBackend):
    """Connects to the proxy over *network*, and says so if it fails."""

    def __init__(self, network: GuardedNetwork) -> None:
        self._network = network

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's interface
        local_address: str | None = None,  # noqa: ARG002  # httpcore's interface
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002  # httpcore's interface
    ) -> httpcore.AsyncNetworkStream:
        """Return a connection to the proxy."""
        try:
            return await self._network.connect_tcp(host, port, timeout)
        except RequestFailed as failed:
            raise RequestFailed(f"the proxy cannot be reached: {failed}") from failed


def create_network(
    policy: EgressPolicy, proxy: str | None = None, to_proxy: EgressPolicy = UNRESTRICTED
) -> GuardedNetwork:
    """Return a network within *policy*, for `https` through the *proxy* at a URL, if any, within *to_proxy*."""
    route = None if proxy is None else ProxyRoute(proxy_of(proxy), ProxyNetwork(create_network(to_proxy)))
    lookup = HostLookup()
    return GuardedNetwork(lookup, EgressGuard(policy, lookup).allows, route)


def proxy_of(url: str) -> httpcore.Proxy:
    """Return the proxy at *url*, which may have user name and password."""
    parts = urlsplit(url)
    auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return httpcore.Proxy(f"http://{host}:{parts.port}", auth=auth)
