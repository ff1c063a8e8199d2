"""Listen for devices: one submission for each connection, within the limits, until the relay ends."""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from functools import partial

from mailsettings.domain.device import Peer
from mailsettings.domain.listening import ListenAddress, ListenerKind
from mailsettings.logs import RateLimitedLog
from mailsettings.relay.incoming import refusals
from mailsettings.relay.incoming.admission import Admission
from mailsettings.relay.incoming.client import Client, Disconnected, Endpoint, RelayParts
from mailsettings.relay.incoming.connection import ClientGone, Connection, TooSlow
from mailsettings.relay.incoming.submission import Submission
from mailsettings.relay.replies import Reply

BACKLOG = 1024
_log = RateLimitedLog(logging.getLogger("mailsettings.relay"))


class RelayServer:
    """The relay's listeners and their connections. `start` may be called again for more listeners."""

    def __init__(self, parts: RelayParts) -> None:
        self._parts = parts
        self._servers: list[asyncio.Server] = []
        self._submissions: dict[asyncio.Task[None], Callable[[], None]] = {}  # each with what ends it
        self._admission = Admission(parts.limits, parts.counters)
        self._is_ending = False

    async def start(self, endpoints: Sequence[Endpoint]) -> None:
        """Listen. Raises `OSError` if an address is not available; then nothing more listens than before.

        Raises `ValueError` if a listener needs TLS and has no context.
        """
        for endpoint in endpoints:
            if endpoint.listener.kind is not ListenerKind.PLAIN and not (
                endpoint.tls_context or self._parts.tls_context
            ):
                raise ValueError(f"The listener {endpoint.listener} needs a certificate.")
        loop = asyncio.get_running_loop()
        started: list[asyncio.Server] = []
        try:
            for endpoint in endpoints:
                make = partial(Connection, partial(self._accept, endpoint))
                started.append(await loop.create_server(make, sock=_listening_socket(endpoint.listener.address)))
        except OSError:
            for server in started:
                server.close()
            raise
        self._servers += started

    @property
    def ports(self) -> Sequence[int]:
        """The ports of the listeners, in their order."""
        return [int(server.sockets[0].getsockname()[1]) for server in self._servers]

    @property
    def connections(self) -> int:
        """The number of open connections."""
        return self._admission.open

    async def close(self, grace_seconds: float) -> None:
        """Accept nothing more, let messages in progress finish within *grace_seconds*, then end the rest."""
        self._is_ending = True
        for server in self._servers:
            server.close()
        for end in list(self._submissions.values()):
            end()
        if self._submissions:
            await asyncio.wait(self._submissions, timeout=grace_seconds)
        for task in list(self._submissions):
            task.cancel()
        if self._submissions:
            await asyncio.wait(self._submissions)

    def _accept(self, endpoint: Endpoint, connection: Connection) -> None:
        peer = connection.peer
        refused = self._refusal(endpoint, peer)
        if refused is not None:
            self._refuse(endpoint, connection, *refused)
            return
        client = Client(self._parts, connection, endpoint, peer)
        self._admission.enter(client)
        if endpoint.listener.kind is ListenerKind.TLS and client.tls_context is not None:
            connection.start_tls(client.tls_context)  # before the first bytes arrive
        task = asyncio.get_running_loop().create_task(self._serve(client))
        self._submissions[task] = connection.abort  # a handshake may last as long as the grace time
        task.add_done_callback(partial(self._leave, client))

    def _refusal(self, endpoint: Endpoint, peer: Peer) -> tuple[str, Reply] | None:
        """Return why a connection is refused, and the reply to it; None if it is accepted."""
        if self._is_ending:
            return "ending", refusals.ENDING
        if not endpoint.admits(peer):
            return "network", refusals.PLAIN_NOT_ALLOWED
        return self._admission.refusal(peer)

    def _refuse(self, endpoint: Endpoint, connection: Connection, reason: str, reply: Reply) -> None:
        self._parts.counters.refused_connection(reason)
        _log.warning("Refused a connection from %s: %s.", connection.peer, reply.text)
        if endpoint.listener.kind is ListenerKind.TLS:
            connection.abort()
            return
        connection.write(reply.encode())
        connection.close()

    async def _serve(self, client: Client) -> None:
        connection = client.connection
        try:
            await connection.shake_hands(self._parts.limits.login_timeout_seconds)
            await self._talk(client)
        except (ClientGone, TooSlow, Disconnected):
            pass
        finally:
            connection.close()

    async def _talk(self, client: Client) -> None:
        submission = Submission(client)
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # a coroutine runs in a task
        self._submissions[task] = submission.end
        if self._is_ending:
            submission.end()
        await submission.run()

    def _leave(self, client: Client, task: "asyncio.Task[None]") -> None:
        self._submissions.pop(task)
        self._admission.leave(client)
        if not task.cancelled() and (error := task.exception()) is not None:
            logging.getLogger("mailsettings.relay").error("A connection failed: %r", error, exc_info=error)


def _listening_socket(address: ListenAddress) -> socket.socket:
    """Return a socket that listens on *address*; `::` serves IPv4, too. Raises `OSError`."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    return socket.create_server(
        (address.host, address.port), family=family, backlog=BACKLOG, dualstack_ipv6=address.host == "::"
    )
