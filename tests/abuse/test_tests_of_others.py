"""Callers who may only test: what they can send with a stored secret, and for how long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.types import ASGIApp, Message

from mailsettings.domain.access import OPERATOR, Account, AccountKind, Permission, Principal
from mailsettings.domain.connection_test import ProbeListener, ProbeReport
from mailsettings.domain.errors import NotAuthenticated, PermissionDenied
from mailsettings.domain.mail_server import MailServer
from mailsettings.domain.mail_server_list import NO_FILTER
from mailsettings.store.database import SQLStore

from support.fakes import ScriptedProber
from support.service import Caller, build_service, client_of, use_cases_of
from support.timeouts import GUARD_SECONDS

SERVERS = "/v1/mail-servers"
LOGIN = {"kind": "password", "username": "reports"}
SENDER = {"address": "reports@example.com", "name": "Reports"}
SETTINGS: dict[str, Any] = {"host": "mail.example.com", "sender": SENDER, "authentication": LOGIN}
MANY = 4


@pytest.fixture
def kind() -> str:
    return "sqlite"


@dataclass
class NoticingProber(ScriptedProber):
    """Says when the first test has begun, and holds all until `hold` is set."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)

    async def probe(
        self, server: MailServer, recipient: str | None, listener: ProbeListener | None = None
    ) -> ProbeReport:
        self.begun.set()
        return await super().probe(server, recipient, listener)


@pytest.fixture
async def stored(api: Caller) -> Caller:
    login = {**LOGIN, "password": "correct horse"}
    for number in range(MANY):
        new = {**SETTINGS, "name": f"relay-{number}", "authentication": login}
        assert (await api.send("POST", SERVERS, json=new)).status_code == 201
    return api


async def based_on(api: Caller, **changes: object) -> tuple[int, str | None]:
    body = {"settings": {**SETTINGS, **changes}, "based_on": "relay-0"}
    answer = await api.send("POST", "/v1/tests", json=body)
    return answer.status_code, answer.json().get("code")


@pytest.mark.parametrize("sender", [{"address": "chief@example.com"}, {**SENDER, "name": "The Chief"}])
async def test_a_stored_secret_sends_in_no_other_name(
    stored: Caller, prober: ScriptedProber, sender: object
) -> None:
    assert await based_on(stored("tester"), sender=sender) == (403, "permission_denied")
    assert prober.asked == []
    assert await based_on(stored("tester")) == (200, None)
    assert await based_on(stored("admin"), sender=sender) == (200, None)


async def test_the_secret_of_a_disabled_server_rests(stored: Caller, prober: ScriptedProber) -> None:
    await stored.send("POST", f"{SERVERS}/relay-0/disable")

    assert await based_on(stored("tester")) == (409, "mail_server_disabled")
    assert prober.asked == []
    assert await based_on(stored("admin")) == (200, None)


async def test_the_audit_log_names_the_lender_of_a_secret(stored: Caller) -> None:
    await based_on(stored, sender={"address": "other@example.com"})
    [begun] = (await stored.send("GET", "/v1/audit-log?action=mail-server.test&outcome=begun")).json()["items"]

    assert (begun["target"], begun["details"]["secret of"]) == ("given mail server", "mail-server:1")
    assert begun["details"]["sender"] == "other@example.com"


def release(prober: ScriptedProber) -> None:
    assert prober.hold is not None
    prober.hold.set()


@asynccontextmanager
async def leaving(app: ASGIApp, body: bytes, key: str) -> AsyncIterator[asyncio.Event]:
    """Request tests of all servers as events; the client leaves when the event is set."""
    leaves, sent = asyncio.Event(), False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            await leaves.wait()
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        assert message.get("status", 200) == 200

    path = f"{SERVERS}/test"
    headers = {
        "host": "mail-settings.example.com",
        "authorization": "Bearer admin",
        "accept": "text/event-stream",
        "content-type": "application/json",
        "content-length": str(len(body)),
        "idempotency-key": key,
    }
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("192.0.2.1", 1),
        "server": ("test", 80),
    }
    running = asyncio.ensure_future(app(scope, receive, send))
    yield leaves
    async with asyncio.timeout(GUARD_SECONDS):
        await running


@pytest.mark.usefixtures("stored")
async def test_tests_of_a_client_that_left_end_soon(store: SQLStore) -> None:
    prober = NoticingProber(hold=asyncio.Event())
    before = asyncio.all_tasks()
    async with leaving(build_service(store, prober), b"{}", "key-1") as leaves, asyncio.timeout(GUARD_SECONDS):
        await prober.begun.wait()
        leaves.set()
        await asyncio.sleep(0)
        release(prober)
    begun = len(prober.asked)
    left = {task for task in asyncio.all_tasks() - before if not task.done()}
    async with client_of(store, prober) as api:
        again = await api.send("POST", f"{SERVERS}/test", json={}, headers={"Idempotency-Key": "key-1"})

    assert left == set()
    assert 0 < begun < MANY
    assert len(again.json()["items"]) == len(prober.asked) == MANY


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("loss", ["permission", "account", "sessions"])
async def test_tests_end_with_the_permission_of_their_caller(store: SQLStore, loss: str) -> None:
    prober = NoticingProber(hold=asyncio.Event())
    cases = use_cases_of(store, prober)
    await cases.accounts.add(OPERATOR, Account("tess", frozenset({"tester"})), "correct horse")
    async with store.reading() as view:
        credentials = await view.accounts.find("tess")
    assert credentials is not None
    tess = Principal("tess", frozenset({Permission.MAIL_SERVERS_TEST}), stamp=credentials.stamp)
    servers = await cases.several_tests.servers(tess, NO_FILTER)
    running = asyncio.create_task(cases.several_tests.run(tess, servers, None, lambda *_: None))
    async with asyncio.timeout(GUARD_SECONDS):
        await prober.begun.wait()
        if loss == "permission":
            await cases.accounts.set_grants(OPERATOR, AccountKind.USER, "tess", [])
        elif loss == "account":
            await cases.accounts.remove(OPERATOR, AccountKind.USER, "tess")
        else:
            await cases.own_account.end_sessions(tess)
        release(prober)
        with pytest.raises((PermissionDenied, NotAuthenticated)):
            await running

    assert 0 < len(prober.asked) < MANY
