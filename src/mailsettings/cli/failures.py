"""Errors on the command line: one sentence on standard error, exit code 1; click says 2 for wrong usage."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click

from mailsettings.auth.signing_keys import SigningKeyUnusable
from mailsettings.domain.backup import BackupError
from mailsettings.domain.errors import MailSettingsError
from mailsettings.domain.seen_entry import WitnessUnwritable
from mailsettings.server.certificate import CertificateUnusable
from mailsettings.settings import SettingsInvalid
from mailsettings.store.database_file import DatabaseFileExposed
from mailsettings.store.encryption.key_check import WrongKey
from mailsettings.store.engine import DatabaseUnsupported
from mailsettings.store.migrations import SchemaError
from mailsettings.store.private_file import KeyFileUnusable

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

EXPECTED_ERRORS = (
    *(MailSettingsError, SettingsInvalid, DatabaseUnsupported, SchemaError),
    WrongKey,
    *(
        BackupError,
        CertificateUnusable,
        DatabaseFileExposed,
        KeyFileUnusable,
        SigningKeyUnusable,
        WitnessUnwritable,
    ),
)


def reporting_errors(command: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Turn what can be expected to go wrong into a `ClickException`."""

    @functools.wraps(command)
    def run_command(*arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
        try:
            return command(*arguments, **options)
        except EXPECTED_ERRORS as error:
            raise click.ClickException(str(error)) from None

    return run_command
