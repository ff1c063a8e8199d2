"""No route and no dependency runs in a thread pool, as FastAPI runs plain functions: it costs more than a read."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from inspect import iscoroutinefunction
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from mailsettings.bootstrap.use_cases import APIS
from mailsettings.site.pages import create_site


def threaded(routes: list[BaseRoute]) -> list[str]:
    """The routes and dependencies of *routes* that run in the thread pool."""
    called = {
        f"{route.path}: {call.__name__}": call
        for route in routes
        if isinstance(route, APIRoute)
        for call in calls(route.dependant)
    }
    return [name for name, call in called.items() if not iscoroutinefunction(call)]


def calls(dependant: Dependant) -> Iterator[Callable[..., Any]]:
    if dependant.call is not None:
        yield dependant.call
    for dependency in dependant.dependencies:
        yield from calls(dependency)


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
def test_no_operation_waits_for_a_thread(api: Any) -> None:
    routes = [route for router in api.routers for route in router.routes]

    assert routes
    assert threaded(routes) == []


def test_no_page_waits_for_a_thread() -> None:
    def no_documents() -> Mapping[str, Any]:
        return {}

    async def ready() -> None:
        return None

    def lifespan(_site: FastAPI) -> AbstractAsyncContextManager[None]:
        raise NotImplementedError

    site = create_site(no_documents, ready, lifespan, ())

    assert len(site.routes) > 3
    assert threaded(site.routes) == []


def test_the_check_finds_routes_and_dependencies_below_them() -> None:
    def inner() -> int:
        return 1

    async def outer(_inner: int = Depends(inner)) -> int:
        return 2

    router = APIRouter(dependencies=[Depends(outer)])

    @router.get("/plain")
    def plain() -> None:
        return None

    assert threaded(router.routes) == ["/plain: plain", "/plain: inner"]
