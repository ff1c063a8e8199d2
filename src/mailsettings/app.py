"""Dispatch requests by path: each API gets its own paths, and the site all others."""

from collections.abc import Callable, Iterable, Sequence

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from mailsettings.web.concurrency import UnauthenticatedLimitMiddleware
from mailsettings.web.dialect import Dialect
from mailsettings.web.exchange import ExchangeListener, ExchangeMiddleware, log_exchange, no_trace
from mailsettings.web.normalization import routable_path

SITE_NAME = "site"
"""The name of the site where the log and the metrics have the name of an API."""


class PathDispatcher:
    """Passes each request to the application of its path; the site also handles startup and shutdown (lifespan).

    Starlette's mounts match a path as it is written, and clients write paths with doubled slashes, clients of one
    vendor in any case.
    """

    def __init__(self, dialects: Iterable[tuple[Dialect, ASGIApp]], site: ASGIApp) -> None:
        self._apps = [(dialect.match_path, app) for dialect, app in dialects]
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with its path in the spelling of the routes."""
        if scope["type"] == "http":
            # Decoded from the raw path: uvicorn also decodes %2F, which the routes must not see as a slash.
            scope["path"] = routable_path(scope["raw_path"])
            for match_path, app in self._apps:
                path = match_path(scope["path"])
                if path is not None:
                    scope["path"] = path
                    await app(scope, receive, send)
                    return
        await self._site(scope, receive, send)


def create_app(
    dialects: Iterable[tuple[Dialect, FastAPI]],
    site: ASGIApp,
    listeners: Sequence[ExchangeListener] = (),
    trace_id: Callable[[], str | None] = no_trace,
) -> ASGIApp:
    """Return the whole service as one ASGI application.

    The access log and *listeners* get each exchange, with the id that *trace_id* returns when its answer begins.
    """
    all_listeners = [log_exchange, *listeners]
    apis = [
        (api, ExchangeMiddleware(app, api.name, all_listeners, api.request_id_header, trace_id))
        for api, app in dialects
    ]
    return UnauthenticatedLimitMiddleware(PathDispatcher(apis, ExchangeMiddleware(site, SITE_NAME, all_listeners)))
