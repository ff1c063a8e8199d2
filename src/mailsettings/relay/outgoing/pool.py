"""The logged-in connections to one mail server with one secret, and the line of messages that wait for one."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from mailsettings.domain.connection_test import ProbeFailure
from mailsettings.domain.mail_server import StoredMailServer
from mailsettings.domain.observation import ServerGreeting
from mailsettings.relay.outgoing import answers
from mailsettings.relay.outgoing.backoff import Backoff, LoginBackoff
from mailsettings.relay.outgoing.idle import IdleConnections
from mailsettings.relay.outgoing.line import Line, Waiter
from mailsettings.relay.outgoing.opening import NotOpened, Opener, Trouble
from mailsettings.relay.outgoing.places import Places, places_key
from mailsettings.relay.outgoing.server_connection import ServerConnection
from mailsettings.relay.replies import Refused
from mailsettings.smtp.connector import Connector
from mailsettings.smtp.diagnosis.failures import explain_error

_log = logging.getLogger("mailsettings.relay")
NO_PLACE = "connections_in_use"
RETRY_WIDER_SECONDS = 60.0
"""So long a pool keeps to the number of connections that the server admitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of the relay towards mail servers, in seconds.

    `hold`: how long a device waits for a place, and for each reply. `connect`: how long a connection takes, with
    its login. `idle`, `age`: when a connection is closed between two messages. `pause`: the first pause after a
    refusal for now.
    """

    hold: float = 50.0
    connect: float = 30.0
    idle: float = 30.0
    age: float = 300.0
    pause: float = 1.0


@dataclass(frozen=True, slots=True)
class LoginListener:
    """Who hears of each login that a mail server refused or accepted."""

    refused: Callable[[StoredMailServer, ProbeFailure], None]
    accepted: Callable[[StoredMailServer], None]


class Pool:
    """Connections of *server* as it was when the pool was made; a changed setting gets another pool."""

    def __init__(
        self,
        server: StoredMailServer,
        connector: Connector,
        places: Places,
        limits: Limits,
        listener: LoginListener,
    ) -> None:
        self.offered: ServerGreeting | None = None
        self._server = server
        self._opener = Opener(server, connector, min(limits.connect, limits.hold))
        self._places = places
        self._key = places_key(server.server.destination())
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._idle = IdleConnections(limits.idle, limits.age)
        self._open: set[ServerConnection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._line = Line()
        self._login = LoginBackoff(self._loop.time)
        self._pause = Backoff(self._loop.time, first=limits.pause)
        self._trial: ServerConnection | None = None
        self._admitted: int | None = None
        self._last_refusal: Refused | None = None
        self._all_closed = asyncio.Event()
        self._all_closed.set()
        self._retired = False

    def require_usable(self) -> None:
        """Raise `Refused` while the pool waits after a refused login."""
        self._login.require_over()

    async def take(self, deadline: float, *, again: bool = False) -> ServerConnection:
        """Wait for a connection until *deadline*; a message that tries *again* is first. Raises `Refused`."""
        self._login.require_over()
        if self._line.is_empty and not self._pause.failures and (connection := self._idle.take()) is not None:
            return connection
        waiter = self._line.join(again=again)
        self._serve()
        try:
            async with asyncio.timeout_at(deadline):
                return await self._served(waiter)
        except TimeoutError:
            raise self._reason_for_waiting() from None

    async def _served(self, waiter: Waiter) -> ServerConnection:
        try:
            return await waiter
        except asyncio.CancelledError:  # by the deadline too
            if (too_late := self._line.leave(waiter)) is not None:
                self.give_back(too_late)
            raise

    def give_back(self, connection: ServerConnection) -> None:
        """Take *connection* back after a message, or after it broke."""
        if self._trial is connection:
            self._trial = None
        if connection.is_open and not connection.place.wanted:
            connection.reused = True
            self._idle.add(connection)
        else:
            connection.quit()
        self._serve()

    def mail_answered(self) -> None:
        """Note that the server judges messages, so that all in line may continue."""
        if self._pause.failures:
            self._pause.reset()
            self._trial = None
            self._serve()

    def mail_refused_for_now(self, refusal: Refused) -> None:
        """Note that the server takes no message for now; after a pause, one message tries."""
        self._last_refusal = refusal
        self._wait()

    @property
    def waiting(self) -> int:
        """The messages in line."""
        return len(self._line)

    @property
    def connections(self) -> int:
        """The open connections, in use or idle."""
        return len(self._open)

    @property
    def is_unused(self) -> bool:
        """Whether the pool has no connections and no messages."""
        return not self._open and not self._opening and self._line.is_empty

    def retire(self) -> None:
        """Close idle connections now and the others after their message, because the setting changed."""
        self._retired = True
        self._serve()

    async def close(self, deadline: float) -> None:
        """Refuse those in line, let messages in progress end until *deadline*, then close all connections."""
        self._line.fail(Refused(answers.ENDING))
        self.retire()
        for task in self._opening:
            task.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                await self._all_closed.wait()
        for connection in [each for each in self._open if each.is_open]:
            connection.abort()
        await self._all_closed.wait()  # for the replies to QUIT
        await asyncio.gather(*self._opening, return_exceptions=True)

    def _serve(self) -> None:
        """Give idle connections to those in line, open more for the others, and close unneeded connections."""
        while not self._line.is_empty and self._may_try() and (connection := self._idle.take()) is not None:
            self._hand_over(connection)
        while self._may_open():
            task = asyncio.create_task(self._open_one())
            self._opening.add(task)
            task.add_done_callback(self._opening_ended)
        if self._retired and self._line.is_empty:
            self._idle.end_all()

    def _may_try(self) -> bool:
        """Return whether a message may be sent now: after a refusal for now, messages are tried singly."""
        return not self._pause.is_on and not (self._pause.failures and (self._trial or self._opening))

    def _may_open(self) -> bool:
        most = self._places.limit if self._admitted is None else self._admitted
        # The first login is alone: a server counts refused logins.
        most = most if self._open else 1
        room = len(self._open) + len(self._opening) < most and len(self._opening) < len(self._line)
        return room and self._may_try()

    def _hand_over(self, connection: ServerConnection) -> None:
        if self._pause.failures:
            self._trial = connection
        self._line.serve(connection)

    async def _open_one(self) -> None:
        place = await self._places.take(self._key, self)
        if (task := asyncio.current_task()) is not None:
            place.on_lost = task.cancel
        if self._line.is_empty:
            place.release()
            return
        try:
            connection = await self._opener.open(place)
        except NotOpened as failed:
            self._not_opened(failed)
            return
        self._opened(connection)

    def _opening_ended(self, task: asyncio.Task[None]) -> None:
        self._opening.discard(task)
        if not task.cancelled() and (defect := task.exception()) is not None:
            _log.error("A connection to a mail server failed unexpectedly.", exc_info=defect)
            self._line.fail(answers.INTERNAL)
        self._serve()

    def _opened(self, connection: ServerConnection) -> None:
        self.offered = connection.offered
        self._login.reset()
        self._open.add(connection)
        self._all_closed.clear()
        connection.on_closed = lambda: self._closed(connection)
        connection.place.on_wanted = lambda: self._idle.end(connection)
        self._listener.accepted(self._server)
        if self._line.is_empty:
            self.give_back(connection)
        else:
            self._hand_over(connection)

    def _not_opened(self, failed: NotOpened) -> None:
        self._last_refusal = failed.refusal
        if failed.trouble in {Trouble.LOGIN_REFUSED, Trouble.LOGIN_UNAVAILABLE}:
            permanent = failed.trouble is Trouble.LOGIN_REFUSED
            self._login.extend(failed.refusal, permanent=permanent)
            if permanent:
                self._listener.refused(self._server, failed.found)
            self._line.fail(failed.refusal)
        elif self._open:
            self._admitted = len(self._open)
            self._loop.call_later(RETRY_WIDER_SECONDS, self._widen)
        elif failed.trouble is Trouble.TOO_MANY:
            self._wait()
        else:
            self._line.fail(failed.refusal)

    def _wait(self) -> None:
        self._trial = None
        self._pause.extend()
        self._loop.call_later(self._pause.seconds_left, self._serve)

    def _widen(self) -> None:
        self._admitted = None
        self._serve()

    def _reason_for_waiting(self) -> Refused:
        """Return the refusal for a message that waited too long."""
        if self._opener.running and not self._open:
            return answers.of_failure(explain_error(TimeoutError(), self._opener.running[0]))
        if self._last_refusal is not None and (self._pause.failures or self._admitted is not None):
            return self._last_refusal
        return answers.busy(NO_PLACE)

    def _closed(self, connection: ServerConnection) -> None:
        self._open.discard(connection)
        if not self._open:
            self._all_closed.set()
        if self._trial is connection:
            self._trial = None
        self._idle.discard(connection)
        self._loop.call_soon(self._serve)
