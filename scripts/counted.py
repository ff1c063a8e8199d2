"""A pytest plugin that splits the tests: `--part counted` runs those of `tested.py`, `--part rest` all others.

The tests on PostgreSQL are in the rest: the same lines run for both databases.
"""

import pytest
from tested import PARTS

_NODES = tuple(f"tests/{test}{end}" for part in PARTS.values() for test in part.tests for end in "/:[")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option; without it all tests run."""
    parser.addoption("--part", choices=["counted", "rest"], help="run the tests that are counted, or the others")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the other part."""
    part = config.getoption("part")
    others = [item for item in items if part and _is_counted(item) != (part == "counted")]
    config.hook.pytest_deselected(items=others)
    left_out = set(others)
    items[:] = [item for item in items if item not in left_out]


def _is_counted(item: pytest.Item) -> bool:
    return item.nodeid.startswith(_NODES) and "postgresql" not in item.nodeid.lower()
