"""Call a path operation without FastAPI's solver, if everything it needs can be read from the request itself.

FastAPI documents the parameters of such an operation, but need not validate them: its solver costs as much as all
other parts of a read together. Operations with a body, or with parameters that FastAPI converts, use the solver.
"""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from fastapi import Request
from fastapi.dependencies.models import Dependant
from starlette.responses import Response

RouteHandler = Callable[[Request], Coroutine[Any, Any, Response]]
Dependency = TypeVar("Dependency", bound=Callable[..., Coroutine[Any, Any, Any]])


def reads_request(dependency: Dependency) -> Dependency:
    """Mark a dependency that needs only the request and texts from its path.

    Its parameters for headers have defaults and are documentation: the dependency reads the headers itself.
    """
    dependency.reads_request = True  # type: ignore[attr-defined]  # functions allow attributes
    return dependency


def direct_handler(dependant: Dependant) -> RouteHandler | None:
    """Return a handler of the operation *dependant*; None if the operation needs FastAPI's solver."""
    converted = (dependant.path_params, dependant.query_params, dependant.header_params, dependant.body_params)
    dependencies = dependant.dependencies
    if any(converted) or not all(getattr(each.call, "reads_request", False) for each in dependencies):
        return None

    async def handle(request: Request) -> Response:
        values = _arguments(dependant, request)
        for each in dependencies:
            value = await _called(each, _arguments(each, request))
            if each.name is not None:  # a dependency of the whole router has no name
                values[each.name] = value
        response: Response = await _called(dependant, values)
        return response

    return handle


def _arguments(dependant: Dependant, request: Request) -> dict[str, Any]:
    found: dict[str, Any] = {field.name: request.path_params[field.alias] for field in dependant.path_params}
    if dependant.request_param_name is not None:
        found[dependant.request_param_name] = request
    return found


def _called(dependant: Dependant, arguments: dict[str, Any]) -> Coroutine[Any, Any, Any]:
    call: Any = dependant.call
    result: Coroutine[Any, Any, Any] = call(**arguments)
    return result
