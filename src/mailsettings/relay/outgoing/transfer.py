"""One message's way over a connection to a mail server: sender, recipients, content, answer."""

import asyncio
import logging
import re
import traceback
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import TypeVar

from aiosmtplib import SMTPResponse

from mailsettings.domain.connection_test import ProbeStage
from mailsettings.domain.observation import ServerGreeting
from mailsettings.relay.outgoing import answers
from mailsettings.relay.outgoing.server_connection import EXPECTED_ERRORS, ServerConnection
from mailsettings.relay.replies import Delivered, Refused, Reply
from mailsettings.smtp.errors import ReplyError
from mailsettings.smtp.journal import Journal

_OK, _GO_AHEAD, _LATER, _NEVER = 2, 3, 4, 5  # RFC 5321 4.2.1: first digits
_CLOSING = 421
_UNSAFE = re.compile(r"[\x00-\x1f\x7f<>]")
TOO_LARGE = Reply(552, "5.3.4", "The message is larger than the mail server takes")
ACCEPTED = Reply(250, "2.0.0", "Accepted")
UNSAFE_ADDRESS = Reply(501, "5.1.7", "The address has a character that the relay does not pass on")

Result = TypeVar("Result")
_log = logging.getLogger("mailsettings.relay")


@dataclass(frozen=True, slots=True)
class MailCommand:
    """The envelope sender with its parameters; `size` is the announced size in bytes, if any."""

    sender: str
    size: int | None = None
    eight_bit: bool = False
    smtputf8: bool = False

    def line(self, offered: ServerGreeting) -> bytes:
        """Return the command with the parameters that the server offers. Raises `Refused`."""
        if self.smtputf8 and not offered.offers("SMTPUTF8"):
            raise Refused(answers.NOT_SMTPUTF8)
        if self.size is not None and offered.size_limit is not None and self.size > offered.size_limit:
            raise Refused(TOO_LARGE)
        line = b"MAIL FROM:<" + self.encoded(self.sender) + b">"
        if self.size is not None and offered.offers("SIZE"):
            line += f" SIZE={self.size}".encode()
        if self.eight_bit and offered.offers("8BITMIME"):
            line += b" BODY=8BITMIME"
        return line + b" SMTPUTF8" if self.smtputf8 else line

    def encoded(self, address: str) -> bytes:
        """Return *address* as it goes over the wire. Raises `Refused`."""
        if _UNSAFE.search(address):
            raise Refused(UNSAFE_ADDRESS)
        if not self.smtputf8 and not address.isascii():
            raise Refused(answers.NOT_SMTPUTF8)
        return address.encode("utf-8", "replace")


