"""Fixtures of all tests; each plugin is a module of this folder."""

import pytest

from fakes import InMemoryStore

pytest_plugins = ["service"]


@pytest.fixture
def store() -> InMemoryStore:
    return InMemoryStore()
