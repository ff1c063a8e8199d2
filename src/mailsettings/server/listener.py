"""New connections: each has its place among all before anything of it is read, the TLS handshake included."""

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
from mailsettings.server.connection import BoundedConnection, ConnectionTimeouts
from mailsettings.server.response import plain_text_response

MAX_REJECTED_CONNECTIONS = 64
"""Connections at once that are told why there is no room; more are closed without a word."""
REJECTION_TIMEOUT_SECONDS = 1

_log = RateLimitedLog(logging.getLogger("mailsettings.connection"))
MakeConnection = Callable[[ConnectionSlot, Allocation], BoundedConnection]


class Listener:
    """Makes a connection of what is accepted, with TLS where there is a context, or turns it away."""

    def __init__(
        self, capacity: Capacity, make: MakeConnection, timeouts: ConnectionTimeouts, tls: SSLContext | None
    ) -> None:
        self._capacity = capacity
        self._slots = ConnectionSlots(capacity.connections)
        self._make = make
        self._timeouts = timeouts
        self._tls = tls
        self._handshakes: set[asyncio.Task[None]] = set()
        self._rejected: set[_RejectedConnection] = set()

    def accept(self) -> asyncio.Protocol:
        """Return the protocol that a new connection begins with."""
        return _NewConnection(self.admit)

    def close(self) -> None:
        """End the handshakes that are under way."""
        for task in self._handshakes:
            task.cancel()

    def admit(self, transport: asyncio.Transport) -> None:
        """Begin with HTTP or TLS, if there is room."""
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
                ssl_handshake_timeout=self._timeouts.head,
                ssl_shutdown_timeout=self._timeouts.body,
            )
        except OSError:  # which errors of TLS are, too
            connected.close()
        finally:
            if not connection.is_made:
                slot.release()

    def _reject(self, transport: asyncio.Transport, address: str | None) -> None:
        pool = self._capacity.connections
        _log.warning(
            "Refused a connection from %s: %d of %d connections are open, %d of them from there.",
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
    """Hands over the transport."""

    def __init__(self, admit: Callable[[asyncio.Transport], None]) -> None:
        self._admit = admit

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # it is one
        self._admit(transport)


def _detach_socket(transport: asyncio.Transport) -> socket.socket:
    """Return the connection of a transport that has read nothing yet, without the transport.

    Only with a connection, and not with a transport, the event loop starts TLS without losing what has arrived.
    """
    connected = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
    connected.settimeout(0)  # as the event loop wants it
    transport.abort()
    return connected


def _shut_down(connected: socket.socket) -> None:
    with suppress(OSError):  # it may have ended by itself
        connected.shutdown(socket.SHUT_RDWR)


class _RejectedConnection(asyncio.Protocol):
    """Answers the first bytes of a request by 503; before them, closing would take the answer away again."""

    def __init__(self, transport: asyncio.Transport, all_of_them: "set[_RejectedConnection]") -> None:
        self._transport = transport
        self._all = all_of_them
        self._all.add(self)
        self._timer = asyncio.get_running_loop().call_later(REJECTION_TIMEOUT_SECONDS, transport.abort)

    def data_received(self, data: bytes) -> None:  # noqa: ARG002  # whatever it asks
        self._transport.write(plain_text_response(503))
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._timer.cancel()
        self._all.discard(self)
