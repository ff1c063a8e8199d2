"""Who may read the file of an SQLite database. It holds names, hosts and sealed secrets."""

import os
import stat
from pathlib import Path

_SQLITE_SUFFIXES = ("", "-wal", "-shm", "-journal")
"""What SQLite puts beside the file; each of them holds pages of it."""


class DatabaseFileExposed(Exception):
    """Everybody on this machine can read or write the database; `str()` is one sentence."""


def require_private(file: Path) -> None:
    """Raise `DatabaseFileExposed` if *file*, or what SQLite puts beside it, is open to everybody.

    Its group is left to whoever mounted the volume: Kubernetes gives a volume to the group of the pod (`fsGroup`).
    """
    if os.name != "posix":
        return
    for path in (file.with_name(f"{file.name}{suffix}") for suffix in _SQLITE_SUFFIXES):
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & stat.S_IRWXO:
            raise DatabaseFileExposed(f"{path} can be read or written by everybody; chmod it to 600.")
