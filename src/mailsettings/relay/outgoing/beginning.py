"""Begin a transfer: wait for a connection, send MAIL, and try again while the mail server refuses it for now."""

import asyncio
from collections.abc import Sequence

from aiosmtplib import SMTPResponse

from mailsettings.domain.connection_test import FailureCode, ProbeStage
from mailsettings.relay.outgoing import answers
from mailsettings.relay.outgoing.backoff import Backoff
from mailsettings.relay.outgoing.pool import Limits, Pool
from mailsettings.relay.outgoing.server_connection import EXPECTED_ERRORS, ServerConnection
from mailsettings.relay.outgoing.transfer import MailCommand, Transfer
from mailsettings.relay.replies import Refused
from mailsettings.smtp.errors import ReplyError

_OK, _LATER = 2, 4  # RFC 5321 4.2.1: first digits
_CLOSING = 421  # RFC 5321 3.8


class _TryAgain(Exception):
    """MAIL was not refused for good. With *pause* this message waits, and others may continue meanwhile."""

    def __init__(self, refusal: Refused, *, pause: bool) -> None:
        super().__init__()
        self.refusal = refusal
        self.pause = pause


class Beginning:
    """The beginning of one message's transfer, within the hold time."""

    def __init__(
        self, pool: Pool, mail: MailCommand, recipients: Sequence[str], *, data: bool, limits: Limits
    ) -> None:
        self._pool = pool
        self._mail = mail
        self._recipients = recipients
        self._data = data
        self._seconds = limits.hold
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + limits.hold
        self._backoff = Backoff(self._loop.time, first=limits.pause)

    async def run(self) -> Transfer:
        """Return the transfer with the replies to the recipients. Raises `Refused`."""
        connection = await self._pool.take(self._deadline)
        while True:
            try:
                return await self._try(connection)
            except _TryAgain as later:
                if later.pause:
                    await self._pause(later.refusal)
            connection = await self._pool.take(self._deadline, again=True)

    async def _pause(self, refusal: Refused) -> None:
        """Wait before the next attempt. Raises *refusal* if there is no time for another."""
        self._backoff.extend()
        seconds = self._backoff.seconds_left
        if self._loop.time() + seconds >= self._deadline:
            raise refusal from None
        await asyncio.sleep(seconds)

    async def _try(self, connection: ServerConnection) -> Transfer:
        transfer = Transfer(connection, self._mail, self._seconds, self._pool.give_back)
        stage = ProbeStage.SENDER
        try:
            async with asyncio.timeout_at(self._deadline):
                answer = await transfer.open(self._recipients, data=self._data)
                if answer.code // 100 != _OK:
                    await self._refused(transfer, answer)
                self._pool.mail_answered()
                stage = ProbeStage.RECIPIENT
                await transfer.proceed(self._recipients, data=self._data)
        except EXPECTED_ERRORS as error:
            transfer.abort()
            # The server may have closed the connection while it was idle; nothing was sent yet.
            if transfer.reuses and stage is ProbeStage.SENDER and not isinstance(error, TimeoutError):
                raise _TryAgain(answers.busy(FailureCode.CONNECTION_LOST.value), pause=False) from error
            raise transfer.refusal_for(error, stage, *self._recipients) from error
        except BaseException:
            transfer.abort()
            raise
        return transfer

    async def _refused(self, transfer: Transfer, answer: SMTPResponse) -> None:
        """End *transfer* after a refused MAIL. Raises `Refused`, `_TryAgain`."""
        refusal = transfer.refusal_for(ReplyError(answer.code, answer.message), ProbeStage.SENDER)
        following = len(self._recipients) + self._data
        if answer.code // 100 != _LATER:
            self._pool.mail_answered()
            await transfer.withdraw(following)
            raise refusal
        said = answers.passed(answer.code, answer.message, transfer.journal)
        busy = answers.busy(refusal.failure or "", f"{said.code} {said.enhanced} {said.text}")
        if answer.code == _CLOSING:
            transfer.abort()
            if transfer.reuses:
                raise _TryAgain(busy, pause=False)
        about_the_server = answers.is_about_the_server(said)
        # Before the connection is given back, so that the next in line does not provoke the same.
        if about_the_server:
            self._pool.mail_refused_for_now(busy)
        else:
            self._pool.mail_answered()
        await transfer.withdraw(following)
        raise _TryAgain(busy, pause=not about_the_server)
