"""Fixtures of all tests, each plugin a module of this folder; and the event loop that they run on."""

import asyncio
import runpy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import uvloop
from hypothesis import settings

# The same examples in each run: what fails, fails for everybody. `make fuzz` is for finding new ones.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")
pytest_plugins = [
    *("browser", "canary", "connects", "databases", "openid_issuer", "probers", "service", "served"),
    *("smtp_server", "token_authority", "whole_service"),
]


def pytest_addoption(parser: pytest.Parser) -> None:
    """For `make check`, which need not run a test twice."""
    parser.addoption("--not-counted", action="store_true", help="Leave out what `make coverage` runs.")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what scripts/coverage.py runs, if asked to."""
    if not config.getoption("not_counted"):
        return
    parts = runpy.run_path(str(Path(__file__).parents[1] / "scripts" / "tested.py"))["PARTS"].values()
    counted = tuple(f"tests/{test}{end}" for part in parts for test in part.tests for end in "/:[")
    run = [item for item in items if item.nodeid.startswith(counted) and "postgresql" not in item.nodeid.lower()]
    config.hook.pytest_deselected(items=run)
    left_out = set(run)
    items[:] = [item for item in items if item not in left_out]


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], Any]]:
    """What speaks to sockets runs on the loop that the service runs on, everything else on asyncio's own."""
    on_sockets = item.nodeid.startswith(("tests/smtp/", "tests/abuse/"))
    return {"uvloop": uvloop.new_event_loop} if on_sockets else {"asyncio": asyncio.new_event_loop}
