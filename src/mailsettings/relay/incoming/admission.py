"""Count the open connections, and decide which clients the relay serves."""

from collections import Counter
from functools import lru_cache

from mailsettings.domain.device import Peer
from mailsettings.domain.login_throttling import client_network
from mailsettings.relay.incoming import refusals
from mailsettings.relay.incoming.client import Client, Disconnected
from mailsettings.relay.incoming.limits import Counters, RelayLimits
from mailsettings.relay.replies import Reply


@lru_cache(4096)
def _network_of(peer: Peer) -> str:
    return client_network(str(peer))


class Admission:
    """The open connections of one relay, within its limits.

    When all places are taken, the oldest client without a login makes room: so clients that never log in do not
    keep devices out.
    """

    def __init__(self, limits: RelayLimits, counters: Counters) -> None:
        self._limits = limits
        self._counters = counters
        self._of_network: Counter[str] = Counter()
        self._strangers: dict[Client, None] = {}  # the oldest first; some have logged in since
        self.open = 0

    def refusal(self, peer: Peer) -> tuple[str, Reply] | None:
        """Return the reason for a refusal of *peer*, and the reply to it; None if there is room."""
        if self._of_network[_network_of(peer)] >= self._limits.max_connections_per_address:
            return "address", refusals.TOO_MANY_CONNECTIONS
        if self.open >= self._limits.max_connections and not self._make_room():
            return "total", refusals.TOO_MANY_CONNECTIONS
        return None

    def enter(self, client: Client) -> None:
        """Count the connection of *client*."""
        self._count(client, 1)
        self._strangers[client] = None

    def leave(self, client: Client) -> None:
        """Count the connection of *client* no longer."""
        self._count(client, -1)
        self._strangers.pop(client, None)

    def _count(self, client: Client, change: int) -> None:
        network = _network_of(client.peer)
        self.open += change
        self._of_network[network] += change
        if not self._of_network[network]:
            del self._of_network[network]
        self._counters.connections(self.open)

    def _make_room(self) -> bool:
        """End the oldest connection that waits for a login; return whether there was one."""
        while self._strangers:
            client = next(iter(self._strangers))
            del self._strangers[client]
            if client.device is None and client.connection.interrupt(Disconnected(refusals.TOO_MANY_CONNECTIONS)):
                return True
        return False
