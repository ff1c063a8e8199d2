"""From settings to a server, in this process or in several."""

import logging
import sys
from functools import partial
from pathlib import Path
from ssl import SSLContext

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from mailsettings import logs
from mailsettings.server.capacity import CapacityLimits
from mailsettings.server.certificate import CertificateUnusable, reloading_tls_context
from mailsettings.server.connection import ConnectionTimeouts
from mailsettings.server.server import Server, ShutdownTimeouts
from mailsettings.server.workers import Workers
from mailsettings.settings import Settings

_log = logging.getLogger("mailsettings.server")
WORKER_EXIT_MARGIN_SECONDS = 5
"""For a worker to end after its grace time, before it is killed."""


def serve_until_stopped(settings: Settings, workers: int) -> int:
    """Serve until a signal says not to; the exit status."""
    config = _config(settings)
    shutdown_timeouts = ShutdownTimeouts(settings.drain_seconds, settings.grace_seconds)
    timeouts = ConnectionTimeouts(settings.headers_seconds, settings.body_seconds, settings.answer_seconds)
    limits = CapacityLimits(settings.max_connections, settings.trusted_proxies)
    if workers == 1:
        server = Server(config, shutdown_timeouts, timeouts, limits)
        server.run()
        return 0 if server.started else STARTUP_FAILURE
    return Workers(
        workers,
        partial(logs.configure, "text" if settings.dev else settings.log_format, settings.log_level),
        partial(Server, config, shutdown_timeouts, timeouts, limits, is_worker=True),
        config.bind_socket(),
        shutdown_timeouts.drain + shutdown_timeouts.grace + WORKER_EXIT_MARGIN_SECONDS,
    ).run()


def _config(settings: Settings) -> uvicorn.Config:
    """What can be pickled, for the workers."""
    certificate, key = settings.tls_certificate, settings.tls_key
    return uvicorn.Config(
        "mailsettings.bootstrap:service_from_environment",
        factory=True,
        host=settings.host,
        port=settings.port,
        ws="none",
        # Its own default believes whatever loopback says.
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=[str(network) for network in settings.trusted_proxies],
        log_config=None,
        access_log=False,  # ours leaves out the query, where a token may stand
        server_header=False,
        timeout_keep_alive=settings.keep_alive_seconds,  # type: ignore[arg-type]  # fractions work too
        ssl_context_factory=partial(_worker_tls_context, certificate, key) if certificate and key else None,
    )


def _worker_tls_context(certificate: Path, key: Path, _config: uvicorn.Config, _default: object) -> SSLContext:
    try:
        return reloading_tls_context(certificate, key)
    except CertificateUnusable as unusable:  # it was good when the parent looked
        _log.error("%s", unusable)
        sys.exit(STARTUP_FAILURE)
