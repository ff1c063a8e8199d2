"""A backup as a file: whole and encrypted under its name, or not there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailsettings.domain.secret import Secret
from mailsettings.store.backup.file_format import BackupWriter, Cost
from mailsettings.store.backup.writer import NewFile, new_file


class NewBackup:
    """The file while it is written."""

    def __init__(self, file: NewFile, passphrase: Secret, cost: Cost | None = None) -> None:
        self._file = file
        self._writer = BackupWriter(file.write, passphrase, cost)

    def write(self, lines: bytes) -> None:
        """Append *lines*. Raises `BackupNotWritten`."""
        self._writer.write(lines)

    def publish(self) -> None:
        """Let it have its name, once it is whole and on the disk. Raises `BackupNotWritten`."""
        self._writer.end()
        self._file.publish()


@contextmanager
def new_backup(path: Path, passphrase: Secret) -> Iterator[NewBackup]:
    """A backup to write and publish; an error before the end of the block leaves no file. Raises `BackupNotWritten`."""
    with new_file(path) as file:
        yield NewBackup(file, passphrase)
