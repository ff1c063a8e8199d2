"""What is in a backup, and what is not: tables and their rows as lines of JSON, alike for both databases.

The first line is the preface, with the sealing keys that the secrets in the rows need. Then for each table a line
with its name, its columns and the last number that it gave to a row, and a line for each row. The last line says
how many rows there were.
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

BACKED_UP: Sequence[Table] = (
    *(tables.mail_servers, tables.mail_server_versions, tables.accounts, tables.service_keys),
    *(tables.audit_entries, tables.audit_head, tables.watch_states),
)
LEFT_OUT: Mapping[Table, str] = {
    tables.idempotency_keys: "of the moment: requests that are sent again within a day",
    tables.known_networks: "of the moment: known again with the next login",
    tables.leases: "of the moment: who does what right now",
    tables.login_failures: "of the moment: who has to wait before the next try",
    tables.probe_admissions: "of the moment: connection tests of the last minute",
    tables.schema_support: "the program's: written by its migrations",
    tables.encryption_keys: "the key file's: the database that is restored has one of its own",
    tables.webhook_events: "of the moment: what would be told late, and twice",
}


@dataclass(frozen=True, slots=True)
class Preface:
    """What a backup says of itself, and the keys that its secrets are sealed with; `bound` as in a `Sealer`."""

    backup: Backup
    revision: str
    keys: Sequence[bytes] = field(repr=False)
    bound: frozenset[str] = frozenset()

    def line(self) -> bytes:
        """As it is in the file."""
        about = [self.backup.id, self.backup.made_at, self.backup.program]
        keys = [b64encode(key).decode() for key in self.keys]
        members = {"about": about, "revision": self.revision, "keys": keys, "bound": sorted(self.bound)}
        return to_line(members)


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of one table, and the last number that it gave to a row, if it gives any."""

    table: Table
    last_number: int | None
    rows: list[dict[str, Any]]


MAX_PREFACE_TEXT_LENGTH = 200


class RowFormat:
    """The rows of one table as lists of what JSON has, and back."""

    def __init__(self, table: Table) -> None:
        self.columns = [column.name for column in table.columns]
        self._formats = [_format_of(column) for column in table.columns]

    def line(self, row: Iterable[Any]) -> bytes:
        """A row as it is in the file."""
        pairs = zip(self._formats, row, strict=True)
        return to_line([None if value is None else write(value) for (write, _), value in pairs])

    def row(self, values: Sequence[Any]) -> dict[str, Any]:
        """A row as the database takes it. Raises `ValueError` or `TypeError` for anything else."""
        pairs = zip(self.columns, self._formats, values, strict=True)
        return {name: None if value is None else read(value) for name, (_, read), value in pairs}


def identity_column(table: Table) -> Column[Any] | None:
    """The column whose numbers the database gives, and never twice."""
    return next((column for column in table.columns if column.identity is not None), None)


def to_line(value: object) -> bytes:
    """One line of JSON, with its line feed."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def parse_preface(line: Any) -> Preface:
    """Raises `ValueError` for what is none."""
    match line:
        case {"about": [str(name), str(made_at), str(program)], "revision": str(revision), "keys": list(keys)}:
            _require_plain(name, made_at, program, revision)
            return Preface(
                Backup(name, made_at, program),
                revision,
                [b64decode(key, validate=True) for key in keys],
                frozenset(line.get("bound", [])),  # earlier backups have none
            )
    raise ValueError


def _require_plain(*texts: str) -> None:
    """They are shown on terminals, and in sentences. Raises `ValueError`."""
    if not all(text.isprintable() and len(text) <= MAX_PREFACE_TEXT_LENGTH for text in texts):
        raise ValueError


Format = tuple[Callable[[Any], object], Callable[[Any], object]]


def _format_of(column: Column[Any]) -> Format:
    """How to write and read the values of a column."""
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
    """SQLite's are in UTC and do not say so."""
    return (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
