"""What the metrics of several worker processes need: a place where they count together."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from mailsettings import settings

MEMORY_FILE_SYSTEM = Path("/dev/shm")  # noqa: S108  # the directory in it is private
"""Where Linux has a file system in memory."""


@contextmanager
def shared_metrics(workers: int) -> Iterator[None]:
    """Let *workers*, started in the block, count in a private directory that is gone when they are.

    Alone a process counts in its memory, unless the environment says otherwise to Prometheus' library.
    """
    if workers == 1 and settings.metrics_directory() is None:
        yield
        return
    # The files are mapped into memory: where the disk is full, the system would kill whoever counts something new.
    where = MEMORY_FILE_SYSTEM if os.access(MEMORY_FILE_SYSTEM, os.W_OK) else None
    with TemporaryDirectory(prefix="mailsettings-metrics-", dir=where) as directory:
        settings.count_together_in(Path(directory))
        yield
