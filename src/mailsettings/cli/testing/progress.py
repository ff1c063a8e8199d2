"""Say on a terminal that a command still works: on standard error, so that the output stays as it is."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

_FIRST_SECONDS = 1.0
_EACH_SECONDS = 0.5


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show *what* and the seconds so far, from the first second of the block on; nothing without a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    ended = threading.Event()
    line = threading.Thread(target=_show, args=(what, ended), daemon=True)
    line.start()
    try:
        yield
    finally:
        ended.set()
        line.join()


def _show(what: str, ended: threading.Event) -> None:
    begun = time.monotonic()
    wait, shown = _FIRST_SECONDS, ""
    while not ended.wait(wait):
        wait, shown = _EACH_SECONDS, f"{what}: {time.monotonic() - begun:.0f} s"
        click.echo(f"\r{shown}", nl=False, err=True)
    if shown:
        click.echo(f"\r{' ' * len(shown)}\r", nl=False, err=True)
