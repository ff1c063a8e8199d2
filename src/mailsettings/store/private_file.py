"""Files that only their owner may read: key files, the audit witness and the SQLite database."""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SQLITE_SUFFIXES = ("", "-wal", "-shm", "-journal")
"""The suffixes of the files that SQLite creates; each of them holds pages of the database."""


_POSIX = os.name == "posix"


class DatabaseFileExposed(Exception):
    """Every user of this machine can read or write the database; `str()` is one sentence."""


def require_private(file: Path) -> None:
    """Raise `DatabaseFileExposed` if every user can read or write *file* or one of SQLite's files next to it.

    Access by the group is allowed: Kubernetes assigns a volume to the group of the pod (`fsGroup`).
    """
    if not _POSIX:
        return
    for path in (file.with_name(f"{file.name}{suffix}") for suffix in _SQLITE_SUFFIXES):
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & stat.S_IRWXO:
            raise DatabaseFileExposed(f"{path} can be read or written by every user; chmod it to 600.")


FileVersion = tuple[int, int, int]
"""Inode, modification time in ns and size of a file; they change with its content."""


class KeyFileUnusable(Exception):
    """A key file cannot be used as it is; `str()` is one sentence."""


def create(path: Path, content: bytes) -> None:
    """Create the file unless it exists, even if another program creates it now. Raises `KeyFileUnusable`."""
    with _os_errors_as_unusable(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _temporary_file(path, content, None) as draft:
            try:
                # A link, unlike a rename, does not replace the file of a quicker program.
                os.link(draft, path)
            except FileExistsError:
                return


def replace(path: Path, content: bytes, like: Path) -> None:
    """Replace the file by *content* in one step, for the owner of *like*. Raises `KeyFileUnusable`."""
    with _os_errors_as_unusable(path):
        put(path, content, like.stat())


def put(path: Path, content: bytes, owner: os.stat_result | None) -> None:
    """Replace the file by *content* in one step, with the owner of *owner*. Raises `OSError`."""
    with _temporary_file(path, content, owner) as draft:
        draft.replace(path)
        flush_directory(path.parent)


def remove(path: Path) -> None:
    """Remove the file if it exists. Raises `KeyFileUnusable`."""
    with _os_errors_as_unusable(path):
        path.unlink(missing_ok=True)


def read(path: Path, *, group: bool = False) -> tuple[FileVersion, bytes]:
    """Return the content and its version; with *group* the file may be readable for its group.

    Raises `KeyFileUnusable`.
    """
    with _os_errors_as_unusable(path), path.open("rb") as file:
        found = os.fstat(file.fileno())
        _require_private(path, stat.S_IMODE(found.st_mode), group=group)
        return _version_of(found), file.read()


def file_version(path: Path) -> FileVersion | None:
    """Return the current version, following symbolic links; None without a file. Raises `KeyFileUnusable`."""
    with _os_errors_as_unusable(path):
        try:
            return _version_of(path.stat())
        except FileNotFoundError:
            return None


def _version_of(found: os.stat_result) -> FileVersion:
    return found.st_ino, found.st_mtime_ns, found.st_size


def _require_private(path: Path, mode: int, *, group: bool) -> None:
    if _POSIX and mode & (0o037 if group else 0o077):
        whom, wanted = ("its owner and group", "440") if group else ("its owner", "600")
        raise KeyFileUnusable(f"{path} can be read by others than {whom}, or written; chmod it to {wanted}.")


@contextmanager
def _temporary_file(path: Path, content: bytes, like: os.stat_result | None) -> Iterator[Path]:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            if _POSIX and like is not None:
                # A file that root replaces must stay readable for the service, which is not root.
                os.fchown(file.fileno(), like.st_uid, like.st_gid)
            file.write(content)
            file.flush()
            # Before the rename or link: otherwise a power failure could leave an empty file under the name.
            os.fsync(file.fileno())
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def flush_directory(path: Path) -> None:
    """Flush the names of its files to the disk, where the system supports it."""
    if _POSIX:
        directory = os.open(path, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


@contextmanager
def _os_errors_as_unusable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise KeyFileUnusable(f"{path} cannot be used: {error.strerror}.") from None
