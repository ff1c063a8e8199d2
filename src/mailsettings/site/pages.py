"""The site: the documentation page with its files, the OpenAPI documents, liveness and readiness."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import cache, cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import FastAPI, HTTPException, Request
from starlette.middleware import Middleware
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import Lifespan, Scope

from mailsettings.domain.errors import StoreUnavailable
from mailsettings.server.connection import DRAINING_STATE_KEY
from mailsettings.site.openapi import Document, merged
from mailsettings.web.dialect import NO_TELEMETRY
from mailsettings.web.hosts import HostMiddleware
from mailsettings.web.routing import HeadRoute
from mailsettings.web.streaming import SharedBodyResponse

_SWAGGER_UI = files("fastapi_swagger") / "resources"
_STATIC = files("mailsettings.site") / "static"


class _File:
    """A file that is read once and shared by all responses, however many slow clients read it."""

    def __init__(self, file: Traversable, media_type: str) -> None:
        self._file = file
        self.media_type = media_type

    @cached_property
    def content(self) -> bytes:
        return self._file.read_bytes()


_PAGE = _File(_STATIC / "docs.html", "text/html; charset=utf-8")
_ASSETS: Mapping[str, _File] = {
    "docs.css": _File(_STATIC / "docs.css", "text/css; charset=utf-8"),
    "docs.js": _File(_STATIC / "docs.js", "text/javascript; charset=utf-8"),
    "swagger-ui-bundle.js": _File(_SWAGGER_UI / "swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    "swagger-ui.css": _File(_SWAGGER_UI / "swagger-ui.css", "text/css; charset=utf-8"),
    "favicon.png": _File(_SWAGGER_UI / "favicon-32x32.png", "image/png"),
}
# Swagger UI sets styles from its script; everything else on the page comes from this service alone.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def create_site(
    documents: Callable[[], Mapping[str, Document]],
    ready: Callable[[], Awaitable[None]],
    lifespan: Lifespan[FastAPI],
    allowed_hosts: Collection[str] = (),
) -> FastAPI:
    """Return the site. *documents* are by the name of their API; *ready* raises `StoreUnavailable` if it is not.

    The first request for a document builds it in a tenth of a second. Load balancers check the health of a replica
    by its address, so health checks accept any Host header.
    """
    site = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        middleware=[Middleware(HostMiddleware, allowed_hosts, _refusal, "/health/")],
        redirect_slashes=False,
        lifespan=lifespan,
        telemetry=NO_TELEMETRY,
    )

    site.router.route_class = HeadRoute
    _add_page(site)
    _add_documents(site, documents)
    _add_health(site, ready)
    site.add_exception_handler(404, _not_found)
    site.add_exception_handler(405, _method_not_allowed)
    return site


def _add_page(site: FastAPI) -> None:
    @site.get("/")
    async def index() -> Response:
        return RedirectResponse("docs")  # relative, so that it works below a prefix of a proxy

    @site.get("/docs")
    async def docs() -> Response:
        return _answer(_PAGE)

    @site.get("/docs/{name}")
    async def docs_asset(name: str) -> Response:
        return _asset(name)


def _add_documents(site: FastAPI, documents: Callable[[], Mapping[str, Document]]) -> None:
    @cache
    def served() -> Mapping[str, bytes]:
        found = documents()
        whole = {"openapi": merged(found.values()), **{f"openapi/{name}": doc for name, doc in found.items()}}
        return {name: bytes(JSONResponse(document).body) for name, document in whole.items()}

    @site.get("/{name:path}.json")
    async def openapi(name: str) -> Response:
        if name not in served():
            raise HTTPException(404)
        return SharedBodyResponse(served()[name], "application/json")


def _add_health(site: FastAPI, ready: Callable[[], Awaitable[None]]) -> None:
    @site.get("/health/live")
    async def live() -> Response:
        return JSONResponse({"status": "live"})

    @site.get("/health/ready")
    async def is_ready(request: Request) -> Response:
        if getattr(request.state, DRAINING_STATE_KEY, False):
            return _not_ready("This process is shutting down.")
        try:
            await ready()
        except StoreUnavailable as away:
            return _not_ready(str(away))
        return JSONResponse({"status": "ready"})


def _not_ready(why: str) -> Response:
    return JSONResponse({"status": "not_ready", "message": why}, 503, {"Retry-After": "5"})


def _refusal(_scope: Scope, error: Exception) -> Response:
    return JSONResponse({"message": str(error)}, 400)


async def _not_found(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"message": "This path does not exist; see /docs."}, 404)


async def _method_not_allowed(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"message": "This path supports only GET and HEAD."}, 405, {"Allow": "GET, HEAD"})


def _asset(name: str) -> Response:
    if name not in _ASSETS:
        raise HTTPException(404)
    return _answer(_ASSETS[name])


def _answer(file: _File) -> Response:
    # X-Frame-Options is for browsers without frame-ancestors of the policy (CSP 2 and later).
    headers = {
        "Content-Security-Policy": _POLICY,
        "Referrer-Policy": "no-referrer",
        "X-Frame-Options": "DENY",
        "Cache-Control": "no-cache",
    }
    return SharedBodyResponse(file.content, file.media_type, headers)
