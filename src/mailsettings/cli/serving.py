"""Start the service: the first account, the metrics directory, and the server in one or several processes."""

import asyncio
import logging
import os
import secrets
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from ssl import SSLContext
from tempfile import TemporaryDirectory
from typing import NoReturn

import click
import uvicorn
from uvicorn.config import STARTUP_FAILURE

from mailsettings import logs, settings
from mailsettings.bootstrap.backend import create_backend, prepare
from mailsettings.bootstrap.service import require_tracing
from mailsettings.cli.command import FAILED, REFUSED, UNREACHABLE, USAGE
from mailsettings.cli.running import mark_dev_mode, operator, reporting_errors
from mailsettings.domain.access import Account
from mailsettings.server.capacity import CapacityLimits
from mailsettings.server.certificate import CertificateUnusable, reloading_tls_context, warn_about
from mailsettings.server.child import SupervisedChild
from mailsettings.server.connection import ConnectionLimits
from mailsettings.server.server import Server, ShutdownTimeouts
from mailsettings.server.sockets import listening_sockets
from mailsettings.server.status import require_free
from mailsettings.server.workers import Workers
from mailsettings.settings import PREFIX, Settings


def serve(workers: int, *, relay: bool = False, **chosen_settings: object) -> NoReturn:
    """Serve until a signal, then exit; *chosen_settings* override the environment.

    With *relay*, run the relay as a child.
    """
    with reporting_errors():
        settings.override(**chosen_settings)
        chosen = settings.read()
        logs.configure("text" if chosen.dev else chosen.log_format, chosen.log_level)
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
    print_greeting(chosen, password)
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


async def create_first_admin(settings: Settings) -> str | None:
    """Create the first account if no account exists; return its password if it is random, to print it."""
    given = settings.admin_password
    password = given.get_secret_value() if given else secrets.token_urlsafe(18)
    backend = create_backend(settings)
    try:
        await backend.establish()
        if await backend.accounts.list():
            return None
        made = await backend.accounts.add_first(operator(), FIRST_ADMIN, password)
    finally:
        await backend.close()
    return password if made and given is None else None


def print_greeting(settings: Settings, password: str | None) -> None:
    """Print the addresses of the service, and *password* on the start that created it."""
    host = f"[{settings.hosts[0]}]" if ":" in settings.hosts[0] else settings.hosts[0]
    url = f"{'https' if settings.tls_certificate else 'http'}://{host}:{settings.port}"
    if password is not None:
        click.echo(f"First account: {FIRST_ADMIN.name}   password: {password}   (not shown again)")
    click.echo(f"Documentation: {url}/docs")
    click.echo(f"Try:           {_curl(settings, url)}")
    sys.stdout.flush()


def _curl(settings: Settings, url: str) -> str:
    """Return a command line that works in a shell on this machine; it contains no secret."""
    directory = shlex.quote(f"{PREFIX}DATA_DIR={settings.data_dir.absolute()}")
    program = f"{shlex.quote(sys.executable)} -m mailsettings"
    make_token = f"env {directory} {program} token --permission view-mail-settings"
    return f'curl -i -H "Authorization: Bearer $({make_token})" {url}/cxrestapi/auth/SMTPSettings'


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
        partial(logs.configure, "text" if settings.dev else settings.log_format, settings.log_level),
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
