"""One mail transaction (RFC 5321 3.3): the envelope on its way to the mail server, and the record of its end."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from mailsettings.domain.device import Device, Peer
from mailsettings.domain.mail_server import StoredMailServer
from mailsettings.domain.message_log import MessageRecipient, MessageRecord, MessageResult
from mailsettings.logs import info
from mailsettings.relay.incoming import refusals
from mailsettings.relay.outgoing.pools import MailCommand, Outgoing, Transfer
from mailsettings.relay.replies import OutcomeUnknown, Refused, Reply
from mailsettings.relay.services import Services

MAX_NOTED_RECIPIENTS = 1000
"""Refused recipients beyond it are not in the record."""
_log = logging.getLogger("mailsettings.relay")


@dataclass(frozen=True, slots=True)
class Said:
    """The envelope sender and the size as the device sent them, and where from."""

    device: Device
    peer: Peer
    sender: str
    size: int = 0


class Transaction:
    """A message from MAIL to its end; `end` must be called once, whatever happened."""

    def __init__(self, services: Services, outgoing: Outgoing, said: Said) -> None:
        self._services = services
        self._outgoing = outgoing
        self._started = time.monotonic()
        self._at = datetime.now(UTC)
        self._recipients: list[MessageRecipient] = []
        self._last_reply: Reply | None = None
        self._is_noted = False
        self._place_since = 0.0
        self._message_id: str | None = None
        self._is_sent = False
        self.said = said
        self.server: StoredMailServer | None = None
        self.mail = MailCommand(said.sender)
        self.transfer: Transfer | None = None
        self.failure: Refused | None = None
        """Why the transfer ended early; later commands of the transaction get the same reply."""

    @property
    def accepted(self) -> int:
        """The number of accepted recipients."""
        return sum(recipient.accepted for recipient in self._recipients)

    @property
    def holds_place(self) -> bool:
        """Whether a connection to the mail server waits for this transaction."""
        return self.transfer is not None and self.failure is None

    @property
    def seconds_with_place(self) -> float:
        """How long that connection has been waiting."""
        return time.monotonic() - self._place_since

    async def pass_on(self, recipients: Sequence[str], *, data: bool) -> Sequence[Reply]:
        """Pass *recipients* on, with DATA behind them if *data*, and return the reply to each."""
        replies = (
            [self.failure.reply] * len(recipients) if self.failure else await self._send(recipients, data=data)
        )
        for address, reply in zip(recipients, replies, strict=True):
            self.note_recipient(address, reply)
        return replies

    def note_recipient(self, address: str, reply: Reply) -> None:
        """Add *address*, with the *reply* that it got, to the record; "" is not an address."""
        self._last_reply = reply
        accepted = reply.code // 100 == 2  # noqa: PLR2004  # RFC 5321 4.2.1
        if accepted or (address and len(self._recipients) < MAX_NOTED_RECIPIENTS):
            self._recipients.append(MessageRecipient(address, accepted))

    def fail(self, refused: Refused) -> None:
        """Give the place up, so that nothing is sent."""
        self.failure = self.failure or refused
        if self.transfer is not None:
            self.transfer.abandon()

    def require_server(self) -> StoredMailServer:
        """Return the mail server, which MAIL has found."""
        if self.server is None:
            raise Refused(refusals.NO_MAIL_SERVER)
        return self.server

    def require_recipients(self) -> Transfer:
        """Return the transfer for the content. Raises `Refused` if it failed or has no recipients."""
        if self.failure is not None:
            raise self.failure
        if self.transfer is None or not self.accepted:
            raise Refused(refusals.NO_RECIPIENTS)
        return self.transfer

    def end(self, result: MessageResult, reply: Reply, failure: str | None = None) -> None:
        """Put the message into the message log and the log; a second call does nothing."""
        if self._is_noted:
            return
        self._is_noted = True
        if result is not MessageResult.DELIVERED:
            self.fail(Refused(reply, failure))
        record = self._record(result, reply, failure)
        self._services.note(record)
        _log_message(record, self.server)

    def refuse(self, refused: Refused) -> None:
        """End the message with a refusal."""
        if isinstance(refused, OutcomeUnknown):
            self.end(MessageResult.UNKNOWN, refused.reply, refused.failure)
            return
        result = MessageResult.REFUSED if refused.reply.is_permanent else MessageResult.FAILED
        self.end(result, refused.reply, refused.failure)

    def abort(self) -> None:
        """End a message that the client does not finish. Without recipients it is no message."""
        if self._is_sent:
            self.end(MessageResult.UNKNOWN, refusals.OUTCOME_UNKNOWN)
        elif self.failure is not None:
            self.refuse(self.failure)
        elif self.accepted:
            self.end(MessageResult.ABORTED, refusals.ABORTED)
        elif self._last_reply is not None:
            self.refuse(Refused(self._last_reply))
        elif self.transfer is not None:
            self.transfer.abandon()

    def set_content(self, size: int, message_id: str | None) -> None:
        """Note size and Message-ID of the content."""
        self.said = replace(self.said, size=size)
        self._message_id = message_id

    def set_sent(self) -> None:
        """Note that the final dot was sent: without an answer, the outcome is unknown."""
        self._is_sent = True

    async def _send(self, recipients: Sequence[str], *, data: bool) -> Sequence[Reply]:
        server = self.require_server()
        try:
            if self.transfer is not None:
                return await self.transfer.add(recipients, data=data)
            self.transfer = await self._outgoing.begin(server, self.mail, recipients, data=data)
            self._place_since = time.monotonic()
        except Refused as refused:
            self.fail(refused)
            return [refused.reply] * len(recipients)
        else:
            return self.transfer.recipient_replies

    def _record(self, result: MessageResult, reply: Reply, failure: str | None) -> MessageRecord:
        return MessageRecord(
            at=self._at,
            device_id=self.said.device.id,
            device=self.said.device.name,
            peer=str(self.said.peer),
            mail_server_id=self.server.id if self.server else None,
            sender=self.said.sender,
            recipients=tuple(self._recipients),
            result=result,
            code=reply.code,
            enhanced_code=reply.enhanced,
            failure=failure,
            words=reply.text,
            size=self.said.size,
            message_id=self._message_id,
            milliseconds=round((time.monotonic() - self._started) * 1000),
        )


def _log_message(record: MessageRecord, server: StoredMailServer | None) -> None:
    """Log the outcome. The recipients and the words of the mail server are in the message log."""
    name = server.name if server else "-"
    outcome = f"{record.result.value} with {record.code} in {record.milliseconds} ms"
    members = {
        "device": record.device,
        "mail_server": name,
        "peer": record.peer,
        "result": record.result.value,
        "code": record.code,
        "failure": record.failure,
        "milliseconds": record.milliseconds,
        "request_id": "-",
    }
    info(_log, f"Message of device {record.device} through mail server {name}: {outcome}.", members)
