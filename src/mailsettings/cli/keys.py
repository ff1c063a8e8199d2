"""The commands about the keys that secrets are sealed with."""

import sys
from collections.abc import Sequence

import click

from mailsettings.cli.running import operator, reporting_errors, run
from mailsettings.domain.encryption_keys import EncryptionKey
from mailsettings.store.encryption.key_file import new_key_line


@click.group()
def keys() -> None:
    """Keys that stored secrets are sealed with."""


@keys.command()
@reporting_errors
def status() -> None:
    """Print each key with the number of secrets that need it, and what cannot be opened."""
    report = run(lambda backend: backend.encryption_keys.status())
    for key in report.keys:
        click.echo(f"{key.key_id}\t{_state(key)}\t{key.secrets}")
    _print_unreadable(report.unreadable)


@keys.command()
@reporting_errors
def rotate() -> None:
    """Make a new key, which seals from now on; older ones still open."""
    click.echo(run(lambda backend: backend.encryption_keys.rotate(operator())))


@keys.command()
@reporting_errors
def reseal() -> None:
    """Seal every secret with the current key, while requests run; go on where an earlier run ended."""
    done = run(lambda backend: backend.encryption_keys.reseal(operator()))
    click.echo(f"{done.count} sealed anew.")
    if done.unmarked is not None:
        click.echo(
            f"Write the word `bound` after each key in {done.unmarked}, "
            "so that no secret that version 0.1.0 sealed opens again."
        )
    _print_unreadable(done.unreadable)
    sys.exit(1 if done.unreadable else 0)


@keys.command()
@click.argument("key_id")
@reporting_errors
def drop(key_id: str) -> None:
    """Forget the key KEY_ID, which no secret needs any more."""
    left_in = run(lambda backend: backend.encryption_keys.drop(operator(), key_id))
    if left_in is not None:
        click.echo(f"Nothing is sealed with {key_id} any more; take its line out of {left_in}.")


@keys.command()
def new() -> None:
    """Print a line with a new key, for a file of keys that is kept elsewhere."""
    click.echo(new_key_line(), nl=False)


def _state(key: EncryptionKey) -> str:
    if not key.is_available:
        return "missing"
    return "current" if key.is_current else "old"


def _print_unreadable(places: Sequence[str]) -> None:
    for place in places:
        click.echo(f"cannot be opened: {place}", err=True)
