"""Every connection that this process begins through a socket of Python, on the loop of asyncio and of uvloop."""

import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from mailsettings.network.guard import EgressGuard, HostLookup, Resolve, resolve_with_system
from mailsettings.network.http import GuardedNetwork, HTTPClient
from mailsettings.network.policy import UNRESTRICTED, EgressPolicy

Connect = Callable[[socket.socket, Any], int | None]


@pytest.fixture
def connects(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Address and port of each connection that was begun, whatever became of it.

    No audit hook: it stays until the process ends, and also runs at `sys.settrace`. Two threads that begin at the
    same moment then keep each other from being traced by coverage.py, and one of them dies (CPython 3.11).
    """
    seen: list[tuple[str, int]] = []

    def noting(connect: Connect) -> Connect:
        def noted(sock: socket.socket, address: Any) -> int | None:
            if isinstance(address, tuple):
                seen.append(address[:2])
            return connect(sock, address)

        return noted

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, noting(getattr(socket.socket, name)))
    return seen


def make_network(policy: EgressPolicy = UNRESTRICTED, resolve: Resolve = resolve_with_system) -> GuardedNetwork:
    """A network behind the egress guard that connection tests use."""
    lookup = HostLookup(resolve)
    return GuardedNetwork(lookup, EgressGuard(policy, lookup).allows)


def make_client(
    tls: ssl.SSLContext, policy: EgressPolicy = UNRESTRICTED, resolve: Resolve = resolve_with_system
) -> HTTPClient:
    """An HTTP client on this network."""
    return HTTPClient(make_network(policy, resolve), tls)
