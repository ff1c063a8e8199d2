"""What making and restoring backups needs from the outside, as Protocols like those in `ports`."""

from collections.abc import Generator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from typing import Protocol, TypeVar

from mailsettings.domain.backup import Backup, CopyResult
from mailsettings.domain.secret import Secret
from mailsettings.use_cases.ports import AuditLog


class Snapshot(Protocol):
    """The database at one moment."""

    @property
    def copied(self) -> CopyResult:
        """What was in the lines so far."""
        ...

    def lines(self, backup_id: str, made_at: str) -> Generator[bytes]:
        """All that a backup has to hold."""
        ...


class NewBackup(Protocol):
    """The file of a backup while it is written."""

    def write(self, lines: bytes) -> None:
        """Append *lines*."""
        ...

    def publish(self) -> None:
        """Let it have its name."""
        ...


class BackupMaker(Protocol):
    """Makes files."""

    def __call__(self, path: Path, passphrase: Secret, /) -> AbstractContextManager[NewBackup]:
        """A new one; an error before the end of the block leaves none. Raises `BackupNotWritten`."""
        ...


class VerifiedBackup(Protocol):
    """A backup that was read to its end and is as it was written; what is in it is the store's business."""

    @property
    def about(self) -> Backup:
        """Which one it is."""
        ...


Verified_contra = TypeVar("Verified_contra", contravariant=True)


class Contents(Protocol[Verified_contra]):
    """All that the database holds, in one transaction."""

    async def fill(self, backup: Verified_contra) -> CopyResult:
        """Put in what *backup* has. Raises `DatabaseNotEmpty`."""
        ...


class RestoringWork(Protocol[Verified_contra]):
    """One transaction, as far as restoring goes."""

    @property
    def audit(self) -> AuditLog:
        """The audit log."""
        ...

    @property
    def contents(self) -> Contents[Verified_contra]:
        """All that there is, as this transaction sees it."""
        ...


class RestoringStore(Protocol[Verified_contra]):
    """A `Store` that can be filled."""

    def writing(self) -> AbstractAsyncContextManager[RestoringWork[Verified_contra]]:
        """A transaction; one at a time."""
        ...
