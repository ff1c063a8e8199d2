"""Facts that a test observes about a mail server: its addresses, its replies, its encryption."""

import re
from dataclasses import dataclass
from datetime import datetime

MAX_SUMMARY_LENGTH = 300
_LINKS = re.compile(r"<https?://[^>]*(>|$)|https?://\S+", re.IGNORECASE)
"""With blanks in it too: a link that a server breaks over several lines is in angle brackets."""
_LEADS = re.compile(
    r"\s*[([]?\b(for (more|further|additional) (information|details|help),? ?(please )?(go to|visit|see|check)?"
    r"|(please )?(learn|read|see|find out) more( at| on| about it)?|more info(rmation)?( at| in| on)?"
    r"|(please )?(see|visit|check|contact|go to|refer to)( at)?|for explanation visit)\s*[:\-]*\s*(?=$|[)\].]"
    r"|- gsmtp)",
    re.IGNORECASE,
)
_TRACES = re.compile(
    r"\s*\[[A-Z0-9]{8,}\.[^\]]*\]|\s*\b[a-z0-9]{8,}-?[a-z0-9]*\.\d+\b(?=\s*-?\s*(gsmtp|gcdp)?$)|\s*- (gsmtp"
    r"|gcdp)\b"
)
"""Marks that are for the log of the provider: host and time of Exchange, session of Google."""


def summary(text: str) -> str:
    """Return *text* without links, the words that lead to them, and marks for the provider; bounded."""
    without = _LINKS.sub(" ", text)
    for _ in range(2):
        without = _LEADS.sub("", _TRACES.sub("", " ".join(without.split())))
    without = " ".join(without.split()).rstrip(" -:;,") or text
    return (
        without
        if len(without) <= MAX_SUMMARY_LENGTH
        else f"{without[: MAX_SUMMARY_LENGTH - 1].rpartition(' ')[0]}…"
    )


EXPIRES_SOON_DAYS = 30


@dataclass(frozen=True, slots=True)
class SMTPReply:
    """What the server answered; `text` is cleaned, bounded and free of our credentials."""

    code: int
    enhanced_code: str | None
    text: str

    def __str__(self) -> str:
        return " ".join(filter(None, (str(self.code), self.enhanced_code, self.text)))

    @property
    def summary(self) -> str:
        """What messages have room for: the codes, and the part of the text that means something to people."""
        return " ".join(filter(None, (str(self.code), self.enhanced_code, summary(self.text))))


@dataclass(frozen=True, slots=True)
class AddressAttempt:
    """One address of the host; `problem` is empty for the one that was used, None if no answer was waited for.

    A host has more addresses than are `tried`.
    """

    address: str
    milliseconds: int
    problem: str | None
    tried: bool = True

    @property
    def connected(self) -> bool:
        """Whether this is the address that was used."""
        return self.problem == ""

    @property
    def outcome(self) -> str:
        """What became of it, as reports say it."""
        if not self.tried:
            return "not tried"
        return "connected" if self.connected else self.problem or "not needed"


@dataclass(frozen=True, slots=True)
class ServerGreeting:
    """What the server says of itself in greeting and EHLO; `size_limit` in bytes, None if it names none."""

    name: str
    extensions: tuple[str, ...] = ()
    mechanisms: tuple[str, ...] = ()
    size_limit: int | None = None

    def offers(self, extension: str) -> bool:
        """Whether *extension*, in capitals, is among what EHLO listed."""
        return extension in self.extensions


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate as it was presented, trusted or not; `sha256` in hexadecimal, `pem` to be kept."""

    subject: str
    names: tuple[str, ...]
    issuer: str
    not_before: datetime
    not_after: datetime
    sha256: str
    pem: str

    @property
    def is_self_issued(self) -> bool:
        """Whether it names itself as its issuer."""
        return self.subject == self.issuer

    def days_left(self, now: datetime) -> int:
        """Whole days until it expires; negative when it has."""
        return (self.not_after - now).days


@dataclass(frozen=True, slots=True)
class TLSSession:
    """How the connection is encrypted.

    `chain` is what the server presented, its own certificate first; `path` is what it was verified by, from the
    server's own certificate to the trusted one. Servers present certificates that no path needs.
    """

    version: str
    cipher: str
    chain: tuple[Certificate, ...] = ()
    path: tuple[Certificate, ...] = ()
