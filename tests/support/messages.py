"""Records of the message log."""

from datetime import UTC, datetime, timedelta
from typing import Any

from mailsettings.domain.message_log import MessageRecipient, MessageRecord, MessageResult

START = datetime(2026, 11, 28, 10, 0, 0, 250_000, tzinfo=UTC)


def message(number: int = 0, *recipients: str, **values: Any) -> MessageRecord:
    """Return a message of second *number*; by default delivered to `user@example.com`."""
    addresses = recipients or ("user@example.com",)
    given = {
        "at": START + timedelta(seconds=number),
        "device_id": 7,
        "device": "scanner-3",
        "peer": "10.1.2.3",
        "mail_server_id": 1,
        "sender": "scan@example.com",
        "recipients": tuple(MessageRecipient(address, accepted=True) for address in addresses),
        "result": MessageResult.DELIVERED,
        "code": 250,
        "enhanced_code": "2.0.0",
        "words": "OK queued",
        "size": 20_000,
        "message_id": f"<{number}@example.com>",
        "milliseconds": 45,
    }
    return MessageRecord(**{**given, **values})
