"""The audit log: entries, their chain of hashes, and the check against the witness."""

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self

from mailsettings.domain.access import Origin

# As long as a SHA-256 hash, the shortest length that RFC 2104 (section 3) recommends.
KEY_BYTES = 32


class Action(StrEnum):
    """`<thing>.<action>`: these values are stored, so they never change. Keep alphabetized."""

    ACCESS = "access"
    """A request that was refused because its token was invalid or a permission was missing."""
    ACCOUNT_ADD = "account.add"
    ACCOUNT_END_SESSIONS = "account.end-sessions"
    ACCOUNT_REMOVE = "account.remove"
    ACCOUNT_SET_PASSWORD = "account.set-password"  # a name
    ACCOUNT_SET_PERMISSIONS = "account.set-permissions"
    ACCOUNT_UNLOCK = "account.unlock"
    AUDIT_ACCEPT = "audit.accept"
    """An operator accepted a log that its witness contradicts."""
    BACKUP_MAKE = "backup.make"
    BACKUP_RESTORE = "backup.restore"
    DEVICE_ADD = "device.add"
    DEVICE_CHANGE = "device.change"
    DEVICE_DISABLE = "device.disable"
    DEVICE_ENABLE = "device.enable"
    DEVICE_LOGIN = "device.login"
    """A refused login of a device; logins that succeed are not recorded."""
    DEVICE_NEW_SECRET = "device.new-secret"  # as above
    DEVICE_REMOVE = "device.remove"
    DEVICE_TEST = "device.test"
    LOGIN = "login"
    MAIL_SERVER_CLEAR_DEFAULT = "mail-server.clear-default"
    MAIL_SERVER_CREATE = "mail-server.create"
    MAIL_SERVER_DELETE = "mail-server.delete"
    MAIL_SERVER_DISABLE = "mail-server.disable"
    MAIL_SERVER_ENABLE = "mail-server.enable"
    MAIL_SERVER_FORGET = "mail-server.forget"
    """The earlier versions of a mail server were deleted."""
    MAIL_SERVER_REPLACE = "mail-server.replace"
    MAIL_SERVER_RESTORE = "mail-server.restore"
    MAIL_SERVER_SECRET_EXPIRY = "mail-server.secret-ends"  # a name
    MAIL_SERVER_SET_DEFAULT = "mail-server.set-default"
    MAIL_SERVER_TEST = "mail-server.test"
    MAIL_SERVER_MONITORING = "mail-server.watch"
    """A scheduled check found that a working server fails (`failed`) or works again (`done`)."""
    ENCRYPTION_KEY_DROP = "sealing-key.drop"
    ENCRYPTION_KEY_RESEAL = "sealing-key.reseal"
    ENCRYPTION_KEY_ROTATE = "sealing-key.rotate"
    SIGNING_KEY_DROP = "signing-key.drop"
    SIGNING_KEY_ROTATE = "signing-key.rotate"
    TOKEN_ISSUE = "token.issue"  # as above


class AuditOutcome(StrEnum):
    """How the action ended."""

    BEGUN = "begun"
    """The start of a connection test, before anything is sent, or of a backup, before anything is read.

    A second entry records its end.
    """
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """Who did what to which target, from where, and with which outcome; `details` is JSON without secrets."""

    actor: str | None
    origin: Origin
    action: str
    target: str | None
    outcome: str
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A record at its position in the log; `sequence` counts from 1 without gaps, `at` is a `timestamp`."""

    sequence: int
    at: str
    record: AuditRecord
    mac: bytes


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries to read; None accepts every value.

    Times are in the form of `timestamp`: entries not before `since`, and before `until`.
    """

    actor: str | None = None
    action: str | None = None
    target: str | None = None
    outcome: str | None = None
    since: str | None = None
    until: str | None = None


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The second record of the last entry: its number and hash, 0 and empty before the first entry."""

    sequence: int
    mac: bytes
    seal: bytes


@dataclass(frozen=True, slots=True)
class AuditChain:
    """Computes the hashes with the key of the log."""

    key: bytes = field(repr=False)

    def entry(self, before: AuditHead, at: str, record: AuditRecord) -> AuditEntry:
        """Return *record* as the entry that follows *before*."""
        sequence = before.sequence + 1
        return AuditEntry(sequence, at, record, self.mac(before.mac, sequence, at, record))

    def mac(self, before: bytes, sequence: int, at: str, record: AuditRecord) -> bytes:
        """Return the hash of an entry that follows the entry with the hash *before*."""
        return self._hash(b"entry", before, _canonical(sequence, at, record))

    def head(self, sequence: int = 0, mac: bytes = b"") -> AuditHead:
        """Return the head for the last entry; the seal prevents the use of an earlier hash instead."""
        return AuditHead(sequence, mac, self._hash(b"head", mac, str(sequence).encode()))

    def sealed(self, head: AuditHead | None) -> bool:
        """Return whether *head* was made with this key for the entry that it names."""
        return head is not None and hmac.compare_digest(self.head(head.sequence, head.mac).seal, head.seal)

    def request(self, place: str, request: bytes) -> bytes:
        """Return a keyed hash of *request* in *place*; a plain hash would let guessed passwords be tested."""
        return self._hash(b"request", place.encode(), request)

    def _hash(self, purpose: bytes, *parts: bytes) -> bytes:
        # With the lengths in front, two different splits of the same bytes never have the same hash.
        lengths = b"".join(len(part).to_bytes(8, "big") for part in parts)
        return hmac.digest(self.key, b"|".join([purpose, lengths, *parts]), hashlib.sha256)


def timestamp(at: datetime) -> str:
    """Return *at* as the log stores it: UTC to the microsecond, in a form that sorts as text."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def details_json(details: Mapping[str, object]) -> str:
    """Return *details* as JSON in the one form that is stored and hashed."""
    return json.dumps(details, sort_keys=True, separators=(",", ":"))