class Transfer:
    """One message on its way: recipients, then the content, then the answer.

    After an exception the transfer is over. Each method may raise `Refused`. No reply may take longer than
    *seconds*. *give_back* gets the connection at the end. `reuses`: the connection carried a message before.
    """

    def __init__(
        self,
        connection: ServerConnection,
        mail: MailCommand,
        seconds: float,
        give_back: Callable[[ServerConnection], None],
    ) -> None:
        self.recipient_replies: list[Reply] = []
        self._connection: ServerConnection | None = connection
        self._mail = mail
        self._seconds = seconds
        self._give_back = give_back
        self.journal = connection.journal
        self.reuses = connection.reused
        self._takes_8bit = connection.offered.offers("8BITMIME")
        self._accepted = 0
        self._data_sent = False

    async def open(self, recipients: Sequence[str], *, data: bool) -> SMTPResponse:
        """Send MAIL, and all the rest with it if the server offers PIPELINING; return the reply to MAIL.

        `proceed` or `withdraw` must follow. Raises `Refused`, and the error that broke the connection.
        """
        connection = self._required()
        try:
            commands = [self._mail.line(connection.offered), *self._commands(recipients, data=data)]
        except Refused:
            self._end(in_transaction=False)
            raise
        before = connection.begin()
        connection.send(*before, *(commands if connection.pipelining else commands[:1]))
        for _ in before:
            answer = await connection.reply()
            if answer.code // 100 != _OK:
                raise ReplyError(answer.code, answer.message)
        return await connection.reply()

    async def withdraw(self, following: int) -> None:
        """End the transfer after a refused MAIL; *following* commands travelled with it under PIPELINING."""
        if self._connection is None:
            return
        connection = self._connection
        codes = [(await connection.reply()).code for _ in range(following * connection.pipelining)]
        if any(code // 100 == _GO_AHEAD for code in codes):  # DATA was accepted
            self.abort()
        else:
            self._end()

    async def proceed(self, recipients: Sequence[str], *, data: bool) -> None:
        """Read the replies to the first recipients after an accepted MAIL."""
        await self._read_recipients(recipients, data=data, sent=self._required().pipelining)

    async def add(self, recipients: Sequence[str], *, data: bool) -> Sequence[Reply]:
        """Pass *recipients* on, with DATA right behind them if *data*, and return the reply to each."""
        connection = self._required()
        commands = self._commands(recipients, data=data)
        return await self._within(ProbeStage.RECIPIENT, self._add(connection, recipients, commands, data=data))

    async def _add(
        self, connection: ServerConnection, recipients: Sequence[str], commands: Sequence[bytes], *, data: bool
    ) -> Sequence[Reply]:
        if connection.pipelining:
            connection.send(*commands)
        return await self._read_recipients(recipients, data=data, sent=connection.pipelining)

    def _commands(self, recipients: Sequence[str], *, data: bool) -> Sequence[bytes]:
        encoded = self._mail.encoded
        commands = [b"RCPT TO:<" + encoded(recipient) + b">" for recipient in recipients]
        return [*commands, b"DATA"] if data else commands

    async def _read_recipients(self, recipients: Sequence[str], *, data: bool, sent: bool) -> Sequence[Reply]:
        connection = self._required()
        replies = []
        for recipient in recipients:
            if not sent:
                connection.send(b"RCPT TO:<" + self._mail.encoded(recipient) + b">")
            answer = await connection.reply()
            replies.append(self._recipient_reply(answer, recipient))
        self.recipient_replies += replies
        if data and sent:
            self._data_sent = True
            if not self._accepted:
                await self._stop_before_content(connection)
        return replies

    def _recipient_reply(self, answer: SMTPResponse, recipient: str) -> Reply:
        if answer.code // 100 == _OK:
            self._accepted += 1
            return answers.RECIPIENT_ACCEPTED
        if answer.code == _CLOSING or answer.code // 100 not in {_LATER, _NEVER}:
            raise ReplyError(answer.code, answer.message)
        error = ReplyError(answer.code, answer.message)
        return self.refusal_for(error, ProbeStage.RECIPIENT, recipient).reply

    async def _stop_before_content(self, connection: ServerConnection) -> None:
        """Read the reply to a DATA that travelled with recipients of which none was accepted.

        After 354 RFC 2920 3.1 has the client send a single dot, which some servers take for an empty message. The
        connection is closed instead, so that no message exists.
        """
        answer = await connection.reply()
        if answer.code // 100 == _GO_AHEAD:
            self.abort()
        else:
            self._end()

    async def start_content(self) -> None:
        """Wait for the mail server's 354, after DATA, which is sent if it was not sent yet."""
        if self._connection is None or not self._accepted:
            self._end()
            raise Refused(answers.NO_RECIPIENTS)
        answer = await self._within(ProbeStage.CONTENT, self._data(self._connection))
        if answer.code // 100 != _GO_AHEAD:
            raise self._refused(answer)

    async def _data(self, connection: ServerConnection) -> SMTPResponse:
        if not self._data_sent:
            self._data_sent = True
            connection.send(b"DATA")
        return await connection.reply()

    async def write(self, content: bytes) -> None:
        """Send content as it goes over the wire, with stuffed dots; wait while the mail server does not read."""
        connection = self._required()
        self._require_taken(content)
        try:
            connection.write(content)
        except EXPECTED_ERRORS as error:
            raise self._broken(error, ProbeStage.CONTENT) from error
        if connection.is_full:
            await self._within(ProbeStage.CONTENT, connection.room())

    def _require_taken(self, content: bytes) -> None:
        """Refuse content that the server does not take.

        RFC 6152 3: without 8BITMIME a client must not send such content, converts it, or gives up.
        """
        if not self._takes_8bit and not content.isascii():
            self.abort()
            raise Refused(answers.NOT_8BIT)

    async def finish(self, last: bytes = b"") -> Delivered:
        """Send the *last* part of the content and the final dot in one packet, and return the acceptance.

        Raises `Refused`, `OutcomeUnknown`.
        """
        connection = self._required()
        self._require_taken(last)
        try:
            connection.end_content(last)
        except EXPECTED_ERRORS as error:
            raise self._broken(error, ProbeStage.CONTENT) from error
        answer = await self._within(ProbeStage.CONTENT, connection.reply(), message_sent=True)
        if answer.code // 100 != _OK:
            raise self._refused(answer, message_sent=True)
        return self._accepted_with(answer)

    def _accepted_with(self, answer: SMTPResponse) -> Delivered:
        """Return the acceptance, also after a defect: the mail server has the message, so the device must know."""
        try:
            self._end(in_transaction=False)
            return Delivered(answers.passed(answer.code, answer.message, self.journal))
        except Exception as defect:  # noqa: BLE001  # as said
            # Without its text, which may quote the reply.
            places = "".join(traceback.format_tb(defect.__traceback__))
            _log.error("A message was delivered; then a %s occurred.\n%s", type(defect).__name__, places)
            return Delivered(Reply(answer.code, ACCEPTED.enhanced, ACCEPTED.text))

    def abandon(self) -> None:
        """End the transfer so that nothing is sent: without a final dot. Does nothing after the end."""
        if self._data_sent:
            self.abort()
        else:
            self._end()

    def abort(self) -> None:
        """End the transfer and close the connection at once."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()
            self._give_back(connection)

    async def _within(
        self, stage: ProbeStage, work: Coroutine[None, None, Result], *, message_sent: bool = False
    ) -> Result:
        try:
            async with asyncio.timeout(self._seconds):
                return await work
        except EXPECTED_ERRORS as error:
            raise self._broken(error, stage, message_sent=message_sent) from error
        except BaseException:
            self.abort()
            raise

    def _refused(self, answer: SMTPResponse, *, message_sent: bool = False) -> Refused:
        """End the transfer after a refusal of the message, and return the refusal for the device."""
        error = ReplyError(answer.code, answer.message)
        if answer.code == _CLOSING or answer.code // 100 not in {_LATER, _NEVER}:
            return self._broken(error, ProbeStage.CONTENT, message_sent=message_sent)
        self._end()
        return self.refusal_for(error, ProbeStage.CONTENT, message_sent=message_sent)

    def _broken(self, error: Exception, stage: ProbeStage, *, message_sent: bool = False) -> Refused:
        self.abort()
        return self.refusal_for(error, stage, message_sent=message_sent)

    def refusal_for(
        self, error: Exception, stage: ProbeStage, *recipients: str, message_sent: bool = False
    ) -> Refused:
        """Return the refusal for the device after *error* in *stage*."""
        return answers.of_error(error, self._at(stage, *recipients, message_sent=message_sent))

    def _at(self, stage: ProbeStage, *recipients: str, message_sent: bool = False) -> Journal:
        return self.journal.at(stage, (self._mail.sender, *recipients), message_sent=message_sent)

    def _required(self) -> ServerConnection:
        if self._connection is None:
            raise Refused(answers.NO_RECIPIENTS)
        return self._connection

    def _end(self, *, in_transaction: bool = True) -> None:
        """Give the connection back, between two transactions."""
        connection, self._connection = self._connection, None
        if connection is not None:
            if in_transaction:
                connection.reset_later()
            self._give_back(connection)
