"""The witness of the audit log: a small file outside the database with the number and hash of the last entry.

Each write replaces the file as a whole and flushes it to the disk, so after a crash it holds the old or the new
entry. The processes of one machine share it and lock its directory to write. On file systems without locks, the
slower of two processes may record an entry that is a moment older, which is still an entry of the log.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mailsettings.domain.audit_log import WitnessedEntry, WitnessUnreadable, WitnessUnwritable
from mailsettings.store import private_file

if sys.platform != "win32":
    import fcntl

WITNESS_NAME = "audit-witness"
"""The name of the file in the data directory, also with an external database."""
MAX_FILE_BYTES = 100


class WitnessFile:
    """The witness at *path*; the directory may be missing. The calls block, so make them in a thread."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> WitnessedEntry | None:
        """Return the recorded entry; None without one. Raises `WitnessUnreadable`."""
        try:
            with self.path.open(encoding="ascii") as file:
                return WitnessedEntry.parse(file.read(MAX_FILE_BYTES).strip(), str(self.path))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise WitnessUnreadable(f"{self.path} cannot be read: {error.strerror}.") from None
        except ValueError:
            raise WitnessUnreadable(f"{self.path} does not hold the number and hash of an entry.") from None

    def replace(self, expected: WitnessedEntry | None, new: WitnessedEntry) -> bool:
        """Record *new* if *expected* is still recorded; return whether it was.

        Raises `WitnessUnreadable`, `WitnessUnwritable`.
        """
        with self._alone():
            if self.read() != expected:
                return False
            self._write(new)
            return True

    def put(self, new: WitnessedEntry) -> None:
        """Record *new* unconditionally. Raises `WitnessUnwritable`."""
        with self._alone():
            self._write(new)

    def _write(self, new: WitnessedEntry) -> None:
        # A file that root writes must stay readable for the service, which owns the directory and is not root.
        is_root = sys.platform != "win32" and os.geteuid() == 0
        owner = self.path.parent.stat() if is_root else None
        private_file.put(self.path, f"{new}\n".encode(), owner)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Lock out other writing processes during the block."""
        try:
            directory = os.open(self.path.parent, os.O_RDONLY)
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            if sys.platform != "win32":
                with suppress(OSError):  # no locks on this file system
                    fcntl.flock(directory, fcntl.LOCK_EX)
            yield
        except OSError as error:
            raise self._unwritable(error) from None
        finally:
            os.close(directory)

    def _unwritable(self, error: OSError) -> WitnessUnwritable:
        # The program may run with a read-only, foreign or missing data directory by design.
        expected = isinstance(error, PermissionError | FileNotFoundError) or error.errno == errno.EROFS
        return WitnessUnwritable(f"{self.path} cannot be written: {error.strerror}.", expected=expected)
