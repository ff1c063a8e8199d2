"""Compose the ASGI application from the settings."""

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import cache

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mailsettings import logs
from mailsettings.app import create_app
from mailsettings.bootstrap.backend import Backend, create_backend
from mailsettings.bootstrap.outgoing import MACHINE_NAME
from mailsettings.bootstrap.use_cases import APIS
from mailsettings.dialects import DIALECTS
from mailsettings.domain.errors import StoreUnavailable
from mailsettings.server.status import STATUS_STATE_KEY, Status
from mailsettings.settings import PREFIX, Settings, SettingsInvalid, metrics_directory, read
from mailsettings.site.openapi import Document, document
from mailsettings.site.pages import create_site
from mailsettings.store.database_errors import DatabaseUnavailable
from mailsettings.store.encryption.key_check import WrongKey
from mailsettings.store.migrations import SchemaError
from mailsettings.store.private_file import KeyFileUnusable
from mailsettings.telemetry.metrics import PrometheusMetrics, sampling
from mailsettings.telemetry.tracing import (
    Tracing,
    TracingNotInstalled,
    current_trace_id,
    require_installed,
    send_traces_to,
)
from mailsettings.web.dialect import NO_TELEMETRY, UseCases
from mailsettings.web.exchange import Exchange, ExchangeListener, no_trace


def create_tracing(settings: Settings) -> Tracing | None:
    """Return what sends traces, if a collector is set. Raises `SettingsInvalid`."""
    require_tracing(settings)
    if settings.otlp_endpoint is None:
        return None
    proxy = settings.outgoing_proxy.get_secret_value() if settings.outgoing_proxy else None
    return send_traces_to(settings.otlp_endpoint, proxy, settings.outgoing_ca_file)


def require_tracing(settings: Settings) -> None:
    """Raise `SettingsInvalid` if a collector is set and the extra `tracing` is not installed."""
    if settings.otlp_endpoint is not None:
        try:
            require_installed()
        except TracingNotInstalled as missing:
            raise SettingsInvalid(f"{PREFIX}OTLP_ENDPOINT is set. {missing}") from None


def create_service(
    backend: Backend, metrics: PrometheusMetrics | None = None, tracing: Tracing | None = None
) -> ASGIApp:
    """Return the APIs and the site over *backend*; their shutdown closes *backend* and *tracing*."""
    counted = metrics or PrometheusMetrics()

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        backend.store.outages.start_logging()
        await backend.establish()
        await backend.witness.look()
        MACHINE_NAME.begin()  # on a thread, so that the first connection test does not wait for it
        asking = asyncio.create_task(backend.ask_issuers())
        try:
            async with backend.monitoring_running(), sampling(lambda: counted.sample_pool(backend.store.pool())):
                yield
        finally:
            asking.cancel()
            await backend.close()
            if tracing is not None:
                await tracing.close()

    telemetry = NO_TELEMETRY if tracing is None else tracing.fastapi_config
    return create_apis(backend.use_cases, counted, backend.store.ping, running, telemetry)


def create_apis(
    use_cases: UseCases,
    metrics: PrometheusMetrics,
    ping: Callable[[], Awaitable[None]],
    running: Callable[[], AbstractAsyncContextManager[None]],
    telemetry: TelemetryConfig = NO_TELEMETRY,
) -> ASGIApp:
    """Return the APIs and the site over *use_cases*; *running* lasts as long as they are served."""
    dialects = [(api, api.build(use_cases, telemetry)) for api in APIS]
    # The documents of APIs without a token endpoint name the one of the first API that has one.
    token_path = next(dialect.token_path for dialect in DIALECTS if dialect.token_path)

    @cache
    def documents() -> Mapping[str, Document]:
        return {
            api.name: document(api, app, api.token_path or token_path, use_cases.public_url)
            for api, app in dialects
        }

    @asynccontextmanager
    async def lifespan(_site: FastAPI) -> AsyncIterator[Mapping[str, object]]:
        async with running():
            documents()  # built now, so that no request waits for them
            yield {STATUS_STATE_KEY: Status(ping, use_cases.metrics.for_status)}

    site = create_site(documents, ping, lifespan, use_cases.allowed_hosts)
    trace_id = current_trace_id if telemetry["tracing"] else no_trace
    return create_app(dialects, _starting_plainly(site), [counting(metrics)], trace_id)


EXPECTED_AT_START = (StoreUnavailable, SchemaError, WrongKey, KeyFileUnusable)


def _starting_plainly(site: FastAPI) -> ASGIApp:
    """Let *site* say in one sentence why it cannot start; Starlette sends the server a traceback."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_plainly(message: Message) -> None:
            error = sys.exc_info()[1]
            if message["type"] == "lifespan.startup.failed" and isinstance(error, EXPECTED_AT_START):
                # The log has the outage of a database already.
                message = {**message, "message": "" if isinstance(error, DatabaseUnavailable) else str(error)}
            await send(message)

        if scope["type"] != "lifespan":
            await site(scope, receive, send)
            return
        with suppress(*EXPECTED_AT_START):
            await site(scope, receive, send_plainly)

    return run


def counting(metrics: PrometheusMetrics) -> ExchangeListener:
    """Return what counts each exchange; `telemetry` does not know what an `Exchange` is."""

    def count(exchange: Exchange) -> None:
        metrics.answered(exchange.api, exchange.operation, exchange.method, exchange.status, exchange.seconds)

    return count


def service_from_environment() -> ASGIApp:
    """Return the application for uvicorn's workers, from the environment."""
    settings = read()
    logs.configure(settings.log_style, settings.log_level, in_background=True)
    metrics = PrometheusMetrics(metrics_directory())
    tracing = create_tracing(settings)
    service = create_service(create_backend(settings, metrics, tracing), metrics, tracing)
    # The objects up to here live as long as the process, so the garbage collector need not check them again.
    gc.freeze()
    return service
