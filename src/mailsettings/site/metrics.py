"""The metrics over HTTP, in the formats of Prometheus, with their own permission."""

import asyncio
import gzip

from fastapi import APIRouter, Request, Response

from mailsettings.domain.access import Permission
from mailsettings.site.own_api import ERRORS, STYLE
from mailsettings.web.auth import current_principal
from mailsettings.web.dialect import Dialect, use_cases
from mailsettings.web.negotiation import NO_STORE, accepts_gzip
from mailsettings.web.normalization import paths_below
from mailsettings.web.openapi import Responses
from mailsettings.web.routing import StrictRoute, requires_permission

PATH = "/metrics"
_TAG = "Metrics"
_COMPRESSION_LEVEL = 6
_VARY = "Accept, Accept-Encoding"
_EXAMPLE = """\
# HELP mailsettings_failed_logins_total Failed logins: wrong name or secret, or delayed.
# TYPE mailsettings_failed_logins_total counter
mailsettings_failed_logins_total{problem="wrong"} 2.0
"""
_OPENMETRICS_EXAMPLE = (
    _EXAMPLE.replace("_total Failed", " Failed").replace("_total counter", " counter") + "# EOF\n"
)
_FOUND: Responses = {
    200: {
        "description": "All metrics, in the text format of Prometheus, or in OpenMetrics if `Accept` names it. "
        "Compressed with gzip if `Accept-Encoding` allows it.",
        "headers": {
            "Vary": {
                "description": "The headers of the request that the format depends on.",
                "required": True,
                "schema": {"type": "string"},
                "example": _VARY,
            },
            "Content-Encoding": {
                "description": "`gzip` if the body is compressed.",
                "schema": {"type": "string", "enum": ["gzip"]},
                "example": "gzip",
            },
        },
        "content": {
            "text/plain": {"schema": {"type": "string"}, "example": _EXAMPLE},
            "application/openmetrics-text": {"schema": {"type": "string"}, "example": _OPENMETRICS_EXAMPLE},
        },
    }
}

router = APIRouter(route_class=StrictRoute, tags=[_TAG], responses=ERRORS)


@router.get(PATH, operation_id="getMetrics", summary="Read the metrics", response_class=Response, responses=_FOUND)
@requires_permission(Permission.METRICS_READ)
async def read_metrics(request: Request) -> Response:
    """Return counts of requests, tests and failed logins, and the state of the database pool and of monitoring.

    Needs the permission `view-metrics`.
    """
    found = await use_cases(request).metrics(current_principal(request), request.headers.get("accept", ""))
    headers = {**NO_STORE, "Vary": _VARY, "Content-Type": found.media_type}
    if not accepts_gzip(request.headers.getlist("accept-encoding")):
        return Response(found.content, headers=headers)
    # On a thread, like the metrics themselves: a long text takes milliseconds.
    compressed = await asyncio.to_thread(gzip.compress, found.content, _COMPRESSION_LEVEL, mtime=0)
    return Response(compressed, headers={**headers, "Content-Encoding": "gzip"})


METRICS = Dialect(
    name="metrics",
    title="Metrics",
    description="The state of the service in figures.",
    routers=[router],
    errors=STYLE,
    match_path=paths_below(PATH),
    host_exempt_path=PATH,  # Prometheus scrapes each replica by its address; access requires a token anyway
    tags={_TAG: "The state of the service in figures, as Prometheus reads them."},
    grants={"view-metrics": frozenset({Permission.METRICS_READ})},
)
