"""The commands about the keys that sign access tokens."""

import click

from mailsettings.cli.running import operator, reporting_errors, run


@click.group()
def signing_keys() -> None:
    """The keys that sign access tokens."""


@signing_keys.command("list")
@reporting_errors
def list_() -> None:
    """Print the id of each key, oldest first; the last one signs, all of them verify."""
    keys = run(lambda backend: backend.signing_keys.list())
    for number, (key_id, _) in enumerate(keys, 1):
        click.echo(f"{key_id}\tsigns" if number == len(keys) else key_id)


@signing_keys.command()
@reporting_errors
def rotate() -> None:
    """Sign with a new key from now on and print its id; tokens under older keys stay good."""
    click.echo(run(lambda backend: backend.signing_keys.rotate(operator())))


@signing_keys.command()
@click.argument("key_id")
@reporting_errors
def drop(key_id: str) -> None:
    """Forget a key; tokens under it end, within seconds on every server."""
    run(lambda backend: backend.signing_keys.drop(operator(), key_id))
