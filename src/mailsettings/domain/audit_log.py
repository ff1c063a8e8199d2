"""The audit log: its entries, and the chain of keyed hashes that reveals tampering.

The hash of each entry (HMAC-SHA256, RFC 2104) covers the entry and the hash before it. The last entry is recorded
a second time in the head, with a hash of its own, so that missing entries at the end are noticed too. An attacker
with the key can forge the whole log; and an older copy of the whole database is noticed only by a hash that was
recorded elsewhere, such as in the program's log.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from mailsettings.domain.access import Origin

# As long as a SHA-256 hash, the shortest length that RFC 2104 (section 3) recommends.
KEY_BYTES = 32


class Action(StrEnum):
    """`<thing>.<action>`: these values are stored, so they never change. Keep alphabetized."""

    ACCESS = "access"
    """A request that was refused because its token was invalid or a permission was missing."""
    ACCOUNT_ADD = "account.add"
    ACCOUNT_REMOVE = "account.remove"
    ACCOUNT_SET_PASSWORD = "account.set-password"  # a name
    ACCOUNT_SET_PERMISSIONS = "account.set-permissions"
    ACCOUNT_UNLOCK = "account.unlock"
    AUDIT_ACCEPT = "audit.accept"
    """An operator accepted a log that its witness contradicts."""
    BACKUP_MAKE = "backup.make"
    BACKUP_RESTORE = "backup.restore"
    LOGIN = "login"
    MAIL_SERVER_CREATE = "mail-server.create"
    MAIL_SERVER_DELETE = "mail-server.delete"
    MAIL_SERVER_FORGET = "mail-server.forget"
    """The earlier versions of a mail server were deleted."""
    MAIL_SERVER_REPLACE = "mail-server.replace"
    MAIL_SERVER_RESTORE = "mail-server.restore"
    MAIL_SERVER_SECRET_EXPIRY = "mail-server.secret-ends"  # a name
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
