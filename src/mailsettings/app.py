"""Which API answers which path: the dialects by their own paths, the site all others."""

from collections.abc import Iterable, Sequence

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from mailsettings.web.concurrency import UnauthenticatedLimitMiddleware
from mailsettings.web.dialect import Dialect
from mailsettings.web.exchange import ExchangeListener, ExchangeMiddleware, log_exchange
from mailsettings.web.normalization import routable_path

SITE_NAME = "site"
"""The name of what is no API, where names of APIs stand."""


class PathDispatcher:
    """Hands a request to the application it belongs to; start and end of the program go to the site.

    Starlette's mounts would do it too, but match a path as it is written, and clients write theirs with doubled
    slashes, and those of one vendor in any case.
    """

    def __init__(self, dialects: Iterable[tuple[Dialect, ASGIApp]], site: ASGIApp) -> None:
        self._apps = [(dialect.match_path, app) for dialect, app in dialects]
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with its path as the chosen application spells it."""
        if scope["type"] == "http":
            scope["path"] = routable_path(scope["raw_path"])
            for match_path, app in self._apps:
                path = match_path(scope["path"])
                if path is not None:
                    scope["path"] = path
                    await app(scope, receive, send)
                    return
        await self._site(scope, receive, send)


def create_app(
    dialects: Iterable[tuple[Dialect, FastAPI]], site: FastAPI, listeners: Sequence[ExchangeListener] = ()
) -> ASGIApp:
    """The whole service as one ASGI application; the log, and then *told*, learn of each exchange."""
    all_listeners = [log_exchange, *listeners]
    apis = [
        (api, ExchangeMiddleware(app, api.name, all_listeners, api.request_id_header)) for api, app in dialects
    ]
    return UnauthenticatedLimitMiddleware(PathDispatcher(apis, ExchangeMiddleware(site, SITE_NAME, all_listeners)))
