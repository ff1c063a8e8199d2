"""Reading a backup: first all of it, to see that it is whole and for us, then once more to restore it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Table

from mailsettings.domain.backup import Backup, BackupUnusable
from mailsettings.domain.secret import Secret
from mailsettings.store import migrations
from mailsettings.store.backup.contents import BACKED_UP, Batch, Preface, RowFormat, parse_preface
from mailsettings.store.backup.file_format import BackupReader, damaged

ROWS_PER_BATCH = 500
MAX_ROW_NUMBER = 2**31 - 1
"""What a number of ours stays below: our columns are of 32 bits."""


class VerifiedBackup:
    """A backup that was read to its end and is as it was written."""

    def __init__(self, preface: Preface, lines: Callable[[], Iterator[bytes]]) -> None:
        self._preface = preface
        self._lines = lines

    @property
    def about(self) -> Backup:
        """Which one it is."""
        return self._preface.backup

    @property
    def keys(self) -> list[bytes]:
        """The keys that its secrets are sealed with."""
        return list(self._preface.keys)

    @property
    def bound(self) -> frozenset[str]:
        """The ids of those keys that open bound secrets alone."""
        return self._preface.bound

    def batches(self) -> Iterator[Batch]:
        """Its rows, table by table. Raises `BackupUnusable`, if the file was changed meanwhile."""
        lines = self._lines()
        next(lines)
        return _batches(lines)


@contextmanager
def verified_backup(path: Path, passphrase: Secret) -> Iterator[VerifiedBackup]:
    """The backup in *path*, read to its end. Raises `BackupUnusable`, `WrongPassphrase`."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise BackupUnusable(f"{path} cannot be read: {error.strerror}.") from None
    with file:
        reader = BackupReader(file, passphrase)
        backup = VerifiedBackup(_preface(reader), reader.lines)
        for _ in backup.batches():
            pass
        yield backup


def _preface(reader: BackupReader) -> Preface:
    with _wrong_as_damaged():
        preface = parse_preface(_parsed(next(reader.lines(), b"")))
    if preface.revision != migrations.head():
        raise BackupUnusable(
            f"The backup was made by mailsettings {preface.backup.program} and has the schema {preface.revision}, "
            f"this program has {migrations.head()}; restore it with that version, then migrate."
        )
    return preface


def _batches(lines: Iterator[bytes]) -> Iterator[Batch]:
    """Raises `BackupUnusable` unless there is every table, once, and as many rows as the last line tells of."""
    count = 0
    with _wrong_as_damaged():
        values = map(_parsed, lines)
        value = next(values, None)
        for table in BACKED_UP:
            form, rows = RowFormat(table), []
            last_number = _last_number(table, form, value)
            while isinstance(value := next(values, None), list):
                rows.append(form.row(value))
                if len(rows) == ROWS_PER_BATCH:
                    yield Batch(table, last_number, rows)
                    count, rows = count + len(rows), []
            yield Batch(table, last_number, rows)
            count += len(rows)
        if value != {"rows": count} or next(values, None) is not None:
            raise ValueError


def _last_number(table: Table, form: RowFormat, value: object) -> int | None:
    """What the line before the rows of *table* has to say. Raises `ValueError` for another line."""
    match value:
        case {"table": table.name, "columns": form.columns, "last_number": None}:
            return None
        case {"table": table.name, "columns": form.columns, "last_number": int() as last} if (
            0 <= last < MAX_ROW_NUMBER
        ):
            return last
    raise ValueError


def _parsed(line: bytes) -> Any:
    return json.loads(line)


@contextmanager
def _wrong_as_damaged() -> Iterator[None]:
    """What opens was written by somebody who knew the passphrase, so not by us, if it has another form."""
    try:
        yield
    except (ValueError, TypeError, RecursionError):
        raise damaged() from None
