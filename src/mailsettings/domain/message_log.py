"""The message log: one record for each message that a device submitted, without its content and subject."""

import itertools
import re
import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum


class MessageResult(StrEnum):
    """How a message ended."""

    DELIVERED = "delivered"
    """The mail server accepted it for at least one recipient."""
    REFUSED = "refused"
    """Permanently, by the mail server or by a rule of the device."""
    FAILED = "failed"
    """For now: the device may try again."""
    ABORTED = "aborted"
    """The device left before the end of the message, so that it was not sent."""
    UNKNOWN = "unknown"
    """The connection to the mail server broke after the message was sent and before the answer."""


@dataclass(frozen=True, slots=True)
class MessageRecipient:
    """A recipient, and whether the mail server accepted it."""

    address: str
    accepted: bool


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """One message; `words` are the mail server's last reply, cleaned, and `failure` our code if one is known.

    `peer` is the network address of the device, `sender` the envelope sender as the device sent it.
    """

    at: datetime
    device_id: int
    device: str
    peer: str
    mail_server_id: int | None
    sender: str
    recipients: tuple[MessageRecipient, ...]
    result: MessageResult
    code: int
    enhanced_code: str | None = None
    failure: str | None = None
    words: str = ""
    size: int = 0
    message_id: str | None = None
    milliseconds: int = 0


@dataclass(frozen=True, slots=True)
class LoggedMessage:
    """A record with its id in the log; the order of ids is the order of time."""

    id: str
    record: MessageRecord


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Which messages to read; None accepts every value.

    `recipient`, `sender` and `message_id` are whole values. `failed` chooses the messages that were not delivered,
    or with False those that were. Times are those of messages not before `since`, and before `until`.
    """

    device: str | None = None
    recipient: str | None = None
    sender: str | None = None
    message_id: str | None = None
    failed: bool | None = None
    since: datetime | None = None
    until: datetime | None = None


NO_MESSAGE_FILTER = MessageFilter()

MAX_WORDS_LENGTH = 500
MAX_LOGGED_TEXT_LENGTH = 1000
"""Longer than any path of an envelope (RFC 5321 4.5.3.1.3), and than a line of a header should be."""

_TIME_LENGTH = 12
_ID = re.compile("[0-9a-f]{32}")
_counter = itertools.count()


def logged(record: MessageRecord) -> LoggedMessage:
    """Return *record* as the log stores it: with an id, texts that every database accepts, each recipient once."""
    recipients = dict[str, MessageRecipient]()
    for recipient in record.recipients:
        address = _storable(recipient.address.lower())
        accepted = recipient.accepted or (address in recipients and recipients[address].accepted)
        recipients[address] = MessageRecipient(address, accepted)
    storable = replace(
        record,
        sender=_storable(record.sender),
        recipients=tuple(recipients.values()),
        words=_storable(record.words)[:MAX_WORDS_LENGTH],
        message_id=None if record.message_id is None else _storable(record.message_id),
    )
    return LoggedMessage(_new_id(record.at), storable)


def is_message_id(text: str) -> bool:
    """Return whether *text* has the form of an id."""
    return _ID.fullmatch(text) is not None


def first_id(at: datetime) -> str:
    """Return the id before those of all messages at *at* or later."""
    return _time_of(at)


def _new_id(at: datetime) -> str:
    # Messages of one millisecond keep their order, as far as one process logged them.
    return f"{_time_of(at)}{next(_counter) & 0xFFFFFF:06x}{secrets.token_hex(7)}"


def _time_of(at: datetime) -> str:
    milliseconds = max(0, int(at.timestamp() * 1000))
    return f"{milliseconds:0{_TIME_LENGTH}x}"


def _storable(text: str) -> str:
    """Return *text* without NUL and lone surrogates, which PostgreSQL rejects."""
    return text[:MAX_LOGGED_TEXT_LENGTH].replace("\0", "").encode("utf-8", "replace").decode()
