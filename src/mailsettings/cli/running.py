"""Run one use case from the command line, as the operator: settings, backend, event loop, and errors.

An expected error is one sentence on standard error with exit code 1; click uses 2 for wrong usage.
"""

import asyncio
import functools
import getpass
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click

from mailsettings import settings
from mailsettings.auth.tokens import SigningKeyUnusable
from mailsettings.bootstrap import Backend, create_backend, prepare, require_database
from mailsettings.domain.access import OPERATOR, Principal
from mailsettings.domain.audit_log import WitnessUnwritable
from mailsettings.domain.backup import BackupError
from mailsettings.domain.connection_test import StageReport
from mailsettings.domain.errors import MailSettingsError
from mailsettings.domain.service import SettingSource
from mailsettings.server.certificate import CertificateUnusable
from mailsettings.settings import Settings, SettingsInvalid
from mailsettings.store.encryption.key_check import WrongKey
from mailsettings.store.engine import DatabaseUnsupported
from mailsettings.store.migrations import SchemaError
from mailsettings.store.private_file import DatabaseFileExposed, KeyFileUnusable

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
    """Turn expected errors into a `ClickException`: one sentence, without a traceback."""

    @functools.wraps(command)
    def run_command(*arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
        try:
            return command(*arguments, **options)
        except EXPECTED_ERRORS as error:
            raise click.ClickException(str(error)) from None

    return run_command


DEV_MARK_FILE = "started-with-dev"
_DEV_MARK_TEXT = (
    "The last `mailsettings serve` here ran with --dev, so commands follow its rules. See MAILSETTINGS_DEV.\n"
)
_log = logging.getLogger("mailsettings.server")


def mark_dev_mode(chosen: Settings) -> None:
    """Create the file if the settings *chosen* have dev, and remove it otherwise."""
    path = _mark_path(chosen)
    try:
        if not chosen.dev:
            path.unlink(missing_ok=True)
        elif chosen.data_dir.is_dir():
            path.touch(mode=0o600)  # like all files in the data directory
            path.write_text(_DEV_MARK_TEXT, encoding="utf-8")
    except OSError as error:
        _log.warning("Cannot change %s, so commands may not follow --dev: %s.", path, error.strerror)


def read_settings() -> Settings:
    """Return the settings in the environment; without MAILSETTINGS_DEV, dev is as in the last start."""
    chosen = settings.read()
    if "dev" not in chosen.model_fields_set and _mark_path(chosen).exists():
        settings.override(SettingSource.FILE, dev=True)
        chosen = settings.read()
    return chosen


def _mark_path(chosen: Settings) -> Path:
    return chosen.data_dir / DEV_MARK_FILE


def run(
    use: Callable[[Backend], Awaitable[Result]],
    *,
    establish: bool = True,
    look: bool = True,
    on_stage: Callable[[StageReport], None] | None = None,
) -> Result:
    """Return the result of *use* on a backend with the settings in the environment.

    *on_stage* gets each stage of a connection test as it ends. With *establish* false the database may be new;
    otherwise `Backend.establish` runs first. With *look* the audit log is compared with its witness, and a
    contradiction is logged to standard error.

    Raises `DatabaseMissing` without a database.
    """

    async def use_and_close() -> Result:
        chosen = read_settings()
        if establish:
            require_database(chosen)
        prepare(chosen)
        backend = create_backend(chosen, on_stage=on_stage)
        try:
            if establish:
                await backend.establish()
            if establish and look:
                await backend.witness.look()
            return await use(backend)
        finally:
            await backend.close()

    return run_on_loop(use_and_close())


def run_on_loop(work: Coroutine[Any, Any, Result]) -> Result:
    """Run *work* on the event loop of the service, uvloop, and return its result.

    asyncio's own loop drops the alert with which a server ends a TLS handshake, and so the reason of a failure.
    uvloop does not run on Windows.
    """
    if sys.platform == "win32":
        return asyncio.run(work)
    import uvloop  # noqa: PLC0415  # see above

    return uvloop.run(work)


def operator() -> Principal:
    """Return the principal of this command in the audit log: the operator, with the name of the shell's user."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # the user of a container may have no name
        user = str(os.getuid())
    return replace(OPERATOR, name=f"{OPERATOR.name}:{user}")


def printable(text: str) -> str:
    """Return *text* with escaped control characters: names come from outside and could move a cursor."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
