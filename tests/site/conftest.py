"""The store of the pages, and an option that renews documents."""

import pytest

from support.fakes import InMemoryStore


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--renew-openapi", action="store_true", help="write docs/openapi/*.json anew")


@pytest.fixture
def store() -> InMemoryStore:
    """The pages do not depend on where the settings are kept, so memory will do."""
    return InMemoryStore()
