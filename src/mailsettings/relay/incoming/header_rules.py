"""Check and complete the header of a message: the sender in `From:`, loops, Date, Message-ID, Received."""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.utils import format_datetime

from mailsettings.domain.device import Device
from mailsettings.domain.mail_server import Sender
from mailsettings.relay.incoming import refusals
from mailsettings.relay.incoming.addresses import Mailbox, MalformedAddresses, parse_mailboxes
from mailsettings.relay.incoming.header import Field
from mailsettings.relay.incoming.limits import MAX_RECEIVED_FIELDS
from mailsettings.relay.replies import Refused

_DROPPED = frozenset({"bcc", "resent-bcc", "return-path"})
"""Bcc would show the hidden recipients (RFC 5322 3.6.3); Return-Path belongs to the delivery (RFC 5321 4.4)."""
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,250}>")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+|\"[^\"\\\x00-\x1f\x7f]*\"")
_MAX_NAME_LENGTH = 200


@dataclass(frozen=True, slots=True)
class HeaderRules:
    """What the header of a message must be; `sender` is the envelope sender, `received` our trace field.

    With `stored_sender` the message is sent from that address, whatever its own `From:` says.
    """

    device: Device
    sender: str
    stored_sender: Sender | None
    received: Field
    now: datetime

    def apply(self, fields: Sequence[Field]) -> bytes:
        """Return the header to send. Raises `Refused`."""
        _refuse_loop(fields)
        kept = [field for field in fields if field.key not in _DROPPED]
        present = {field.key for field in kept}
        sent = [self.received, *self._with_sender(kept)]
        if "date" not in present:
            sent.append(Field.of("Date", format_datetime(self.now)))
        if "message-id" not in present:
            sent.append(Field.of("Message-ID", f"<{uuid.uuid4()}@{self._own_domain()}>"))
        return b"".join(field.encode() for field in sent)

    def _own_domain(self) -> str:
        address = self.stored_sender.address if self.stored_sender else self.sender
        return address.rpartition("@")[2] or "localhost"

    def _with_sender(self, fields: Sequence[Field]) -> Sequence[Field]:
        from_fields = [field for field in fields if field.key == "from"]
        if len(from_fields) > 1:
            raise Refused(refusals.FROM_TWICE)
        if self.stored_sender is not None:
            return _rewritten(fields, self.stored_sender)
        if not from_fields:
            if not self.sender:
                raise Refused(refusals.FROM_MISSING)
            return [*fields, Field.of("From", self.sender)]
        self._require_allowed(from_fields[0])
        return fields

    def _require_allowed(self, from_field: Field) -> None:
        try:
            mailboxes = parse_mailboxes(from_field.value)
        except MalformedAddresses:
            raise Refused(refusals.FROM_MALFORMED) from None
        if not mailboxes:
            raise Refused(refusals.FROM_MISSING)
        if not all(self.device.allows_from(mailbox.address) for mailbox in mailboxes):
            raise Refused(refusals.FROM_NOT_ALLOWED)


def message_id_of(fields: Sequence[Field]) -> str | None:
    """Return the Message-ID, if it is well-formed."""
    values = (field.value for field in fields if field.key == "message-id")
    return next((value for value in values if _MESSAGE_ID.fullmatch(value)), None)


def _refuse_loop(fields: Sequence[Field]) -> None:
    if sum(field.key == "received" for field in fields) > MAX_RECEIVED_FIELDS:
        raise Refused(refusals.LOOP)


def _rewritten(fields: Sequence[Field], sender: Sender) -> Sequence[Field]:
    """Return *fields* with *sender* in `From:`, and the old addresses in `Reply-To:` if there is none."""
    old = next((field for field in fields if field.key == "from"), None)
    mailboxes = _mailboxes_of(old)
    new = Field.of("From", _mailbox_text(sender, mailboxes))
    changed = [new if field is old else field for field in fields] if old else [*fields, new]
    others = dict.fromkeys(mailbox.address for mailbox in mailboxes)
    answers = [address for address in others if address.lower() != sender.address.lower() and address.isascii()]
    if answers and not any(field.key == "reply-to" for field in fields):
        changed.append(Field.of("Reply-To", ",\r\n\t".join(answers)))
    return changed


def _mailboxes_of(field: Field | None) -> Sequence[Mailbox]:
    if field is None:
        return []
    try:
        return parse_mailboxes(field.value)
    except MalformedAddresses:
        return []


def _mailbox_text(sender: Sender, old: Sequence[Mailbox]) -> str:
    """Return the mailbox of *sender*, with the display name of the device if it has one."""
    name = old[0].name if len(old) == 1 else ""
    written = _display_name(name) if name else _display_name(sender.display_name or "")
    return f"{written} <{sender.address}>" if written else sender.address


def _display_name(name: str) -> str:
    """Return *name* as it may be written: as it is, in quotes, or as encoded words (RFC 2047)."""
    if len(name) > _MAX_NAME_LENGTH:
        return ""
    if not name or _PLAIN_NAME.fullmatch(name):
        return name
    if not name.isascii():
        return Header(name.strip('"'), "utf-8", header_name="From").encode(linesep="\r\n")
    return '"' + re.sub(r'[^ -~]|["\\]', "", name) + '"'
