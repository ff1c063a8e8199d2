"""Accept connections: each takes a place before anything is read from it, the TLS handshake included."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from ssl import SSLContext

from mailsettings.logs import RateLimitedLog
from mailsettings.server.capacity import Allocation, Capacity, ConnectionSlot, ConnectionSlots
from mailsettings.server.connection import BoundedConnection, ConnectionLimits
from mailsettings.server.response import plain_text_response

MAX_REJECTED_CONNECTIONS = 64
"""Concurrent rejected connections that get a 503; beyond that, connections are closed without a response."""
REJECTION_TIMEOUT_SECONDS = 1

_log = RateLimitedLog(logging.getLogger("mailsettings.connection"))
MakeConnection = Callable[[ConnectionSlot, Allocation], BoundedConnection]


class Listener:
    """Turns accepted sockets into connections, with TLS if a context is given, or rejects them."""

    def __init__(
        self, capacity: Capacity, make: MakeConnection, limits: ConnectionLimits, tls: SSLContext | None
    ) -> None:
        self._capacity = capacity
        self._slots = ConnectionSlots(capacity.connections)
        self._make = make
        self._limits = limits
        self._tls = tls
        self._handshakes: set[asyncio.Task[None]] = set()
        self._rejected: set[_RejectedConnection] = set()

    def accept(self) -> asyncio.Protocol:
        """Return the initial protocol of a new connection."""
        return _NewConnection(self.admit)

    def close(self) -> None:
        """Cancel the TLS handshakes in progress."""
        for task in self._handshakes:
            task.cancel()

    def admit(self, transport: asyncio.Transport) -> None:
        """Start HTTP or TLS on *transport* if there is room, and reject it otherwise."""
        peer = transport.get_extra_info("peername")
        address = peer[0] if isinstance(peer, tuple) else None
        slot = self._slots.enter(self._capacity.client_key(address))
        if slot is None:
            self._reject(transport, address)
            return
        if self._tls is None:
            connection = self._new_connection(slot)
            transport.set_protocol(connection)
            connection.connection_made(transport)
            return
        task = asyncio.get_running_loop().create_task(
            self._shake_hands(self._tls, _detach_socket(transport), slot)
        )
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    def _new_connection(self, slot: ConnectionSlot) -> BoundedConnection:
        return self._make(slot, Allocation(self._capacity.bytes_in_flight, slot.client_key))

    async def _shake_hands(self, tls: SSLContext, connected: socket.socket, slot: ConnectionSlot) -> None:
        slot.close = partial(_shut_down, connected)
        connection = self._new_connection(slot)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                connected,
                ssl=tls,
                ssl_handshake_timeout=self._limits.head,
                ssl_shutdown_timeout=self._limits.body,
            )
        except OSError:  # includes ssl.SSLError
            connected.close()
        finally:
            if not connection.is_made:
                slot.release()

    def _reject(self, transport: asyncio.Transport, address: str | None) -> None:
        pool = self._capacity.connections
        _log.warning(
            "Refused a connection from %s: %d of %d connections are open, %d of them from this address.",
            address,
            pool.used,
            pool.limit,
            pool.used_by(self._capacity.client_key(address)),
        )
        if self._tls is not None or len(self._rejected) >= MAX_REJECTED_CONNECTIONS:
            transport.abort()
        else:
            rejected = _RejectedConnection(transport, self._rejected)
            transport.set_protocol(rejected)


class _NewConnection(asyncio.Protocol):
    """Hands the transport of a new connection to *admit*."""

    def __init__(self, admit: Callable[[asyncio.Transport], None]) -> None:
        self._admit = admit

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # TCP transports are of this type
        self._admit(transport)


def _detach_socket(transport: asyncio.Transport) -> socket.socket:
    """Return the socket of a transport that has read nothing yet, and abort the transport.

    `connect_accepted_socket` starts TLS without losing bytes that have arrived; `start_tls` on a transport may
    lose them.
    """
    connected = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
    connected.settimeout(0)  # the event loop requires a non-blocking socket
    transport.abort()
    return connected


def _shut_down(connected: socket.socket) -> None:
    with suppress(OSError):  # the client may have closed it already
        connected.shutdown(socket.SHUT_RDWR)


class _RejectedConnection(asyncio.Protocol):
    """Answers the first bytes of a request with 503.

    A response before the first bytes would be lost: closing a socket with unread bytes resets the connection.
    """

    def __init__(self, transport: asyncio.Transport, all_of_them: "set[_RejectedConnection]") -> None:
        self._transport = transport
        self._all = all_of_them
        self._all.add(self)
        self._timer = asyncio.get_running_loop().call_later(REJECTION_TIMEOUT_SECONDS, transport.abort)

    def data_received(self, data: bytes) -> None:  # noqa: ARG002  # the response does not depend on it
        self._transport.write(plain_text_response(503))
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._timer.cancel()
        self._all.discard(self)
