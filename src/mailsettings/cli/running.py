"""Running one use case from the command line, on behalf of whoever has a shell on this machine."""

import asyncio
import getpass
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from mailsettings.bootstrap import Backend, create_backend, prepare, require_database
from mailsettings.cli.dev_mark import read_settings
from mailsettings.domain.access import OPERATOR, Principal
from mailsettings.domain.connection_test import StageReport

Result = TypeVar("Result")


def run(
    use: Callable[[Backend], Awaitable[Result]],
    *,
    establish: bool = True,
    look: bool = True,
    on_stage: Callable[[StageReport], None] | None = None,
) -> Result:
    """What *use* makes of a backend on the settings in the environment; `Backend.establish` comes first.

    *on_stage* gets each stage of a connection test as it ends. With *establish* false the database may be new.
    With *look* the audit log is compared with its witness, and a contradiction is told on standard error.

    Raises `DatabaseMissing` where there is none.
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
    """Return what *work* returns, on the event loop that the service runs on.

    asyncio's own loop drops the alert by which a server ends a TLS handshake, and with it the reason. uvloop does
    not run on Windows.
    """
    if sys.platform == "win32":
        return asyncio.run(work)
    import uvloop  # noqa: PLC0415  # see above

    return uvloop.run(work)


def operator() -> Principal:
    """Who types, as the audit log has it: the operator, by the name of the user that the shell belongs to."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have a number only
        user = str(os.getuid())
    return replace(OPERATOR, name=f"{OPERATOR.name}:{user}")
