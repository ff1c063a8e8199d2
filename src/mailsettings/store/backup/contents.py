"""The content of a backup: which tables it has, and their rows as lines of JSON, the same for both databases.

The first line is the preface, with the encryption keys of the secrets in the rows. Each table has a line with its
name, its columns and the last number that it assigned to a row, and a line for each row. The last line has the
number of all rows.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Boolean, Column, Date, DateTime, Float, Integer, LargeBinary, String, Table

from mailsettings.domain.backup import Backup
from mailsettings.store import tables
from mailsettings.store.relay import tables as relay_tables

BACKED_UP: Sequence[Table] = (
    *(tables.mail_servers, tables.mail_server_versions, tables.accounts, tables.service_keys),
    *(tables.audit_entries, tables.audit_head, tables.watch_states),
    *(relay_tables.devices, relay_tables.device_uses),
)
LEFT_OUT: Mapping[Table, str] = {
    tables.idempotency_keys: "of the moment: requests that are sent again within a day",
    tables.known_networks: "of the moment: known again with the next login",
    tables.leases: "of the moment: who does what right now",
    tables.login_failures: "of the moment: who has to wait before the next try",
    tables.probe_admissions: "of the moment: connection tests of the last minute",
    tables.schema_support: "the program's: written by its migrations",
    tables.data_version: "of the moment: the data version of this database, which moves with each change",
    tables.encryption_keys: "the key file's: the database that is restored has one of its own",
    relay_tables.device_rates: "of the moment: the allowance of the running minute",
    relay_tables.device_test_logins: "of the moment: logins that expire after a minute",
    relay_tables.messages: "of the moment: kept for some days, and larger than all other rows together",
    relay_tables.message_recipients: "of the moment: they belong to the message log",
    relay_tables.relay_places: "of the moment: which relay holds which connection",
    relay_tables.relay_waiting: "of the moment: which relay waits for a connection",
    relay_tables.relays: "of the moment: which relays run",
    tables.webhook_events: "of the moment: a restored event would be delivered late and twice",
}


@dataclass(frozen=True, slots=True)
class Preface:
    """The first line: facts about the backup, and the keys of its secrets; `bound` as in a `Sealer`."""

    backup: Backup
    revision: str
    keys: Sequence[bytes] = field(repr=False)
    bound: frozenset[str] = frozenset()

    def line(self) -> bytes:
        """Return the preface as a line of the file."""
        about = [self.backup.id, self.backup.made_at, self.backup.program]
        keys = [b64encode(key).decode() for key in self.keys]
        members = {"about": about, "revision": self.revision, "keys": keys, "bound": sorted(self.bound)}
        return to_line(members)


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of one table, and the last number that it assigned, if it assigns numbers."""

    table: Table
    last_number: int | None
    rows: list[dict[str, Any]]


MAX_PREFACE_TEXT_LENGTH = 200


class RowFormat:
    """Converts the rows of one table to JSON lists and back."""

    def __init__(self, table: Table) -> None:
        self.columns = [column.name for column in table.columns]
        self._formats = [_format_of(column) for column in table.columns]

    def line(self, row: Iterable[Any]) -> bytes:
        """Return a row as a line of the file."""
        pairs = zip(self._formats, row, strict=True)
        return to_line([None if value is None else write(value) for (write, _), value in pairs])

    def row(self, values: Sequence[Any]) -> dict[str, Any]:
        """Return a row for the database. Raises `ValueError` or `TypeError` for malformed values."""
        pairs = zip(self.columns, self._formats, values, strict=True)
        return {name: None if value is None else read(value) for name, (_, read), value in pairs}


def identity_column(table: Table) -> Column[Any] | None:
    """Return the column with numbers that the database assigns and never reuses."""
    return next((column for column in table.columns if column.identity is not None), None)


def to_line(value: object) -> bytes:
    """Return one line of JSON with its line feed."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def parse_preface(line: Any) -> Preface:
    """Parse a preface. Raises `ValueError` if it is malformed."""
    match line:
        case {"about": [str(name), str(made_at), str(program)], "revision": str(revision), "keys": list(keys)}:
            _require_plain(name, made_at, program, revision)
            return Preface(
                Backup(name, made_at, program),
                revision,
                [b64decode(key, validate=True) for key in keys],
                frozenset(line.get("bound", [])),  # missing in backups of version 0.1.0
            )
    raise ValueError


def _require_plain(*texts: str) -> None:
    """Raise `ValueError` for texts that are unsafe on a terminal or too long for a sentence."""
    if not all(text.isprintable() and len(text) <= MAX_PREFACE_TEXT_LENGTH for text in texts):
        raise ValueError


Format = tuple[Callable[[Any], object], Callable[[Any], object]]


def _format_of(column: Column[Any]) -> Format:
    """Return how to write and how to read the values of a column."""
    match column.type:
        case LargeBinary():
            return (lambda value: b64encode(value).decode()), (lambda text: b64decode(text, validate=True))
        case DateTime():
            return _utc, datetime.fromisoformat
        case Date():
            return date.isoformat, date.fromisoformat
        case Boolean() | Integer() | Float() | String():
            return _itself, _itself
    raise TypeError(f"{column} is of a type that backups have no words for.")


def _itself(value: Any) -> object:
    return value


def _utc(value: datetime) -> str:
    """Return the time in UTC; times from SQLite are in UTC without a zone."""
    return (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
