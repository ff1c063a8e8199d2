"""What the metrics of several worker processes need: a place where they count together."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from mailsettings import settings


@contextmanager
def counting_together(workers: int) -> Iterator[None]:
    """Let *workers*, started in the block, count in a private directory that is gone when they are.

    Alone a process counts in its memory, unless the environment says otherwise to Prometheus' library.
    """
    if workers == 1 and settings.metrics_directory() is None:
        yield
        return
    with TemporaryDirectory(prefix="mailsettings-metrics-") as directory:
        settings.count_together_in(Path(directory))
        yield
