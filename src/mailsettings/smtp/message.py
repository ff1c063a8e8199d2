"""Compose the mail of a connection test: a valid message (RFC 5322) that explains itself to its reader.

The message consists of checked parts and is parsed again before it is sent. `EmailMessage` is not used: it parses
and rewrites header values, and in many Python versions a display name of encoded words can inject line breaks into
a header that way (CVE-2024-6923, CVE-2026-1299).
"""

import base64
import email.parser
import email.policy
import uuid
from datetime import datetime
from email.header import Header
from email.utils import format_datetime

from mailsettings.domain.mail_server import Sender

_PLAIN_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -_")
MAX_PLAIN_NAME_LENGTH = 60  # keeps the line below 78 characters (RFC 5322 2.1.1)
MAX_LINE_LENGTH = 998  # RFC 5322 2.1.1
_ENCODED_LINE_LENGTH = 76  # RFC 2045 6.8
_BODY_TEXT = """\
This is a test of mail settings.

An administrator asked mail-settings to send this mail, to prove that its
settings work. That you can read it means that they do. Nothing has to be
done, and no answer is needed.

Server:  {host}
Time:    {time}
"""
_REQUEST_LINE = "Request: {id}\n"
"""The same id as in the service's log and in the response header X-Request-ID."""


def compose(sender: Sender, recipient: str, host: str, now: datetime, request_id: str | None = None) -> bytes:
    """Return the whole message with CRLF line ends. *sender* and *recipient* are plain mail addresses."""
    text = _BODY_TEXT.format(host=host, time=now.strftime("%Y-%m-%d %H:%M:%S UTC"))
    text += _REQUEST_LINE.format(id=request_id) if request_id else ""
    encoding, body = _body(text)
    headers = {
        "From": _mailbox(sender),
        "To": recipient,
        "Subject": "Test of mail settings",
        "Date": format_datetime(now),
        "Message-ID": f"<{uuid.uuid4()}@{sender.address.rpartition('@')[2]}>",
        "MIME-Version": "1.0",
        "Content-Type": 'text/plain; charset="utf-8"',
        "Content-Transfer-Encoding": encoding,
        "Auto-Submitted": "auto-generated",  # RFC 3834 5: stops automatic replies
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    message = f"{head}\r\n{body}".encode("ascii")
    _require_headers(list(headers), message)
    return message


def _body(text: str) -> tuple[str, str]:
    """Return the encoding and the encoded *text* (RFC 2045 6): 7bit for ASCII in short lines, else base64."""
    if (
        text.isascii()
        and text.replace("\n", "").isprintable()
        and max(map(len, text.split("\n"))) <= MAX_LINE_LENGTH
    ):
        return "7bit", text.replace("\n", "\r\n")
    encoded = base64.b64encode(text.encode()).decode()
    lines = [
        encoded[start : start + _ENCODED_LINE_LENGTH] for start in range(0, len(encoded), _ENCODED_LINE_LENGTH)
    ]
    return "base64", "\r\n".join(lines) + "\r\n"


def _mailbox(sender: Sender) -> str:
    name = sender.display_name
    if not name:
        return sender.address
    if set(name) <= _PLAIN_NAME and len(name) <= MAX_PLAIN_NAME_LENGTH:
        return f'"{name}"\r\n <{sender.address}>'
    # Always encoded, so that a name that looks like an encoded word (RFC 2047) is not decoded by mail programs.
    words = Header(name, "utf-8", header_name="From", maxlinelen=_ENCODED_LINE_LENGTH).encode(linesep="\r\n")
    return f"{words}\r\n <{sender.address}>"


def _require_headers(names: list[str], message: bytes) -> None:
    """Check that a parser finds exactly the headers *names*: the last defence against header injection."""
    found = email.parser.BytesParser(policy=email.policy.compat32).parsebytes(message, headersonly=True)
    if found.keys() != names:
        raise ValueError("the headers of the test message differ from the intended headers")
