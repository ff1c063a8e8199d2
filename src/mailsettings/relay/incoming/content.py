"""Read the content of a message as it arrives after DATA, and write it as it goes over the wire again.

Only CR LF . CR LF ends the content. A lone CR or LF becomes CR LF, and dots are stuffed after that: otherwise the
next server could see an end where this one saw none, and take the rest for commands (CVE-2023-51764 to 51766).
"""

import re

_END = b"\r\n.\r\n"
_BEGINNINGS_OF_END = tuple(_END[:length] for length in range(len(_END) - 1, 0, -1))
_LINE_END = re.compile(rb"\r\n|\r|\n")


class ContentDecoder:
    """Turns the bytes after DATA into content: dots removed (RFC 5321 4.5.2), every line end CR LF.

    The result does not depend on how the bytes are split into packets.
    """

    def __init__(self) -> None:
        # The end of the line DATA counts: a dot may follow at once, for empty content.
        self._undecided = b"\r\n"
        self._is_at_start = True
        self.rest: bytes | None = None
        """The bytes behind the end of the content; None before the end."""

    def feed(self, data: bytes) -> bytes:
        """Return the content up to the first byte that may belong to its end."""
        data = self._undecided + data
        end = data.find(_END)
        if end >= 0:
            self._undecided, self.rest = b"", data[end + len(_END) :]
            return self._decode(data[: end + 2])
        kept = next((len(part) for part in _BEGINNINGS_OF_END if data.endswith(part)), 0)
        self._undecided = data[len(data) - kept :]
        return self._decode(data[: len(data) - kept])

    def _decode(self, data: bytes) -> bytes:
        data = data.replace(b"\r\n.", b"\r\n")
        if self._is_at_start and data:
            self._is_at_start = False
            data = data[2:]
        return with_line_ends(data)


def with_line_ends(data: bytes) -> bytes:
    """Return *data*, which does not end between CR and LF, with each line end as CR LF."""
    ends = data.count(b"\r\n")
    if data.count(b"\r") == ends == data.count(b"\n"):
        return data
    return _LINE_END.sub(b"\r\n", data)


class ContentEncoder:
    """Stuffs the dots at the start of lines, also where a line starts in the next part of the content."""

    def __init__(self) -> None:
        self._is_line_start = True

    def feed(self, content: bytes) -> bytes:
        """Return *content*, which has line ends of CR LF only and does not end inside one."""
        if not content:
            return content
        stuffed = content.replace(b"\r\n.", b"\r\n..")
        if self._is_line_start and content.startswith(b"."):
            stuffed = b"." + stuffed
        self._is_line_start = content.endswith(b"\n")
        return stuffed
