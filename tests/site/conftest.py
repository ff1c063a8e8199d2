"""The store of the pages, and an option that renews documents."""

import pytest

from support.databases import LocalStore


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--renew-openapi", action="store_true", help="write docs/openapi/*.json anew")


@pytest.fixture
def store(local_store: LocalStore) -> LocalStore:
    """The pages do not depend on where the settings are kept, so memory will do."""
    return local_store