def _canonical(sequence: int, at: str, record: AuditRecord) -> bytes:
    # An array instead of an object: the order of its fields never depends on a library's sorting.
    origin = record.origin
    fields = [
        *(sequence, at, record.actor, origin.address, origin.request_id),
        *(record.action, record.target, record.outcome, details_json(record.details)),
    ]
    return json.dumps(fields, separators=(",", ":")).encode()


_NOTED = re.compile(r"([0-9]{1,15}):((?:[0-9a-f]{2}){1,32})")


class WitnessUnreadable(Exception):
    """The record outside the database is unreadable or malformed; `str()` is one sentence."""


class WitnessUnwritable(Exception):
    """The record cannot be written; `str()` is one sentence. `expected`: the directory is read-only by design."""

    def __init__(self, problem: str, *, expected: bool = False) -> None:
        super().__init__(problem)
        self.expected = expected


@dataclass(frozen=True, slots=True)
class WitnessedEntry:
    """Number and hash of an entry; the hash may be shortened. `place` says where it is recorded."""

    sequence: int
    mac: bytes
    place: str = ""

    @classmethod
    def parse(cls, text: str, place: str = "") -> Self:
        """Parse `NUMBER:HASH`. Raises `ValueError`."""
        found = _NOTED.fullmatch(text)
        if found is None:
            raise ValueError("not a number and a hash")
        return cls(int(found[1]), bytes.fromhex(found[2]), place)

    def __str__(self) -> str:
        return f"{self.sequence}:{self.mac.hex()}"

    def differs(self, entry: AuditEntry) -> str | None:
        """Return what is wrong if *entry*, which has the same number, is a different entry."""
        if hmac.compare_digest(entry.mac[: len(self.mac)], self.mac):
            return None
        return f"Entry {self.sequence} differs from the entry that {self._noted}."

    def missing(self, last: int) -> str:
        """Return the sentence that the log ends at entry *last*, before this entry."""
        return f"The log ends at entry {last}; entry {self.sequence} {self._noted}."

    @property
    def _noted(self) -> str:
        return f"is noted in {self.place}" if self.place else "was seen before"


class AuditLogCheck:
    """Checks the log entry by entry from the first; `problem` is a sentence about the first fault.

    *head* is the second record of the last entry, *seen* are entries recorded outside the database. The log may
    grow while it is read, so entries after the head are not a fault.
    """

    def __init__(self, chain: AuditChain, head: AuditHead | None, seen: Sequence[WitnessedEntry] = ()) -> None:
        self._chain = chain
        self._head = head
        self._seen = seen
        self.sequence = 0
        self.mac = b""
        self.problem: str | None = None

    def take(self, entries: Iterable[AuditEntry]) -> None:
        """Check the next entries, in the order of their numbers; after a problem, ignore them."""
        for entry in entries:
            if self.problem is None:
                self.problem = self._problem_of(entry)
                self.sequence, self.mac = entry.sequence, entry.mac

    def end(self) -> None:
        """Check what can be checked only after the last entry."""
        if self.problem is None:
            self.problem = self._problem_at_end()

    def _problem_of(self, entry: AuditEntry) -> str | None:
        if entry.sequence != self.sequence + 1:
            return f"Entry {self.sequence + 1} is missing."
        mac = self._chain.mac(self.mac, entry.sequence, entry.at, entry.record)
        if not hmac.compare_digest(mac, entry.mac):
            return f"Entry {entry.sequence} was altered or moved."
        return next((problem for seen in self._seen if (problem := _difference(seen, entry))), None)

    def _problem_at_end(self) -> str | None:
        head = self._head
        for seen in self._seen:
            if seen.sequence > self.sequence:
                return seen.missing(self.sequence)
        if head is None or not self._chain.sealed(head):
            return "The record of the last entry is missing or was altered."
        if head.sequence > self.sequence:
            return f"The log ends at entry {self.sequence}; {head.sequence} entries were written."
        return None


def _difference(seen: WitnessedEntry, entry: AuditEntry) -> str | None:
    return seen.differs(entry) if seen.sequence == entry.sequence else None
