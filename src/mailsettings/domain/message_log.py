"""The message log: one record for each message that a device submitted, without its content and subject."""

from dataclasses import dataclass
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
