"""The metrics over HTTP, in the text format of Prometheus, with their own permission."""

from fastapi import APIRouter, Request, Response

from mailsettings.domain.access import Permission
from mailsettings.server.status import METRICS_TYPE
from mailsettings.site.own_api import ERRORS, STYLE
from mailsettings.web.auth import current_principal
from mailsettings.web.dialect import Dialect, use_cases
from mailsettings.web.negotiation import NO_STORE
from mailsettings.web.normalization import paths_below
from mailsettings.web.openapi import Responses
from mailsettings.web.routing import StrictRoute, requires_permission

PATH = "/metrics"
_TAG = "Metrics"
_EXAMPLE = """\
# HELP mailsettings_failed_logins_total Logins that did not get in.
# TYPE mailsettings_failed_logins_total counter
mailsettings_failed_logins_total{problem="wrong"} 2.0
"""
_FOUND: Responses = {
    200: {
        "description": "All metrics, in the text format of Prometheus.",
        "content": {"text/plain": {"schema": {"type": "string"}, "example": _EXAMPLE}},
    }
}

router = APIRouter(route_class=StrictRoute, tags=[_TAG], responses=ERRORS)


@router.get(PATH, operation_id="getMetrics", summary="Read the metrics", response_class=Response, responses=_FOUND)
@requires_permission(Permission.METRICS_READ)
async def read_metrics(request: Request) -> Response:
    """Return counts of requests, tests and failed logins, and the state of the database pool and of monitoring.

    Needs the permission `view-metrics`.
    """
    found = await use_cases(request).metrics(current_principal(request))
    return Response(found, media_type=METRICS_TYPE, headers=NO_STORE)


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
