"""The whole service in one process, on any store and prober, and a client that speaks to it byte for byte."""

import tempfile
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp

from mailsettings.auth import tokens
from mailsettings.bootstrap.service import create_apis
from mailsettings.bootstrap.use_cases import Parts, create_use_cases
from mailsettings.domain.access import OPERATOR, Account
from mailsettings.settings import Settings
from mailsettings.store.database import SQLStore
from mailsettings.store.encryption.key_file import KeyFile, LiveKeys
from mailsettings.telemetry.metrics import PrometheusMetrics
from mailsettings.use_cases.accounts import ManageAccounts
from mailsettings.use_cases.connection_test_limits import ConnectionTestLimits
from mailsettings.use_cases.keys import ManageEncryptionKeys, ManageSigningKeys
from mailsettings.use_cases.ports import PasswordHasher, Prober
from mailsettings.web.concurrency import ConcurrentRequests
from mailsettings.web.dialect import UseCases

from support.fakes import GRANTS, NamesAsTokens, PlainPasswords, ScriptedProber

BASE_URL = "http://service.test"
MAIL_SERVER = "/api/20210901/system/mail/server"
SMTP_SETTINGS = "/cxrestapi/auth/SMTPSettings"
LIMITS = ConnectionTestLimits(max_concurrent=3, max_concurrent_per_caller=2, max_per_minute_per_caller=5)
ADMIN = Account("admin", frozenset({"admin"}))
TOKEN = "/cxrestapi/auth/identity/connect/token"


def build_service(
    store: SQLStore,
    prober: Prober,
    client_secret: str | None = None,
    allowed_hosts: Collection[str] = (),
    limits: ConnectionTestLimits = LIMITS,
    passwords: PasswordHasher | None = None,
    clock: Callable[[], float] = time.time,
    concurrent_requests: ConcurrentRequests | None = None,
    public_url: str | None = None,
) -> ASGIApp:
    """Everything real but the prober, the passwords and the tokens, which are names (see `fakes`)."""
    metrics = PrometheusMetrics()

    async def ready() -> None:
        return None

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        yield
        await store.close()  # on the thread that opened its connections

    use_cases = replace(
        use_cases_of(store, prober, limits, passwords, clock, metrics),
        public_url=public_url,
        client_secret=client_secret,
        allowed_hosts=allowed_hosts,
        concurrent_requests=concurrent_requests or ConcurrentRequests(),
    )
    return create_apis(use_cases, metrics, ready, running)


class _NoFile(LiveKeys):
    """Keys without a file: the store of the tests has its key in memory, so nothing can be marked in a file."""

    def bind(self) -> None:
        pass


@cache
def _settings() -> Settings:
    """Return the defaults; to read them from the environment takes as long as to build the service."""
    return Settings.model_construct()


def use_cases_of(
    store: SQLStore,
    prober: Prober,
    limits: ConnectionTestLimits = LIMITS,
    passwords: PasswordHasher | None = None,
    clock: Callable[[], float] = time.time,
    metrics: PrometheusMetrics | None = None,
) -> UseCases:
    """The use cases of `build_service`."""

    async def no_keys() -> dict[str, object]:
        async with store.reading():
            return {"keys": []}

    async def no_witness() -> None:
        return None

    return create_use_cases(
        _settings(),
        Parts(
            store=store,
            prober=prober,
            relay_prober=prober,
            passwords=passwords or PlainPasswords(),
            issuer=NamesAsTokens(),
            reader=NamesAsTokens(store),
            meter=metrics or PrometheusMetrics(),
            json_web_keys=no_keys,
            witnessed=no_witness,
            limits=limits,
            encryption_keys=ManageEncryptionKeys(
                store, _NoFile(KeyFile(Path(tempfile.gettempdir()) / "no-such-keys"))
            ),
            signing_keys=ManageSigningKeys(store, tokens.make),
            grants=GRANTS,
            clock=clock,
        ),
    )


@dataclass
class Caller:
    """Sends requests with one bearer token, or with none."""

    http: httpx.AsyncClient
    token: str | None = "admin"

    async def send(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
        data: dict[str, str] | None = None,
    ) -> httpx.Response:
        """`json` is sent as application/json; `content` as it is, with no Content-Type but in *headers*."""
        credentials = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        # An absolute address, so that a path that begins with two slashes is sent as such.
        request = self.http.build_request(
            method,
            BASE_URL + path,
            json=json,
            content=content,
            data=data,
            headers={**credentials, **(headers or {})},
        )
        return await self.http.send(request)

    def __call__(self, token: str | None) -> "Caller":
        """The same client with another token."""
        return Caller(self.http, token)


@asynccontextmanager
async def client_of(store: SQLStore, prober: Prober) -> AsyncIterator[Caller]:
    """A client of the service on *store*, with the token of the admin."""
    transport = httpx.ASGITransport(build_service(store, prober), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, headers={"Accept": "*/*"}) as http:
        yield Caller(http)


@pytest.fixture
def prober() -> ScriptedProber:
    """What answers connection tests; set `report`, look at `asked`."""
    return ScriptedProber()


@pytest.fixture
async def api(store: SQLStore, prober: ScriptedProber) -> AsyncIterator[Caller]:
    """The admin's client. `api(None)` has no token, `api("reader")` may read, `api("stranger")` nothing.

    The account `admin` has the password `correct horse`.
    """
    await ManageAccounts(store, PlainPasswords()).add(OPERATOR, ADMIN, "correct horse")
    async with client_of(store, prober) as caller:
        yield caller
