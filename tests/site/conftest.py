"""The service behind a real socket, a browser to look at it, and an option that renews documents."""

import asyncio
from collections.abc import Iterator

import pytest

from mailsettings.domain.access import OPERATOR
from mailsettings.use_cases.accounts import KeepAccounts

from browser import Browser, running_browser
from fakes import InMemoryStore, PlainPasswords, ScriptedProber
from live_service import live
from service import ADMIN, build_service


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--renew-openapi", action="store_true", help="write docs/openapi/*.json anew")


@pytest.fixture
def store() -> InMemoryStore:
    """The pages do not depend on where the settings are kept, so memory will do."""
    return InMemoryStore()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as started:
        yield started


@pytest.fixture
def origin(store: InMemoryStore, prober: ScriptedProber) -> Iterator[str]:
    """Where uvicorn serves the service, which has the account `admin` with the password `correct horse`."""
    asyncio.run(KeepAccounts(store, PlainPasswords()).add(OPERATOR, ADMIN, "correct horse"))
    with live(build_service(store, prober)) as served:
        yield served
