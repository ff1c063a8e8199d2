"""The content of a message as it goes over the wire, kept in bounded memory until the caller has written it all.

The program reads everything before it connects: a job that cron runs may write its output for hours, and a server
does not wait that long.
"""

from collections.abc import Iterator
from io import BufferedIOBase, BufferedRandom

_MAX_IN_MEMORY = 1 << 20
_CHUNK = 1 << 16
_MAX_LINE = (1 << 20) + 1


def lines_of(stream: BufferedIOBase, *, dot_ends: bool) -> Iterator[bytes]:
    """Yield the lines as they are; with *dot_ends*, a lone dot ends them. A line of over a MiB comes in parts."""
    begins = True
    while line := stream.readline(_MAX_LINE):
        if dot_ends and begins and line.rstrip(b"\r\n") == b".":
            return
        begins = line.endswith(b"\n")
        yield line


class Content:
    """Takes text and keeps it with CRLF line ends and stuffed dots (RFC 5321 4.5.2)."""

    def __init__(self) -> None:
        self.size = 0
        self.is_ascii = True
        self._chunks: list[bytes] = []
        self._file: BufferedRandom | None = None
        self._held = b""
        self._begins = True

    def add(self, text: bytes) -> None:
        """Take text with any line ends; a CR at its end waits for the LF that may follow."""
        text = self._held + text
        self._held = b"\r" if text.endswith(b"\r") else b""
        self._keep(text[: len(text) - len(self._held)])

    def add_all(self, stream: BufferedIOBase) -> None:
        """Take the rest of *stream*."""
        while text := stream.read(_CHUNK):
            self.add(text)

    def end(self) -> None:
        """Complete the last line."""
        self._keep(self._held)
        if not self._begins:
            self._keep(b"\n")

    def close(self) -> None:
        """Remove the file, if there is one."""
        if self._file:
            self._file.close()

    def __iter__(self) -> Iterator[bytes]:
        """Yield the wire form, without the final dot."""
        if self._file:
            self._file.seek(0)
            while chunk := self._file.read(_CHUNK):
                yield chunk
        yield from self._chunks

    def _keep(self, text: bytes) -> None:
        if not text:
            return
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        stuffed = (b"\n" * self._begins + text).replace(b"\n.", b"\n..")[self._begins :]
        self._begins = text.endswith(b"\n")
        self.is_ascii = self.is_ascii and text.isascii()
        wire = stuffed.replace(b"\n", b"\r\n")
        self.size += len(wire)
        self._chunks.append(wire)
        if self.size > _MAX_IN_MEMORY:
            self._write()

    def _write(self) -> None:
        """Move what memory holds to a file without a name."""
        if self._file is None:
            from tempfile import TemporaryFile  # noqa: PLC0415 - costs more than a small message

            self._file = TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        self._file.writelines(self._chunks)
        self._chunks = []
