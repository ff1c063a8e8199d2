"""Hand messages on: find the pool of a mail server, wait for a place in it, and begin the transfer."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mailsettings.domain.connection_test import ProbeFailure
from mailsettings.domain.mail_server import Destination, StoredMailServer
from mailsettings.domain.observation import ServerGreeting
from mailsettings.relay.outgoing import answers
from mailsettings.relay.outgoing.beginning import Beginning
from mailsettings.relay.outgoing.places import Places
from mailsettings.relay.outgoing.pool import Limits, LoginListener, Pool
from mailsettings.relay.outgoing.transfer import MailCommand, Transfer
from mailsettings.relay.replies import Refused
from mailsettings.smtp.connector import Connector

__all__ = ["MailCommand", "Outgoing", "Transfer"]


@dataclass(frozen=True, slots=True)
class Usage:
    """The messages that wait for a connection, and the open connections."""

    waiting: int
    connections: int


PoolKey = tuple[Destination, str | None]
"""The destination, and the label of the secret: another for each secret that a caller gives."""


class Outgoing:
    """The way to all mail servers.

    *on_login_refused* and *on_login_accepted* are called after each login at a mail server.
    """

    def __init__(
        self,
        connector: Connector,
        places: Places,
        limits: Limits | None = None,
        *,
        on_login_refused: Callable[[StoredMailServer, ProbeFailure], None] = lambda _server, _found: None,
        on_login_accepted: Callable[[StoredMailServer], None] = lambda _server: None,
    ) -> None:
        self._connector = connector
        self._places = places
        self._limits = limits or Limits()
        self._listener = LoginListener(on_login_refused, on_login_accepted)
        self._pools: dict[PoolKey, Pool] = {}
        self._current: dict[int, tuple[StoredMailServer, Pool]] = {}
        self._retired: list[Pool] = []
        self._ending = False

    def require_usable(self, server: StoredMailServer) -> None:
        """Raise `Refused` while the relay waits after a refused login at *server*, or ends."""
        if self._ending:
            raise Refused(answers.ENDING)
        self._pool(server).require_usable()

    def features(self, server: StoredMailServer) -> ServerGreeting | None:
        """Return what *server* last offered, with its size limit; None if it is not known yet."""
        return self._pool(server).offered

    @property
    def usage(self) -> Usage:
        """What all mail servers together are used for now."""
        pools = [*self._pools.values(), *self._retired]
        return Usage(sum(pool.waiting for pool in pools), sum(pool.connections for pool in pools))

    async def begin(
        self, server: StoredMailServer, mail: MailCommand, recipients: Sequence[str], *, data: bool
    ) -> Transfer:
        """Take a place, pass on *mail*, *recipients*, and DATA if *data*; return with the replies to *recipients*.

        Waits within the hold time for a place, and through temporary refusals of MAIL. Raises `Refused`.
        """
        self.require_usable(server)
        beginning = Beginning(self._pool(server), mail, recipients, data=data, limits=self._limits)
        return await beginning.run()

    async def close(self, grace_seconds: float) -> None:
        """Refuse new messages, let those in progress end within *grace_seconds*, and close all connections."""
        self._ending = True
        deadline = asyncio.get_running_loop().time() + grace_seconds
        await asyncio.gather(*(pool.close(deadline) for pool in [*self._pools.values(), *self._retired]))

    def _pool(self, server: StoredMailServer) -> Pool:
        known = self._current.get(server.id)
        if known is not None and known[0] is server:
            return known[1]
        label = server.server.secret.label if server.server.secret else None
        key = (server.server.destination(), label)
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = Pool(server, self._connector, self._places, self._limits, self._listener)
        if known is None or known[0].version <= server.version:  # a message may still have an older state
            self._current[server.id] = (server, pool)
            if known is not None and known[1] is not pool:
                self._retire(known[1])
        return pool

    def _retire(self, pool: Pool) -> None:
        if all(current is not pool for _, current in self._current.values()):
            self._pools = {key: other for key, other in self._pools.items() if other is not pool}
            self._retired = [old for old in (*self._retired, pool) if not old.is_unused]
            pool.retire()
