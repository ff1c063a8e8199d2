"""The commands about keys: those that encrypt stored secrets, and those that sign access tokens."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from mailsettings.cli.command import Group, LocalCommand
from mailsettings.cli.local import operator, run

if TYPE_CHECKING:
    from mailsettings.domain.encryption_keys import EncryptionKey


@click.group(cls=Group)
def key() -> None:
    """Manage the keys that encrypt secrets and sign access tokens."""


@key.group(cls=Group)
def encryption() -> None:
    """Manage the keys that encrypt stored secrets."""


@encryption.command()
def status() -> None:
    """Print each key with the number of secrets that need it, and the secrets that cannot be decrypted."""
    report = run(lambda backend: backend.encryption_keys.status(operator()))
    for each in report.keys:
        click.echo(f"{each.key_id}\t{_state(each)}\t{each.secrets}")
    _print_unreadable(report.unreadable)


@encryption.command("rotate", cls=LocalCommand)
def rotate_encryption() -> None:
    """Make a new key, which encrypts from now on, and print its id; older keys still decrypt."""
    click.echo(run(lambda backend: backend.encryption_keys.rotate(operator())))


@encryption.command()
def reseal() -> None:
    """Encrypt every secret with the current key, while requests run; continue an interrupted run."""
    done = run(lambda backend: backend.encryption_keys.reseal(operator()))
    click.echo(f"{done.count} resealed.")
    if done.unmarked is not None:
        click.echo(
            f"Write the word `bound` after each key in {done.unmarked}, "
            "so that no secret that version 0.1.0 encrypted decrypts again."
        )
    _print_unreadable(done.unreadable)
    sys.exit(1 if done.unreadable else 0)


@encryption.command("drop", cls=LocalCommand)
@click.argument("key_id")
def drop_encryption(key_id: str) -> None:
    """Delete the key KEY_ID, which no secret needs any more."""
    left_in = run(lambda backend: backend.encryption_keys.drop(operator(), key_id))
    if left_in is not None:
        click.echo(f"No secret needs {key_id} any more; remove its line from {left_in}.")


@encryption.command(cls=LocalCommand)
def new() -> None:
    """Print a line with a new key, for a key file that you manage yourself."""
    from mailsettings.store.encryption.key_file import new_key_line

    click.echo(new_key_line(), nl=False)


@key.group(cls=Group)
def signing() -> None:
    """Manage the keys that sign access tokens."""


@signing.command("list")
def list_signing() -> None:
    """Print the id of each key, oldest first; the last key signs, all keys verify."""
    keys = run(lambda backend: backend.signing_keys.list())
    for number, (key_id, _) in enumerate(keys, 1):
        click.echo(f"{key_id}\tsigns" if number == len(keys) else key_id)


@signing.command("rotate")
def rotate_signing() -> None:
    """Sign with a new key from now on and print its id; tokens of older keys stay valid."""
    click.echo(run(lambda backend: backend.signing_keys.rotate(operator())))


@signing.command("drop")
@click.argument("key_id")
def drop_signing(key_id: str) -> None:
    """Delete a key; its tokens become invalid within seconds on every server."""
    run(lambda backend: backend.signing_keys.drop(operator(), key_id))


def _state(each: "EncryptionKey") -> str:
    if not each.is_available:
        return "missing"
    return "current" if each.is_current else "old"


def _print_unreadable(places: Sequence[str]) -> None:
    for place in places:
        click.echo(f"cannot be opened: {place}", err=True)
