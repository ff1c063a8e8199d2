"""The commands about backups. A passphrase comes from a terminal or a file, never from an argument."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailsettings.cli.command import LocalCommand
from mailsettings.cli.local import operator, run
from mailsettings.cli.testing.progress import working

if TYPE_CHECKING:
    from mailsettings.bootstrap.backend import Backend
    from mailsettings.domain.backup import CopyResult
    from mailsettings.domain.values import Secret
    from mailsettings.store.backup.restore import VerifiedBackup

MIN_PASSPHRASE_LENGTH = 12

passphrase_file_option = click.option(
    "--passphrase-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A file with the passphrase as its only line; without it, a prompt asks.",
)


@click.command(cls=LocalCommand)
@click.argument("file", type=click.Path(path_type=Path))
@passphrase_file_option
def backup(file: Path, passphrase_file: Path | None) -> None:
    """Write everything to the new FILE, encrypted with a passphrase, while requests run."""
    from mailsettings import settings
    from mailsettings.bootstrap.backend import require_database
    from mailsettings.cli.running import reporting_errors
    from mailsettings.store.backup.writer import require_free

    with reporting_errors():
        require_free(file)
        require_database(settings.read())  # before the prompt for a passphrase
        passphrase = _new_passphrase(passphrase_file)
    with working("Writing the backup"):
        copied = run(lambda backend: backend.backups.make(operator(), file, passphrase))
    click.echo(f"{copied.rows} rows are in {file}.")
    _print_unreadable(copied.unreadable)


@click.command(cls=LocalCommand)
@click.argument("file", type=click.Path(path_type=Path))
@passphrase_file_option
def restore(file: Path, passphrase_file: Path | None) -> None:
    """Fill a new database from the backup FILE. To restore a version of a mail server, see `server restore`."""
    from mailsettings.cli.running import reporting_errors
    from mailsettings.store.backup.restore import verified_backup

    with reporting_errors(), verified_backup(file, _passphrase(passphrase_file)) as backup:
        # Not established: that would make keys, and the backup brings its own.
        with working("Restoring the backup"):
            copied, contradiction = run(partial(_restored, backup), establish=False)
        click.echo(f"{copied.rows} rows restored from the backup {backup.about.id} of {backup.about.made_at}.")
    if contradiction is not None:
        click.echo(f"The audit log is that of the backup. {contradiction} To accept it: mailsettings audit accept")
    _print_unreadable(copied.unreadable)


async def _restored(backup: "VerifiedBackup", backend: "Backend") -> "tuple[CopyResult, str | None]":
    """Return the counts, and how the restored log contradicts the witness of the data directory, if it does."""
    copied = await backend.backups.restore(operator(), backup)
    return copied, await backend.witness.problem()


def _new_passphrase(file: Path | None) -> "Secret":
    passphrase = _passphrase(file, confirmed=True)
    if len(passphrase.reveal()) < MIN_PASSPHRASE_LENGTH:
        raise click.ClickException(f"A passphrase needs at least {MIN_PASSPHRASE_LENGTH} characters.")
    return passphrase


def _passphrase(file: Path | None, *, confirmed: bool = False) -> "Secret":
    if file is not None:
        return _line_of(file)
    if not sys.stdin.isatty():
        raise click.ClickException("Without a terminal, give the passphrase with --passphrase-file.")
    from mailsettings.domain.values import Secret

    return Secret(click.prompt("Passphrase", hide_input=True, confirmation_prompt=confirmed, err=True))


def _line_of(file: Path) -> "Secret":
    from mailsettings.domain.values import Secret
    from mailsettings.store import private_file

    _, content = private_file.read(file, group=True)
    lines = content.splitlines()
    try:
        (line,) = lines
        return Secret(line.decode())
    except ValueError:
        raise click.ClickException(f"{file} must hold one line of text.") from None


def _print_unreadable(places: Sequence[str]) -> None:
    for place in places:
        click.echo(f"cannot be opened: {place}", err=True)
