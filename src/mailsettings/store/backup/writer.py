"""The file of a new backup: it gets its name when it is complete, and never replaces another file.

Only its owner may read it. An error before the end leaves no file.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mailsettings.domain.backup import BackupNotWritten
from mailsettings.domain.values import Secret
from mailsettings.store.backup.file_format import BackupWriter, Cost
from mailsettings.store.private_file import flush_directory


class NewFile:
    """A file that is written under a temporary name in the same folder."""

    def __init__(self, path: Path, draft: Path, content: BinaryIO) -> None:
        self._path = path
        self._draft = draft
        self._content = content
        self._is_published = False

    def write(self, content: bytes) -> None:
        """Append *content*. Raises `BackupNotWritten`."""
        with _os_errors_as_not_written(self._path):
            self._content.write(content)

    def publish(self) -> None:
        """Publish the file under its name, once it is on the disk. Raises `BackupNotWritten`."""
        with _os_errors_as_not_written(self._path):
            self._content.flush()
            # Before the file gets its name: a name then always means a complete backup.
            os.fsync(self._content.fileno())
            # A link, unlike a rename, does not replace a file that was created meanwhile.
            os.link(self._draft, self._path)
            self._is_published = True
            flush_directory(self._path.parent)

    def withdraw(self) -> None:
        """Remove the published name, if any."""
        if self._is_published:
            self._path.unlink(missing_ok=True)


@contextmanager
def new_file(path: Path) -> Iterator[NewFile]:
    """Yield a file to write and publish; an error in the block leaves no file. Raises `BackupNotWritten`."""
    require_free(path)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    content = _created(path, draft)
    file = NewFile(path, draft, content)
    try:
        yield file
    except BaseException:
        file.withdraw()
        raise
    finally:
        # Closing flushes, which may fail like any write; by then the file is published or not needed.
        with _os_errors_as_not_written(path):
            draft.unlink(missing_ok=True)
            content.close()


def require_free(path: Path) -> None:
    """Raise `BackupNotWritten` if anything has this name."""
    if os.path.lexists(path):
        raise BackupNotWritten(_taken(path))


def _created(path: Path, draft: Path) -> BinaryIO:
    with _os_errors_as_not_written(path):
        return os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _taken(path: Path) -> str:
    return f"{path} exists already and is not overwritten."


@contextmanager
def _os_errors_as_not_written(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise BackupNotWritten(_taken(path)) from None
    except OSError as error:
        raise BackupNotWritten(f"{path} cannot be written: {error.strerror}.") from None


class NewBackup:
    """A backup that is being written."""

    def __init__(self, file: NewFile, passphrase: Secret, cost: Cost | None = None) -> None:
        self._file = file
        self._writer = BackupWriter(file.write, passphrase, cost)

    def write(self, lines: bytes) -> None:
        """Append *lines*. Raises `BackupNotWritten`."""
        self._writer.write(lines)

    def publish(self) -> None:
        """Publish the complete file under its name, once it is on the disk. Raises `BackupNotWritten`."""
        self._writer.end()
        self._file.publish()


@contextmanager
def new_backup(path: Path, passphrase: Secret) -> Iterator[NewBackup]:
    """Yield a backup to write and publish; an earlier error leaves no file. Raises `BackupNotWritten`."""
    with new_file(path) as file:
        yield NewBackup(file, passphrase)
