"""The whole service in one process, on any store and prober, and a client that speaks to it byte for byte."""

import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp

from mailsettings.app import create_app
from mailsettings.bootstrap.service import counting
from mailsettings.dialects import DIALECTS
from mailsettings.domain.access import OPERATOR, Account
from mailsettings.site.audit import AUDIT
from mailsettings.site.metrics import METRICS
from mailsettings.site.openapi import Document, document
from mailsettings.site.pages import create_site
from mailsettings.store.transactions import SQLStore
from mailsettings.telemetry.metrics import PrometheusMetrics
from mailsettings.use_cases.accounts import ManageAccounts
from mailsettings.use_cases.audit_log import ReadAuditLog
from mailsettings.use_cases.connection_test_limits import ConnectionTestLimits
from mailsettings.use_cases.connection_tests import RunConnectionTests
from mailsettings.use_cases.denial_log import DenialLog
from mailsettings.use_cases.history import MailServerHistory
from mailsettings.use_cases.login import Authenticator, LogIn
from mailsettings.use_cases.mail_servers import ManageMailServers
from mailsettings.use_cases.metrics import ReadMetrics
from mailsettings.use_cases.ports import PasswordHasher, Prober
from mailsettings.web.concurrency import ConcurrentRequests
from mailsettings.web.dialect import UseCases

from support.fakes import GRANTS, NamesAsTokens, PlainPasswords, ScriptedProber

BASE_URL = "http://service.test"
MAIL_SERVER = "/api/20210901/system/mail/server"
SMTP_SETTINGS = "/cxrestapi/auth/SMTPSettings"
LIMITS = ConnectionTestLimits(at_once=3, max_concurrent_per_caller=2, max_per_minute_per_caller=5)
ADMIN = Account("admin", frozenset({"admin"}))
TOKEN = "/cxrestapi/auth/identity/connect/token"


async def _ready() -> None:
    return None


def build_service(
    store: SQLStore,
    prober: Prober,
    client_secret: str | None = None,
    allowed_hosts: Collection[str] = (),
    limits: ConnectionTestLimits = LIMITS,
    passwords: PasswordHasher | None = None,
    clock: Callable[[], float] = time.time,
    at_once: ConcurrentRequests | None = None,
    public_url: str | None = None,
) -> ASGIApp:
    """Everything real but the prober, the passwords and the tokens, which are names (see `fakes`)."""
    passwords = passwords or PlainPasswords()
    metrics = PrometheusMetrics()

    async def no_keys() -> dict[str, object]:
        async with store.reading():
            return {"keys": []}

    denial_log = DenialLog(store)
    use_cases = UseCases(
        mail_servers=ManageMailServers(store),
        history=MailServerHistory(store),
        probes=RunConnectionTests(store, prober, limits, denial_log, metrics),
        log_in=LogIn(store, passwords, NamesAsTokens(), denial_log, 3600, clock, metrics),
        authentication=Authenticator(store, NamesAsTokens(), GRANTS, denial_log),
        audit_log=ReadAuditLog(store),
        metrics=ReadMetrics(metrics),
        json_web_keys=no_keys,
        issuer="mailsettings",
        public_url=public_url,
        client_secret=client_secret,
        allowed_hosts=allowed_hosts,
        at_once=at_once or ConcurrentRequests(),
    )
    dialects = [(api, api.build(use_cases)) for api in (*DIALECTS, AUDIT, METRICS)]

    def documents() -> dict[str, Document]:  # most tests never look at them, and they take a tenth of a second
        return {dialect.name: document(dialect, app, TOKEN, public_url) for dialect, app in dialects}

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await store.close()  # on the thread that opened its connections

    site = create_site(documents, _ready, lifespan, allowed_hosts)
    return create_app(dialects, site, [counting(metrics)])


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
