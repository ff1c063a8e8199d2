"""Split the header of a message into fields (RFC 5322 2.2), and hold it back until it is complete.

A line that is no field ends the header, and a blank line is put in front of it. So every reader sees the same
header as the relay.
"""

import re
from dataclasses import dataclass

from mailsettings.relay.incoming import refusals
from mailsettings.relay.incoming.limits import MAX_HEADER_BYTES
from mailsettings.relay.replies import Refused

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:")  # RFC 5322 3.6.8, and 4.5 for blanks in front of the colon


@dataclass(frozen=True, slots=True)
class Field:
    """A header field; `body` is everything behind the colon, with line breaks and the final CR LF."""

    name: str
    body: bytes

    @classmethod
    def of(cls, name: str, value: str) -> "Field":
        """Return a field with *value*, which is folded if it has several lines."""
        return cls(name, f" {value}\r\n".encode())

    @property
    def key(self) -> str:
        """The name in lower case."""
        return self.name.lower()

    @property
    def value(self) -> str:
        """The unfolded value (RFC 5322 2.2.3)."""
        raw = self.body.replace(b"\r\n", b"").strip()
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return raw.decode("latin-1")

    def encode(self) -> bytes:
        """Return the field as it goes over the wire."""
        return self.name.encode("ascii") + b":" + self.body


class HeaderBlock:
    """Collects content until the header is complete; then `fields` has it, and `body` the content behind it."""

    def __init__(self) -> None:
        self._content = bytearray()
        self.fields: list[Field] = []
        self.body = b""

    def feed(self, content: bytes, *, is_last: bool) -> bool:
        """Take *content*, and return whether the header is complete.

        Raises `Refused` for more than 64 KiB.
        """
        searched = max(0, len(self._content) - 3)
        self._content += content
        is_complete = self._content.startswith(b"\r\n") or self._content.find(b"\r\n\r\n", searched) >= 0
        if not is_complete and not is_last and len(self._content) <= MAX_HEADER_BYTES:
            return False
        self._split()
        # Without its end, the last line may still become a field.
        is_cut_off = not is_complete and not is_last and b"\r\n" not in self.body[2:]
        if is_cut_off or len(self._content) - len(self.body) > MAX_HEADER_BYTES:
            raise Refused(refusals.HEADER_TOO_LARGE)
        self._content = bytearray()
        return True

    def _split(self) -> None:
        """Split the content at the first line that is neither a field nor the continuation of one."""
        content, start = bytes(self._content), 0
        while start < len(content) and not content.startswith(b"\r\n", start):
            found = _FIELD.match(content, start)
            if found is None:
                break
            end = _end_of_field(content, found.end())
            self.fields.append(Field(found[1].decode("ascii"), content[found.end() : end]))
            start = end
        rest = content[start:]
        self.body = rest if not rest or rest.startswith(b"\r\n") else b"\r\n" + rest


def _end_of_field(content: bytes, start: int) -> int:
    """Return the end of the field; lines that start with a blank continue it."""
    while True:
        end = content.find(b"\r\n", start)
        if end < 0:
            return len(content)
        start = end + 2
        if content[start : start + 1] not in {b" ", b"\t"}:
            return start
