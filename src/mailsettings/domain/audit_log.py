"""The audit log: what is recorded, and the chain of keyed hashes by which tampering shows.

Each entry's hash (HMAC-SHA256, RFC 2104) covers the entry and the hash before it; the last one is written down a
second time, with a hash of its own, so that entries missing at the end show too. Who has the key can forge all
of it, and who puts back an older state of the whole database is found only by a hash that was noted elsewhere,
such as in the program's log.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from mailsettings.domain.access import Origin

KEY_BYTES = 32


class Action(StrEnum):
    """`<thing>.<what is done to it>`; keep alphabetized."""

    ACCESS = "access"
    """Anything that was refused for want of a good token or of a permission."""
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
    """What it was before is not kept any more."""
    MAIL_SERVER_REPLACE = "mail-server.replace"
    MAIL_SERVER_RESTORE = "mail-server.restore"
    MAIL_SERVER_SECRET_EXPIRY = "mail-server.secret-ends"  # a name
    MAIL_SERVER_TEST = "mail-server.test"
    MAIL_SERVER_MONITORING = "mail-server.watch"
    """A server that worked fails (`failed`), or works again (`done`)."""
    ENCRYPTION_KEY_DROP = "sealing-key.drop"
    ENCRYPTION_KEY_RESEAL = "sealing-key.reseal"
    ENCRYPTION_KEY_ROTATE = "sealing-key.rotate"
    SIGNING_KEY_DROP = "signing-key.drop"
    SIGNING_KEY_ROTATE = "signing-key.rotate"
    TOKEN_ISSUE = "token.issue"  # as above


class AuditOutcome(StrEnum):
    """How it ended."""

    BEGUN = "begun"
    """A test of a mail server, before anything is sent, or a backup, before anything is read.

    Its end is an entry of its own.
    """
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """Who did what to which thing, from where, and how it ended; `details` is JSON that holds no secret."""

    actor: str | None
    origin: Origin
    action: str
    target: str | None
    outcome: str
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A record in its place in the log; `sequence` counts from 1 without a gap, `at` is a `timestamp`."""

    sequence: int
    at: str
    record: AuditRecord
    mac: bytes


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The last entry, as it was written down a second time; nought and no bytes before the first."""

    sequence: int
    mac: bytes
    seal: bytes


@dataclass(frozen=True, slots=True)
class AuditChain:
    """Computes the hashes, by the key of the log."""

    key: bytes = field(repr=False)

    def entry(self, before: AuditHead, at: str, record: AuditRecord) -> AuditEntry:
        """*record* as the entry that follows *before*."""
        sequence = before.sequence + 1
        return AuditEntry(sequence, at, record, self.mac(before.mac, sequence, at, record))

    def mac(self, before: bytes, sequence: int, at: str, record: AuditRecord) -> bytes:
        """The hash of an entry after the one whose hash is *before*."""
        return self._hash(b"entry", before, _canonical(sequence, at, record))

    def head(self, sequence: int = 0, mac: bytes = b"") -> AuditHead:
        """The end of the log, sealed: an earlier hash of the chain does not pass for the last one."""
        return AuditHead(sequence, mac, self._hash(b"head", mac, str(sequence).encode()))

    def sealed(self, head: AuditHead | None) -> bool:
        """Whether *head* is one of ours, for the entry it tells of."""
        return head is not None and hmac.compare_digest(self.head(head.sequence, head.mac).seal, head.seal)

    def request(self, place: str, request: bytes) -> bytes:
        """What tells two requests in one *place* apart; a plain hash could be tried with guessed passwords."""
        return self._hash(b"request", place.encode(), request)

    def _hash(self, purpose: bytes, *parts: bytes) -> bytes:
        lengths = b"".join(len(part).to_bytes(8, "big") for part in parts)
        return hmac.digest(self.key, b"|".join([purpose, lengths, *parts]), hashlib.sha256)


def timestamp(at: datetime) -> str:
    """*at* as the log has it: UTC to the microsecond, in a form that sorts as text."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def details_json(details: Mapping[str, object]) -> str:
    """*details* in the one spelling that is stored and hashed."""
    return json.dumps(details, sort_keys=True, separators=(",", ":"))


def _canonical(sequence: int, at: str, record: AuditRecord) -> bytes:
    origin = record.origin
    fields = [
        *(sequence, at, record.actor, origin.address, origin.request_id),
        *(record.action, record.target, record.outcome, details_json(record.details)),
    ]
    return json.dumps(fields, separators=(",", ":")).encode()
