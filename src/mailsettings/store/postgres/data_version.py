"""Asks PostgreSQL for the data version, over one connection that is kept for this question.

All reads that wait when a question is sent share its answer. A question under way does not count for reads that
come later: they wait for the next question, which is sent when the answer has arrived. So at most one question is
under way, and a busy process asks as often as the database answers.

The driver's own methods would spend more time on one question than on the rest of a read, so this speaks to libpq
itself: it sends a prepared statement, or its text to a pooler, and reads the result when the event loop reports
data.
"""

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.pq.abc import PGconn

from mailsettings.store.database_errors import SILENT, STANDBY, DatabaseProblem, DatabaseUnavailable, problem_of
from mailsettings.store.freshness import Version
from mailsettings.store.outages import Outages
from mailsettings.store.postgres import connection as postgres_connection
from mailsettings.store.postgres.connection import POLL_SECONDS, TimeLimitedConnection

_NAME = b"mailsettings_data_version"
_QUESTION = b"SELECT (SELECT value FROM data_version), pg_is_in_recovery()"

Connect = Callable[[], Awaitable[TimeLimitedConnection]]


class PostgresDataVersion:
    """The data version of one database; *connect* opens a connection that commits each statement."""

    in_snapshots = True

    def __init__(
        self, connect: Connect, outages: Outages, *, accepts_standby: bool = False, pooled: bool = False
    ) -> None:
        self.newest: Version | None = None
        self._connect = connect
        self._outages = outages
        self._pooled = pooled
        self._problem = SILENT
        self._accepts_standby = accepts_standby
        self._connection: _Connection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._is_new = False
        """Whether the connection has not answered yet; a question on an older one may need another connection."""
        self._busy = False
        """Whether a question is under way or about to be sent."""
        self._waiting: list[asyncio.Future[bool]] = []
        self._asked: list[asyncio.Future[bool]] = []

    async def ask(self) -> None:
        """Wait for the answer to a question sent after this call. Raises `StoreUnavailable`."""
        loop = asyncio.get_running_loop()
        answered = loop.create_future()
        self._waiting.append(answered)
        if not self._busy:
            self._busy = True
            loop.call_soon(self._send)
        if not await answered:
            raise DatabaseUnavailable(self._problem)

    def close(self) -> None:
        """Close the connection; the next question opens another."""
        if self._connecting is not None:
            self._connecting.cancel()
        self._give_up()

    def _send(self) -> None:
        if self._connection is None:
            self._connecting = asyncio.get_running_loop().create_task(self._open())
            return
        self._asked += self._waiting
        self._waiting = []
        self._connection.send()

    async def _open(self) -> None:
        """Open a connection and send the question, which all who wait by then share."""
        try:
            connection = await self._connect()
            if not self._pooled:
                await _prepare(connection)
        except (psycopg.Error, OSError, TimeoutError) as error:
            self._fail(problem_of(error))
        except DatabaseUnavailable as unsuitable:
            self._fail(unsuitable.problem)
        except BaseException:
            self._give_up()  # or the reads would wait for ever
            raise
        else:
            self._connection, self._is_new = _Connection(connection, self, prepared=not self._pooled), True
            self._send()

    def answered(self, version: Version | None, *, in_recovery: bool) -> None:
        """Take the answer, and send the next question if reads wait for it."""
        if in_recovery and not self._accepts_standby:
            self.lost(STANDBY)
            return
        self.newest, self._is_new = version, False
        self._outages.answered()
        _release(self._asked, answered=True)
        self._busy = bool(self._waiting)
        if self._busy:
            self._send()

    def lost(self, problem: DatabaseProblem) -> None:
        """Open another connection, unless this one was opened for the question; then there is no answer."""
        if not self._busy:  # a connection that ended while it was idle
            self._disconnect()
        elif self._is_new:
            self._fail(problem)
        else:
            self._disconnect()
            self._send()

    def silent(self) -> None:
        """Give up: all reads that wait by now fail, or the last one would wait for as many time limits."""
        self._fail(SILENT)

    def _fail(self, problem: DatabaseProblem) -> None:
        self._problem = problem
        self._outages.failed(problem)
        self._give_up()

    def _give_up(self) -> None:
        self._disconnect()
        self._busy = False
        _release(self._asked, answered=False)
        _release(self._waiting, answered=False)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


async def _prepare(connection: TimeLimitedConnection) -> None:
    try:
        await connection.execute(b"PREPARE " + _NAME + b" AS " + _QUESTION)
    except BaseException:
        await connection.close()
        raise


def _release(readers: list[asyncio.Future[bool]], *, answered: bool) -> None:
    for reader in readers:
        if not reader.done():  # cancelled
            reader.set_result(answered)
    readers.clear()


class _Connection:
    """A connection with the prepared question; tells its owner the answer, or that there will be none."""

    def __init__(self, connection: TimeLimitedConnection, owner: PostgresDataVersion, *, prepared: bool) -> None:
        self._owner = owner
        self._prepared = prepared
        self._connection = connection
        self._libpq: PGconn = connection.pgconn
        self._socket = self._libpq.socket
        self._loop = asyncio.get_running_loop()
        self._silent_polls = 0
        self._sent = self._closed = False
        self._row: tuple[bytes | None, bytes | None] | None = None
        self._refusal = SILENT
        self._poll: asyncio.TimerHandle | None = None
        self._loop.add_reader(self._socket, self._receive)

    def send(self) -> None:
        """Send the question."""
        self._sent, self._row, self._silent_polls = True, None, 0
        try:
            if self._prepared:
                self._libpq.send_query_prepared(_NAME, [])
            else:  # a pooler may give each question another session
                self._libpq.send_query(_QUESTION)
            self._libpq.flush()
        except psycopg.OperationalError as error:
            # Not at once: the owner is not finished with sending.
            self._loop.call_soon(self._lose, problem_of(error))
            return
        if self._poll is None:
            self._poll = self._loop.call_later(POLL_SECONDS, self._count_silence)

    def close(self) -> None:
        """Close the connection without waiting for the server."""
        self._closed = True
        if self._poll is not None:
            self._poll.cancel()
        self._loop.remove_reader(self._socket)
        self._libpq.finish()

    def _receive(self) -> None:
        self._silent_polls = 0
        try:
            self._libpq.consume_input()
            while not self._libpq.is_busy():
                result = self._libpq.get_result()
                if result is None:
                    break
                if result.status == ExecStatus.TUPLES_OK:
                    self._row = result.get_value(0, 0), result.get_value(0, 1)
                else:
                    self._refusal = problem_of(error_from_result(result))
            else:
                return  # the rest of the answer has not arrived
        except psycopg.OperationalError as error:
            self._lose(problem_of(error))
            return
        self._finish()

    def _finish(self) -> None:
        if self._sent and self._row is not None:
            self._sent = False
            version, in_recovery = self._row
            self._owner.answered(version.decode() if version else None, in_recovery=in_recovery == b"t")
        elif self._sent or self._libpq.status == ConnStatus.BAD:
            self._lose(self._refusal)

    def _lose(self, problem: DatabaseProblem) -> None:
        if not self._closed:
            self._owner.lost(problem)

    def _count_silence(self) -> None:
        """Count polls and not seconds, because a pause of this process is not the server's."""
        self._poll = None
        if not self._sent:
            return
        self._silent_polls += 1
        if self._silent_polls >= postgres_connection.MAX_SILENT_POLLS:
            self._owner.silent()
        else:
            self._poll = self._loop.call_later(POLL_SECONDS, self._count_silence)
