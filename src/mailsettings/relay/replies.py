"""Replies to devices: RFC 5321 codes with the enhanced codes of RFC 3463, and the errors that carry them."""

from dataclasses import dataclass
from typing import NoReturn

MAX_REPLY_LINE_BYTES = 512  # RFC 5321 4.5.3.1.5


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply of one or more lines; `text` is printable ASCII, with line feeds between lines."""

    code: int
    enhanced: str | None
    text: str

    @property
    def is_permanent(self) -> bool:
        """Whether the device must not try again (RFC 5321 4.2.1)."""
        return self.code // 100 == 5  # noqa: PLR2004  # the first digit

    def encode(self) -> bytes:
        """Return the reply as it goes over the wire."""
        prefix = f"{self.enhanced} " if self.enhanced else ""
        if "\n" not in self.text and len(self.text) < MAX_REPLY_LINE_BYTES // 2:
            return f"{self.code} {prefix}{self.text}\r\n".encode("ascii", "replace")
        lines = [f"{prefix}{line}"[: MAX_REPLY_LINE_BYTES - 6] for line in self.text.split("\n")]
        marked = [f"{self.code}-{line}" for line in lines[:-1]] + [f"{self.code} {lines[-1]}"]
        return "".join(f"{line}\r\n" for line in marked).encode("ascii", "replace")


class Refused(Exception):
    """The relay or the mail server refused a command or a message; `reply` goes to the device.

    `failure` is our code for the trouble at the mail server, if there is one.
    """

    def __init__(self, reply: Reply, failure: str | None = None) -> None:
        super().__init__(reply.code)
        self.reply = reply
        self.failure = failure


class OutcomeUnknown(Refused):
    """The connection broke after the whole message was sent; the mail server may have accepted it."""


class Delivered:
    """The mail server's acceptance of a whole message: the only source of a 250 after DATA.

    Only `Transfer.finish` creates it, from the reply to the final dot.
    """

    __slots__ = ("reply",)

    def __init__(self, to_final_dot: Reply) -> None:
        """Raises `Refused` for a reply that accepts nothing."""
        if to_final_dot.code // 100 != 2:  # noqa: PLR2004  # RFC 5321 4.2.1
            raise Refused(to_final_dot)
        self.reply = to_final_dot

    def __reduce__(self) -> NoReturn:
        raise TypeError("an acceptance is not copied")
