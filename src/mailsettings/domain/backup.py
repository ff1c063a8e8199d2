"""What can be told about a backup, and why one is refused. Nothing of what it holds is in here.

Only the command line makes and restores them, so these errors are none of those that APIs have words for.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backup:
    """Which one it is, when it was made (a `timestamp`), and by which version of the program."""

    id: str
    made_at: str
    program: str


@dataclass(frozen=True, slots=True)
class CopyResult:
    """How many rows were written to or read from a backup, and the places of the secrets that do not open."""

    rows: int
    unreadable: Sequence[str]


class BackupError(Exception):
    """Base: nothing was made or restored; `str()` is one sentence."""


class BackupUnusable(BackupError):
    """A file that is no backup, is not whole, or is not for this version of the program."""


class WrongPassphrase(BackupError):
    """A backup, but not one that was made with this passphrase."""

    def __init__(self) -> None:
        super().__init__("The passphrase is not the one that this backup was made with.")


class BackupNotWritten(BackupError):
    """The file of a backup cannot be written, or there is one of its name already."""


class DatabaseNotEmpty(BackupError):
    """The database to restore into holds something."""

    def __init__(self) -> None:
        super().__init__("The database holds something already; restore into a new one.")
