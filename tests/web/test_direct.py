"""Reads call their operation directly; FastAPI's solver answers all that has parameters to convert."""

from collections.abc import Coroutine
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, Header, Path, Request, Response
from fastapi.routing import APIRoute

from mailsettings.dialects import DIALECTS
from mailsettings.web.direct import direct_handler, reads_request

from support.operations import OPERATIONS

READS = ["getMailServer", "listSmtpSettings", "getSmtpSettings"]


@pytest.mark.parametrize("name", READS)
def test_a_read_needs_no_solver(name: str) -> None:
    routes = [route for dialect in DIALECTS for router in dialect.routers for route in router.routes]
    (route,) = (route for route in routes if isinstance(route, APIRoute) and route.operation_id == name)

    assert direct_handler(route.dependant) is not None
    assert any(operation.id == name for operation in OPERATIONS)


def only_route(router: APIRouter) -> APIRoute:
    (route,) = router.routes
    assert isinstance(route, APIRoute)
    return route


async def answered(router: APIRouter, path_params: dict[str, str]) -> bytes:
    handle = direct_handler(only_route(router).dependant)
    assert handle is not None
    scope = {"type": "http", "method": "GET", "headers": [], "path_params": path_params}
    running: Coroutine[Any, Any, Response] = handle(Request(scope))
    return bytes((await running).body)


async def test_dependencies_run_in_their_order_with_texts_of_the_path() -> None:
    order: list[str] = []

    @reads_request
    async def first(request: Request, _if_match: Annotated[str | None, Header()] = None) -> None:
        order.append(request.method)

    @reads_request
    async def second(number: Annotated[str, Path()]) -> int:
        order.append("second")
        return int(number) + 1

    router = APIRouter(dependencies=[Depends(first)])

    @router.get("/{number}")
    async def show(request: Request, following: Annotated[int, Depends(second)]) -> Response:
        return Response(f"{following} {request.method}")

    assert await answered(router, {"number": "6"}) == b"7 GET"
    assert order == ["GET", "second"]


def test_other_dependencies_and_parameters_need_the_solver() -> None:
    async def converts(number: int) -> int:
        return number

    dependency, parameter = APIRouter(), APIRouter()

    @dependency.get("/a")
    async def with_dependency(number: Annotated[int, Depends(converts)]) -> Response:
        return Response(str(number))

    @parameter.get("/b")
    async def with_parameter(number: int) -> Response:
        return Response(str(number))

    assert direct_handler(only_route(dependency).dependant) is None
    assert direct_handler(only_route(parameter).dependant) is None
