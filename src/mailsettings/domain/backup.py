"""Facts about a backup, and the errors of making and restoring one. Its content is the store's business.

Only the command line makes and restores backups, so no API translates these errors.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backup:
    """The id of a backup, when it was made (a `timestamp`), and the version of the program that made it."""

    id: str
    made_at: str
    program: str


@dataclass(frozen=True, slots=True)
class CopyResult:
    """The number of rows that were copied, and the locations of secrets that could not be decrypted."""

    rows: int
    unreadable: Sequence[str]


class BackupError(Exception):
    """Base: no backup was made or restored; `str()` is one sentence."""


class BackupUnusable(BackupError):
    """The file is not a backup, is incomplete or damaged, or does not fit this version of the program."""


class WrongPassphrase(BackupError):
    """The backup was made with another passphrase."""

    def __init__(self) -> None:
        super().__init__("The passphrase is wrong: the backup has a different passphrase.")


class BackupNotWritten(BackupError):
    """The backup file cannot be written, or a file with its name exists already."""


class DatabaseNotEmpty(BackupError):
    """The database to restore into is not empty."""

    def __init__(self) -> None:
        super().__init__("The database is not empty; restore into a new database.")
