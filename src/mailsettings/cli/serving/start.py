"""Start the service: the first account, the metrics directory, and the server in one or several processes."""

import asyncio
import logging
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from ssl import SSLContext
from tempfile import TemporaryDirectory
from typing import NoReturn

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from mailsettings import logs, settings
from mailsettings.bootstrap.backend import create_backend, prepare
from mailsettings.bootstrap.service import require_tracing
from mailsettings.cli.command import FAILED, REFUSED, UNREACHABLE, USAGE
from mailsettings.cli.running import mark_dev_mode, operator, reporting_errors_of_service
from mailsettings.cli.serving.greeting import greet, keep_password
from mailsettings.domain.access import Account
from mailsettings.server.capacity import CapacityLimits
from mailsettings.server.certificate import CertificateUnusable, reloading_tls_context, warn_about
from mailsettings.server.child import SupervisedChild
from mailsettings.server.connection import ConnectionLimits
from mailsettings.server.server import Server, ShutdownTimeouts
from mailsettings.server.sockets import listening_sockets
from mailsettings.server.status import require_free
from mailsettings.server.workers import Workers
from mailsettings.settings import Settings
from mailsettings.use_cases.accounts import ManageAccounts


def serve(workers: int, *, relay: bool = False, **chosen_settings: object) -> NoReturn:
    """Serve until a signal, then exit; *chosen_settings* override the environment.

    With *relay*, run the relay as a child.
    """
    settings.override(**chosen_settings)
    with reporting_errors_of_service():
        chosen = settings.read()
        logs.configure(chosen.log_style, chosen.log_level)
        if chosen.tls_certificate and chosen.tls_key:
            # Report a bad pair before anything else is done.
            reloading_tls_context(chosen.tls_certificate, chosen.tls_key)
            warn_about(chosen.tls_certificate)
        require_tracing(chosen)
        if chosen.metrics_listen is not None:
            require_free(chosen.metrics_listen)
        prepare(chosen)
        mark_dev_mode(chosen)
        password = asyncio.run(create_first_admin(chosen))
    greet(chosen, FIRST_ADMIN.name, password)
    with shared_metrics(workers):
        sys.exit(serve_with_relay(chosen, workers) if relay else serve_until_stopped(chosen, workers))


MEMORY_FILE_SYSTEM = Path("/dev/shm")  # noqa: S108  # the directory in it is private
"""The file system in memory on Linux."""


@contextmanager
def shared_metrics(workers: int) -> Iterator[None]:
    """Give *workers* that start in the block a private directory of counters, removed at its end.

    A single process counts in its memory, unless the environment sets a directory for the Prometheus library.
    """
    if workers == 1 and settings.metrics_directory() is None:
        yield
        return
    # The files are mapped into memory: on a full disk, the system would kill a process that adds a counter.
    where = MEMORY_FILE_SYSTEM if os.access(MEMORY_FILE_SYSTEM, os.W_OK) else None
    with TemporaryDirectory(prefix="mailsettings-metrics-", dir=where) as directory:
        settings.set_metrics_directory(Path(directory))
        yield


FIRST_ADMIN = Account(
    "admin",
    frozenset(
        {
            *("manage-accounts", "manage-devices", "manage-keys", "manage-system-settings"),
            *("view-audit-log", "view-messages", "view-metrics"),
        }
    ),
)


async def create_first_admin(settings: Settings) -> str | Path | None:
    """Create the first account if no account exists.

    Return its password if it is random; or the file with it, if the log is one of JSON lines.
    """
    given = settings.admin_password
    password = given.get_secret_value() if given else secrets.token_urlsafe(18)
    backend = create_backend(settings)
    try:
        await backend.establish()
        if await backend.accounts.list():
            return None
        if given is None and settings.log_style == "json":
            return await _created_with_file(settings, backend.accounts, password)
        made = await backend.accounts.add_first(operator(), FIRST_ADMIN, password)
    finally:
        await backend.close()
    return password if made and given is None else None


