"""The header of a message: its fields, the recipients in them, and what must be added or left out."""

import os
import time
from collections.abc import Iterable, Iterator

from mailsettings.sendmail.addresses import checked, mailboxes, qualified
from mailsettings.sendmail.failure import CONFIG, DATA, Failed

MAX_BYTES = 1 << 20
_MAX_ENCODED = 45
_RECIPIENTS = (b"to", b"cc", b"bcc")
_LEFT_OUT = frozenset((b"bcc", b"resent-bcc", b"return-path"))
_ORIGINATORS = frozenset((b"from", b"sender", b"reply-to"))


class Field:
    """A field with its name in lower case; lines in *text* end with LF."""

    def __init__(self, name: bytes, text: bytes) -> None:
        self.name = name
        self.text = text

    @property
    def addresses(self) -> list[bytes]:
        """The addresses in the field."""
        return [address for _, _, address in mailboxes(self.text.partition(b":")[2]) if address]


def read(lines: Iterable[bytes]) -> tuple[list[Field], bytes]:
    """Return the fields, and the first line of the body if it follows without an empty line."""
    fields, size, first = list[Field](), 0, True
    for whole in lines:
        size += len(whole)
        if size > MAX_BYTES:
            raise Failed(DATA, f"the header of the message is longer than {MAX_BYTES} bytes")
        if first and whole.startswith((b"From ", b">From ")):  # as in a file of mails
            continue
        line = whole.rstrip(b"\r\n").replace(b"\r", b" ") + b"\n"
        if line.startswith((b" ", b"\t")) and fields and line.strip():
            fields[-1].text += line
        elif name := _name(line):
            fields.append(Field(name, line))
        else:
            return fields, whole if line.strip() else b""
        first = False
    return fields, b""


def _name(line: bytes) -> bytes:
    """Return the name of the field that *line* begins, or nothing if it begins no field."""
    name, colon, _ = line.partition(b":")
    name = name.rstrip(b" \t")
    return name.lower() if colon and name and all(33 <= byte <= 126 for byte in name) else b""  # noqa: PLR2004 - RFC 5322 2.2


def recipients(fields: list[Field]) -> list[bytes]:
    """Return the addresses in To, Cc and Bcc, or in the first block of Resent fields that has any.

    An older block names the recipients of an earlier transmission (RFC 5322 3.6.6).
    """
    for block in _resent_blocks(fields):
        resent = [field for field in block if field.name.removeprefix(b"resent-") in _RECIPIENTS]
        if resent:
            return [address for field in resent for address in field.addresses]
    return [address for field in fields if field.name in _RECIPIENTS for address in field.addresses]


def _resent_blocks(fields: list[Field]) -> Iterator[list[Field]]:
    """Yield the Resent fields that follow each other; a Received or Return-Path field begins a new block."""
    block = list[Field]()
    for field in fields:
        if field.name.startswith(b"resent-"):
            block.append(field)
        elif block:
            yield block
            block = []
    yield block


def finished(fields: list[Field], originator: bytes, full_name: str, local_address: str) -> bytes:
    """Return the header as it is sent: local names are addresses, Bcc is gone, and required fields are there.

    A local name becomes *originator* where it says who sends, since a device may send from its own addresses
    only; elsewhere it becomes *local_address*.
    """
    kept = [field for field in fields if field.name not in _LEFT_OUT]
    names = {field.name for field in kept}
    text = b"".join(_with_addresses(field, originator.decode(), local_address) for field in kept)
    if b"from" not in names:
        text += b"From: " + _mailbox(full_name, originator) + b"\n"
    if b"date" not in names:
        text += time.strftime("Date: %a, %d %b %Y %H:%M:%S %z\n", time.localtime()).encode()
    if b"message-id" not in names:
        text += b"Message-ID: <%s@%s>\n" % (os.urandom(16).hex().encode(), originator.rpartition(b"@")[2])
    return text + b"\n"


def _with_addresses(field: Field, originator: str, local_address: str) -> bytes:
    """Return the text of a field with an address for each local name; without a configured address, as it is."""
    name = field.name.removeprefix(b"resent-")
    replacement = originator if name in _ORIGINATORS else local_address if name in {b"to", b"cc"} else ""
    if not replacement:
        return field.text
    head, colon, body = field.text.partition(b":")
    for start, end, address in reversed(mailboxes(body)):
        if address:
            body = body[:start] + _in_place(body[start:end], address, replacement) + body[end:]
    return head + colon + body


def _in_place(text: bytes, address: bytes, replacement: str) -> bytes:
    found = qualified(address, replacement)
    return text if found == address else found


def _mailbox(full_name: str, address: bytes) -> bytes:
    """Return *address* with the name, which is quoted or encoded (RFC 2047) so that it is one word."""
    name = "".join(character for character in full_name if character.isprintable())
    if not name:
        return address
    if name.isascii():
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}" '.encode() + b"<%s>" % address
    return b"%s <%s>" % (b"\n ".join(_encoded(name)), address)


def _encoded(name: str) -> Iterator[bytes]:
    """Yield encoded words of at most 75 characters, each with whole characters."""
    from binascii import b2a_base64  # noqa: PLC0415 - rarely needed

    part = b""
    for character in map(str.encode, name):
        if len(part) + len(character) > _MAX_ENCODED:
            yield b"=?utf-8?B?%s?=" % b2a_base64(part, newline=False)
            part = b""
        part += character
    yield b"=?utf-8?B?%s?=" % b2a_base64(part, newline=False)


def sender_of(given: str | None, default: str, local_address: str) -> bytes:
    """Return the envelope sender: the given address, the configured address for a local name, or null."""
    if given is None and not default:
        raise Failed(CONFIG, "the caller gives no sender: set sender to an address that may send")
    if given is None:
        return checked(qualified(default.encode(), local_address))
    found = [address for _, _, address in mailboxes(given.encode(errors="surrogateescape"))]
    if len(found) > 1:
        raise Failed(DATA, "the sender must be a single address")
    if not found or not found[0]:
        return b""
    return checked(qualified(found[0], default))
