"""The commands about keys: those that encrypt stored secrets, and those that sign access tokens."""

import sys
from collections.abc import Iterable

import click

from mailsettings.cli.client import service
from mailsettings.cli.client.client import segment
from mailsettings.cli.command import FAILED, Group, LocalCommand
from mailsettings.cli.local import operator, run
from mailsettings.cli.output import Column, Item, is_for_people, print_item, print_items
from mailsettings.cli.testing.progress import working

SIGNING_COLUMNS = [
    Column("id"),
    Column("created_at"),
    Column("state", lambda item: "signs" if item["current"] else "verifies"),
]


def _state(item: Item) -> str:
    if not item["available"]:
        return "missing"
    return "current" if item["current"] else "old"


ENCRYPTION_COLUMNS = [Column("id"), Column("state", _state), Column("secrets")]


@click.group(cls=Group)
def key() -> None:
    """Manage the keys that encrypt secrets and sign access tokens."""


@key.group(cls=Group)
def encryption() -> None:
    """Manage the keys that encrypt stored secrets."""


@encryption.command()
def status() -> None:
    """Print each key with the number of secrets that need it, and the secrets that cannot be decrypted."""
    with service() as client:
        report = client.get("/encryption-keys")
    print_items([report["items"]], ENCRYPTION_COLUMNS)
    _print_unreadable(report["unreadable"])


@encryption.command("rotate", cls=LocalCommand)
def rotate_encryption() -> None:
    """Make a new key, which encrypts from now on, and print its id; older keys still decrypt."""
    click.echo(run(lambda backend: backend.encryption_keys.rotate(operator())))


@encryption.command()
def reseal() -> None:
    """Encrypt every secret with the current key, while requests run; continue an interrupted run."""
    with service() as client, working("Encrypting secrets with the current key"):
        done = client.send("POST", "/encryption-keys/reseal")
    if is_for_people():
        click.echo(f"{done['resealed']} resealed.")
    else:
        print_item(done, [Column("resealed"), Column("unreadable"), Column("unmarked_key_file")])
    if done["unmarked_key_file"] is not None:
        click.echo(
            f"Write the word `bound` after each key in {done['unmarked_key_file']}, "
            "so that no secret that version 0.1.0 encrypted decrypts again.",
            err=not is_for_people(),
        )
    _print_unreadable(done["unreadable"])
    sys.exit(FAILED if done["unreadable"] else 0)


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
    """Print each key, oldest first; the last key signs, all keys verify."""
    with service() as client:
        print_items([client.get("/signing-keys")["items"]], SIGNING_COLUMNS)


@signing.command("rotate")
def rotate_signing() -> None:
    """Sign with a new key from now on and print its id; tokens of older keys stay valid."""
    with service() as client:
        keys = client.send("POST", "/signing-keys/rotate")["items"]
    if is_for_people():
        click.echo(keys[-1]["id"])
    else:
        print_item(keys[-1], SIGNING_COLUMNS)


@signing.command("drop")
@click.argument("key_id")
def drop_signing(key_id: str) -> None:
    """Delete a key; its tokens become invalid within seconds on every server."""
    with service() as client:
        client.send("DELETE", f"/signing-keys/{segment(key_id)}")


def _print_unreadable(places: Iterable[str]) -> None:
    for place in places:
        click.echo(f"cannot be opened: {place}", err=True)