async def _created_with_file(settings: Settings, accounts: ManageAccounts, password: str) -> Path | None:
    # The file first: without it, an account would exist with a password that is lost.
    file = keep_password(settings.data_dir, password)
    if await accounts.add_first(operator(), FIRST_ADMIN, password):
        return file
    file.unlink()  # another replica was quicker
    return None


_log = logging.getLogger("mailsettings.server")
WORKER_EXIT_MARGIN_SECONDS = 5
"""The time that a worker has to end after its grace time, before it is killed."""


def serve_with_relay(settings: Settings, workers: int) -> int:
    """Serve next to a relay until a signal; return the exit status.

    In development, a relay that cannot start is not tried again: its port may belong to another trial.
    """
    relay = SupervisedChild(
        "relay", _relay_command, gives_up=lambda status: settings.dev and status in START_FAILURES
    )
    relay.start()
    try:
        return serve_until_stopped(settings, workers, relay.begin_stop)
    finally:
        relay.stop(settings.drain_timeout_seconds + settings.grace_timeout_seconds + WORKER_EXIT_MARGIN_SECONDS)


START_FAILURES = frozenset({FAILED, USAGE, UNREACHABLE, REFUSED})
"""The exit codes of a command that reports an error."""


def _relay_command(pipe: int) -> list[str]:
    return [sys.executable, "-m", "mailsettings", "relay", "--supervisor", str(pipe)]


def serve_until_stopped(settings: Settings, workers: int, on_stop: Callable[[], None] = lambda: None) -> int:
    """Serve until a signal, at which *on_stop* is called; return the exit status."""
    config = _config(settings)
    shutdown_timeouts = ShutdownTimeouts(settings.drain_timeout_seconds, settings.grace_timeout_seconds)
    connection_limits = ConnectionLimits(
        settings.headers_timeout_seconds,
        settings.body_timeout_seconds,
        settings.response_timeout_seconds,
        settings.max_head_bytes,
    )
    limits = CapacityLimits(settings.max_connections, settings.trusted_proxies)
    if workers == 1:
        status = settings.metrics_listen
        server = Server(
            config,
            shutdown_timeouts,
            connection_limits,
            limits,
            status=status,
            on_stop=on_stop,
            hosts=settings.hosts,
        )
        server.run()
        return 0 if server.started else STARTUP_FAILURE
    try:
        listening = listening_sockets(settings.hosts, settings.port, config.backlog)
    except OSError as error:
        _log.error("%s", error.strerror or error)
        return STARTUP_FAILURE
    return Workers(
        workers,
        partial(logs.configure, settings.log_style, settings.log_level),
        partial(
            Server,
            config,
            shutdown_timeouts,
            connection_limits,
            limits,
            status=settings.metrics_listen,
            is_worker=True,
        ),
        listening,
        shutdown_timeouts.drain + shutdown_timeouts.grace + WORKER_EXIT_MARGIN_SECONDS,
        on_stop,
    ).run()


def _config(settings: Settings) -> uvicorn.Config:
    """Return uvicorn's configuration, which can be pickled for the workers."""
    certificate, key = settings.tls_certificate, settings.tls_key
    return uvicorn.Config(
        "mailsettings.bootstrap.service:service_from_environment",
        factory=True,
        host=settings.hosts[0],
        port=settings.port,
        ws="none",
        # uvicorn's default trusts every client on loopback.
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=[str(network) for network in settings.trusted_proxies],
        log_config=None,
        access_log=False,  # the own access log omits the query, which may contain a token
        server_header=False,
        timeout_keep_alive=settings.keep_alive_timeout_seconds,  # type: ignore[arg-type]  # fractions work too
        ssl_context_factory=partial(_worker_tls_context, certificate, key) if certificate and key else None,
    )


def _worker_tls_context(certificate: Path, key: Path, _config: uvicorn.Config, _default: object) -> SSLContext:
    try:
        return reloading_tls_context(certificate, key)
    except CertificateUnusable as unusable:  # it was usable when the parent checked it
        _log.error("%s", unusable)
        sys.exit(STARTUP_FAILURE)
