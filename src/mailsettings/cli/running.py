"""Use the database of this machine as the operator: settings, backend, event loop, and errors.

Only commands that work on this machine import this module, because it imports the whole service.
"""

import gc

# Imports are most of what a command takes, and a third of that the collector, which looks again and again at
# what stays for good.
gc.disable()

import asyncio
import getpass
import logging
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from mailsettings import logs, settings
from mailsettings.auth.tokens import SigningKeyUnusable
from mailsettings.bootstrap.backend import Backend, create_backend, prepare, require_database, require_usable
from mailsettings.cli.command import FAILED, REFUSED, UNREACHABLE, USAGE, Failure
from mailsettings.domain.access import OPERATOR, Principal
from mailsettings.domain.audit_log import WitnessUnwritable
from mailsettings.domain.backup import BackupError
from mailsettings.domain.errors import MailSettingsError, StoreUnavailable
from mailsettings.domain.service import SettingSource
from mailsettings.server.certificate import CertificateUnusable
from mailsettings.server.status import AddressTaken
from mailsettings.settings import Settings, SettingsInvalid
from mailsettings.store.database_errors import DatabaseUnavailable
from mailsettings.store.database_url import DatabaseUnsupported
from mailsettings.store.encryption.key_check import WrongKey
from mailsettings.store.migrations import SchemaError
from mailsettings.store.private_file import DatabaseFileExposed, KeyFileUnusable

gc.freeze()
gc.enable()

Result = TypeVar("Result")
_log = logging.getLogger("mailsettings.server")

EXIT_CODES: dict[type[Exception], int] = {
    **dict.fromkeys((SettingsInvalid, DatabaseUnsupported), USAGE),
    **dict.fromkeys((StoreUnavailable, SchemaError, WrongKey, KeyFileUnusable, DatabaseFileExposed), UNREACHABLE),
    MailSettingsError: REFUSED,
    **dict.fromkeys(
        (AddressTaken, BackupError, CertificateUnusable, SigningKeyUnusable, WitnessUnwritable), FAILED
    ),
}
"""The errors that a command expects, with the exit code of each; the first class that fits counts."""


@contextmanager
def reporting_errors() -> Iterator[None]:
    """Turn an expected error into a `Failure`: one sentence, without a traceback."""
    try:
        yield
    except tuple(EXIT_CODES) as error:
        code = next(code for expected, code in EXIT_CODES.items() if isinstance(error, expected))
        raise Failure(sentences_for_operator(error), code) from error


@contextmanager
def reporting_errors_of_service() -> Iterator[None]:
    """As `reporting_errors`, and where the log has lines of JSON, write the error as such a line and exit."""
    try:
        with reporting_errors():
            yield
    except Failure as failure:
        if settings.read_log_style() == "text":
            raise
        logs.configure("json", "info")  # the settings may be what is wrong
        _log.error("%s", failure.message)  # the cause is in the message
        sys.exit(failure.exit_code)


def sentences_for_operator(error: Exception) -> str:
    """Return what to print about an expected error: of a database, also what a caller of the API is not told."""
    return error.explanation if isinstance(error, DatabaseUnavailable) else str(error)


DEV_MARK_FILE = "started-with-dev"
_DEV_MARK_TEXT = (
    "The last `mailsettings serve` here ran with --dev, so commands follow its rules. See MAILSETTINGS_DEV.\n"
)


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
) -> Result:
    """Return the result of *use* on a backend with the settings in the environment.

    For the options, see `open_backend`. Raises `Failure` for an expected error.
    """

    async def use_and_close() -> Result:
        async with open_backend(establish=establish, look=look) as backend:
            return await use(backend)

    with reporting_errors():
        return run_on_loop(use_and_close())


@asynccontextmanager
async def open_backend(*, establish: bool = True, look: bool = True) -> AsyncIterator[Backend]:
    """Open a backend with the settings in the environment.

    With *establish* false the database may be new; otherwise `Backend.establish` runs first. With *look* the audit
    log is compared with its witness, and a contradiction is logged to standard error.

    Raises `DatabaseMissing` without a database.
    """
    chosen = read_settings()
    if establish:
        require_database(chosen)
    (require_usable if establish else prepare)(chosen)  # a restore fills a database that may lack a schema
    backend = create_backend(chosen)
    try:
        if establish:
            await backend.establish()
        if establish and look:
            await backend.witness.look()
        yield backend
    finally:
        await backend.close()


def run_on_loop(work: Coroutine[Any, Any, Result]) -> Result:
    """Run *work* on the event loop of the service, uvloop, and return its result.

    asyncio's own loop drops the alert with which a server ends a TLS handshake, and so the reason of a failure.
    uvloop does not run on Windows.
    """
    if sys.platform == "win32":
        return asyncio.run(work)
    import uvloop  # see above

    return uvloop.run(work)


def operator() -> Principal:
    """Return the principal of this command in the audit log: the operator, with the name of the shell's user."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # the user of a container may have no name
        user = str(os.getuid())
    return replace(OPERATOR, name=f"{OPERATOR.name}:{user}")
