"""Parts of every operation of `/v1`: the router, the responses in the documents, and JSON responses."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic_core import to_json

from mailsettings.dialects.v1.problems import Problem
from mailsettings.web.body import unknown_field
from mailsettings.web.direct import reads_request
from mailsettings.web.negotiation import NO_STORE
from mailsettings.web.openapi import Responses, common_error_responses, error_responses
from mailsettings.web.request_errors import ParameterInvalid
from mailsettings.web.routing import StrictRoute

WITH_BODY: Responses = error_responses(Problem, 413, 415)
"""The responses of operations that read a body."""
REPEATED: Responses = error_responses(Problem, 409)
"""The responses of operations with an idempotency key."""
CHANGED: Responses = error_responses(Problem, 412)
"""The responses of operations with a precondition."""


def new_router(tag: str, *, behind_permission: bool = True) -> APIRouter:
    """Return the router of the operations under the heading *tag*.

    Without *behind_permission* every valid access token is enough, so no operation answers 403.
    """
    responses = common_error_responses(Problem)
    if not behind_permission:
        del responses[403]
    return APIRouter(route_class=StrictRoute, tags=[tag], responses=responses)


def not_found(description: str) -> Responses:
    """Return the response of operations on one resource, if it does not exist."""
    return error_responses(Problem, 404, on_404=description)


def example(value: Any) -> dict[str, Any]:
    """Return the content of a successful response with an example."""
    return {"content": {"application/json": {"example": value}}}


@reads_request
async def _no_query(request: Request) -> None:
    """Refuse all parameters in the query. Raises `ParameterInvalid`."""
    if request.query_params:
        fields = [unknown_field("query", (name,)) for name in request.query_params]
        raise ParameterInvalid(" ".join(dict.fromkeys(field.sentence for field in fields)), fields)


NO_QUERY = Depends(_no_query)
"""A dependency of operations without parameters in the query: they refuse every parameter by name."""


def json_response(
    body: Mapping[str, object], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return *body* as JSON that caches must not keep."""
    return Response(to_json(body), status, {**NO_STORE, **(headers or {})}, "application/json")
