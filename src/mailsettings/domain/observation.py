"""Facts that a test observes about a mail server: its addresses, its replies, its encryption."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

MAX_SUMMARY_LENGTH = 300
_LINKS = re.compile(r"<https?://[^>]*(>|$)|https?://\S+", re.IGNORECASE)
"""A link in angle brackets may contain blanks, because servers break it over several lines."""
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
"""Marks for the provider's own log: host and time in replies of Exchange, the session in replies of Google."""


def summary(text: str) -> str:
    """Return *text* without links, the words before them, and marks for the provider, in a bounded length."""
    without = _LINKS.sub(" ", text)
    for _ in range(2):  # words before a link may end up before a mark, so both passes are needed
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
    """A reply of the server; `text` has no control characters, no credentials and a bounded length."""

    code: int
    enhanced_code: str | None
    text: str

    def __str__(self) -> str:
        return " ".join(filter(None, (str(self.code), self.enhanced_code, self.text)))

    @property
    def summary(self) -> str:
        """The codes and the informative part of the text, short enough for an error message."""
        return " ".join(filter(None, (str(self.code), self.enhanced_code, summary(self.text))))


class AddressOutcome(StrEnum):
    """The result of an attempt to connect to one address."""

    CONNECTED = "connected"
    FAILED = "failed"
    NOT_NEEDED = "not_needed"
    """Another address connected first."""
    NOT_TRIED = "not_tried"
    """The host has more addresses than a test tries."""


@dataclass(frozen=True, slots=True)
class AddressAttempt:
    """One address of the host; `problem` is empty for the address in use, None if its answer was not needed.

    Stored reports have these fields, so their names and meanings stay.
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
    def outcome(self) -> AddressOutcome:
        """The result of the attempt."""
        if not self.tried:
            return AddressOutcome.NOT_TRIED
        if self.connected:
            return AddressOutcome.CONNECTED
        return AddressOutcome.FAILED if self.problem else AddressOutcome.NOT_NEEDED


@dataclass(frozen=True, slots=True)
class ServerGreeting:
    """What the server announces in its greeting and EHLO; `size_limit` in bytes, None without a limit."""

    name: str
    extensions: tuple[str, ...] = ()
    mechanisms: tuple[str, ...] = ()
    size_limit: int | None = None

    def offers(self, extension: str) -> bool:
        """Return whether EHLO listed *extension*, which is in capitals."""
        return extension in self.extensions


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate as the server presented it, trusted or not; `sha256` is in hexadecimal."""

    subject: str
    names: tuple[str, ...]
    issuer: str
    not_before: datetime
    not_after: datetime
    sha256: str
    pem: str

    @property
    def is_self_issued(self) -> bool:
        """Whether the certificate names itself as its issuer."""
        return self.subject == self.issuer

    def days_left(self, now: datetime) -> int:
        """Return the whole days until it expires; negative after that."""
        # timedelta.days rounds down, so a certificate that ends within hours has 0 days left.
        return (self.not_after - now).days


@dataclass(frozen=True, slots=True)
class TLSSession:
    """How the connection is encrypted.

    `chain` has the certificates that the server presented, its own first; `path` has those that verified it, from
    the server's own to the trusted one. A server may present certificates that no path needs.
    """

    version: str
    cipher: str
    chain: tuple[Certificate, ...] = ()
    path: tuple[Certificate, ...] = ()
