"""The service behind a real socket, in a thread of this process, for a browser to look at."""

import asyncio
from collections.abc import Iterator

import pytest

from mailsettings.domain.access import OPERATOR
from mailsettings.use_cases.accounts import ManageAccounts

from support.databases import LocalStore
from support.fakes import PlainPasswords, ScriptedProber
from support.live_service import live
from support.service import ADMIN, build_service


@pytest.fixture
def pages_store(local_store: LocalStore) -> LocalStore:
    """The pages do not depend on the kind of the database."""
    return local_store


@pytest.fixture
def origin(pages_store: LocalStore, prober: ScriptedProber) -> Iterator[str]:
    """Return where uvicorn serves the service; the account `admin` has the password `correct horse`.

    Its documents name another address, as behind a proxy; the page works at the address of this service.
    """
    asyncio.run(ManageAccounts(pages_store, PlainPasswords()).add(OPERATOR, ADMIN, "correct horse"))
    with live(build_service(pages_store, prober, public_url="https://mail.example.org/settings")) as address:
        yield address
