"""MAIL, RCPT and DATA: a message on its way from the device to the mail server."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from mailsettings.domain.access import Moment
from mailsettings.domain.device import Device
from mailsettings.domain.message_log import MessageResult
from mailsettings.relay.incoming import refusals
from mailsettings.relay.incoming.client import Client, Disconnected
from mailsettings.relay.incoming.commands import parse_command, parse_path
from mailsettings.relay.incoming.delivery import Delivery
from mailsettings.relay.incoming.header_rules import HeaderRules
from mailsettings.relay.incoming.limits import MAX_REFUSED_MAILS
from mailsettings.relay.incoming.mail_rules import (
    address_of,
    max_message_bytes,
    own_trouble,
    prepare,
    received_field,
    require_recipient,
)
from mailsettings.relay.incoming.transaction import Said, Transaction
from mailsettings.relay.outgoing.pools import Transfer
from mailsettings.relay.replies import Delivered, Refused, Reply

_log = logging.getLogger("mailsettings.relay")
MAX_BATCH = 100
"""So many pipelined recipients are passed on together."""
_SENDER_OK = Reply(250, "2.1.0", "Sender OK")
_SEND_CONTENT = Reply(354, None, "End the content with a line that has a dot only")


class MailCommands:
    """The messages of one client, in their order."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._connection = client.connection
        self._relay = client.relay
        self.transaction: Transaction | None = None

    def abort(self) -> None:
        """End a transaction in progress, so that nothing is sent."""
        transaction, self.transaction = self.transaction, None
        if transaction is not None:
            transaction.abort()

    async def mail(self, argument: str) -> None:
        """Start a message. The mail server hears of it with the first recipient."""
        if self.transaction is not None:
            raise Refused(refusals.MAIL_TWICE)
        moment = Moment()
        with own_trouble():
            device = await self._client.current_device(moment)
        if device is None:
            raise Refused(refusals.LOGIN_FIRST)
        path = parse_path(argument, "FROM:")
        said = Said(device, self._client.peer, path.address)
        transaction = Transaction(self._relay.services, self._relay.outgoing, said)
        try:
            with own_trouble():
                await prepare(self._relay, transaction, path, moment)
        except Refused as refused:
            self._require_few_refusals(device)
            transaction.refuse(refused)
            raise
        self.transaction = transaction
        self._say(_SENDER_OK)

    async def recipient(self, argument: str) -> None:
        """Pass a recipient on, together with the recipients and DATA that the client sent behind it."""
        transaction = self._require_transaction()
        arguments: list[str | Refused] = [argument]
        while len(arguments) < MAX_BATCH and self._is_next(b"RCPT"):
            arguments.append(await self._next_argument())
        checked = self._check_recipients(transaction, arguments)
        addresses = [address for address in checked if isinstance(address, str)]
        data = bool(addresses) and self._is_next(b"DATA\r\n")
        if data:
            await self._take_data()
        passed_on = iter(await self._pass_on(transaction, addresses, data=data))
        for address in checked:
            self._say(next(passed_on) if isinstance(address, str) else address)
        if data:
            await self._deliver(transaction)

    async def data(self, argument: str) -> None:
        """Take the content and answer with the acceptance of the mail server."""
        self._refuse_early_content()
        transaction = self._require_transaction()
        if argument:
            raise Refused(refusals.NO_PARAMETERS)
        await self._deliver(transaction)

    def _require_few_refusals(self, device: Device) -> None:
        """Count a refused MAIL. Raises `Disconnected` after many in a minute, which are in no log."""
        refused = self._relay.refused_mails.count(device.id)
        if refused == MAX_REFUSED_MAILS + 1:
            _log.warning(
                "Refused %d messages of device %s at MAIL in a minute; the logs have no more of this minute.",
                MAX_REFUSED_MAILS,
                device.name,
            )
        if refused > MAX_REFUSED_MAILS:
            raise Disconnected(refusals.TOO_MANY_ERRORS)

    def _say(self, reply: Reply) -> None:
        self._connection.write(reply.encode())

    def _require_transaction(self) -> Transaction:
        if self.transaction is None:
            raise Refused(refusals.MAIL_FIRST)
        return self.transaction

    def _is_next(self, start: bytes) -> bool:
        """Return whether the next line has arrived and starts with *start*, in any case."""
        line = self._connection.buffered_line()
        return line is not None and line[: len(start)].upper() == start

    async def _next_argument(self) -> str | Refused:
        line = await self._connection.read_line(0)
        try:
            command = parse_command(line)
        except Refused as refused:
            return refused
        return command.argument if command.verb == "RCPT" else Refused(refusals.UNKNOWN_COMMAND)

    async def _take_data(self) -> None:
        await self._connection.read_line(0)
        self._refuse_early_content()

    def _refuse_early_content(self) -> None:
        """Refuse content that arrived before the reply to DATA (RFC 2920 3.1).

        If DATA were refused, its lines would be read as commands.
        """
        if self._connection.has_buffered:
            raise Disconnected(refusals.IMPROPER_PIPELINING)

    def _check_recipients(
        self, transaction: Transaction, arguments: Sequence[str | Refused]
    ) -> Sequence[str | Reply]:
        """Return for each RCPT the address, or the reply that refuses it."""
        room = transaction.said.device.max_recipients - transaction.accepted
        checked: list[str | Reply] = []
        for argument in arguments:
            try:
                if isinstance(argument, Refused):
                    raise argument
                checked.append(require_recipient(argument, transaction.mail, room))
                room -= 1
            except Refused as refused:
                transaction.note_recipient(address_of(argument), refused.reply)
                checked.append(refused.reply)
        return checked

    async def _pass_on(self, transaction: Transaction, addresses: Sequence[str], *, data: bool) -> Sequence[Reply]:
        if not addresses:
            return []
        self._connection.flush()
        return await self._connection.unless_gone(transaction.pass_on(addresses, data=data))

    async def _deliver(self, transaction: Transaction) -> None:
        try:
            delivered = await self._deliver_content(transaction)
        except Refused as refused:
            self.transaction = None
            transaction.refuse(refused)
            raise
        self.transaction = None
        self._say(delivered.reply)
        try:
            transaction.end(MessageResult.DELIVERED, delivered.reply)
        except Exception:  # the mail server has the message, and the device must know that  # noqa: BLE001
            _log.exception("A delivered message is not in the message log because of an error in this service.")

    async def _deliver_content(self, transaction: Transaction) -> Delivered:
        transfer = transaction.require_recipients()
        await self._connection.unless_gone(transfer.start_content())
        self._say(_SEND_CONTENT)
        delivery = self._delivery(transaction, transfer)
        try:
            return await delivery.run()
        finally:
            transaction.set_content(delivery.size, delivery.message_id)
            if delivery.is_sent:
                transaction.set_sent()

    def _delivery(self, transaction: Transaction, transfer: Transfer) -> Delivery:
        device, server = transaction.said.device, transaction.require_server()
        now = datetime.now(UTC)
        rules = HeaderRules(
            device,
            transaction.mail.sender,
            server.server.sender if device.sends_as_stored_sender else None,
            received_field(self._client, device, now),
            now,
        )
        longest = max_message_bytes(self._relay, device, server)
        return Delivery(self._connection, transfer, rules, self._relay.limits, longest)
