"""How to provoke each answer that the OpenAPI documents promise."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from starlette.types import ASGIApp

from mailsettings.dialects.v1 import V1
from mailsettings.domain.access import OPERATOR, AccountKind, Permission
from mailsettings.domain.connection_test import FailureCode, Outcome, ProbeReport, ProbeStage, StageReport
from mailsettings.domain.findings import failure
from mailsettings.domain.listening import RelayListener, RunningRelay
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, PasswordAuthentication, Sender
from mailsettings.domain.values import Secret
from mailsettings.store.transaction import Transaction
from mailsettings.use_cases.accounts import ManageAccounts
from mailsettings.use_cases.keys import PREFIX
from mailsettings.web.concurrency import ConcurrentRequests
from mailsettings.web.routing import MAX_BODY_BYTES

from support.databases import LocalStore, new_file
from support.fakes import PlainPasswords, ScriptedProber
from support.named import PASSWORD, store_named
from support.operations import ALL_OPERATIONS, OWN_ACCOUNT, STORED_NAMES, Operation
from support.request_bodies import HOST, PORT, USERNAME
from support.service import ADMIN, BASE_URL, build_service

KEY = "Idempotency-Key"
FAILS = ProbeReport(
    (StageReport(ProbeStage.AUTHENTICATE, Outcome.FAILED),),
    failure(FailureCode.AUTHENTICATION_FAILED, ProbeStage.AUTHENTICATE),
)
SERVER = MailServer(HOST, PORT, ConnectionSecurity.STARTTLS, Sender("sender@example.org", "Sender"))
Form = Mapping[str, str]


@dataclass(frozen=True)
class Call:
    """A request that succeeds on a service with two stored mail servers: the second is the default.

    Each was replaced once.
    """

    method: str
    path: str
    json: Any = None
    form: Form | None = None
    token: str | None = "admin"
    headers: tuple[tuple[str, str], ...] = ()

    def having(self, *headers: tuple[str, str]) -> "Call":
        """The same with more headers."""
        return replace(self, headers=(*self.headers, *headers))


LOGIN: Form = {"grant_type": "password", "username": "admin", "password": PASSWORD}
CALLS: Mapping[str, Call] = {
    each.id: Call(
        each.method,
        each.path,
        each.body,
        form=LOGIN if each.takes_form else None,
        token=each.token,
    )
    for each in ALL_OPERATIONS
}
WITHOUT_DATABASE = (
    *("getMetrics", "getOpenIdConfiguration", "list_settings", "list_presets", "get_preset", "list_permissions"),
    *("get_me", "get_version"),
)
"""Operations that work without the database; the token of `get_me` has no account, and `get_version` asks past the
store's transactions."""


class BrokenStore(LocalStore):
    """A store with a fault that no error of the domain describes, once `broken` is set."""

    broken = False

    def break_down(self) -> None:
        """Let every read and write fail, and keep nothing in the cache."""
        self.broken, self.cache = True, self._uncached

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        self._fail()
        async with super().reading() as store:
            yield store

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Transaction]:
        self._fail()
        async with super().writing() as store:
            yield store

    def _fail(self) -> None:
        if self.broken:
            raise RuntimeError


RELAY = RunningRelay("here:1", (RelayListener.parse("starttls://127.0.0.1:2587"),))


@dataclass
class Stage:
    """One service, and a client of it."""

    store: BrokenStore
    prober: ScriptedProber = field(default_factory=ScriptedProber)
    allowed_hosts: Collection[str] = ()
    concurrent_requests: ConcurrentRequests | None = None

    async def prepare(self) -> None:
        """Store an account and two mail servers."""
        await self.prepare_account()
        login = PasswordAuthentication(USERNAME, Secret("a password"))
        server = replace(SERVER, authentication=login)
        async with self.store.writing() as work:
            for as_default in (False, True):
                number = await work.mail_servers.add(server, as_default=as_default)
                await work.mail_servers.replace(number, replace(server, port=PORT + number))
            await work.relays.renew(RELAY, 1e6)
        await store_named(self.store)

    async def prepare_account(self) -> None:
        """Store nothing but an account."""
        await ManageAccounts(self.store, PlainPasswords()).add(OPERATOR, ADMIN, PASSWORD)

    @cached_property
    def app(self) -> ASGIApp:
        return build_service(
            self.store, self.prober, allowed_hosts=self.allowed_hosts, concurrent_requests=self.concurrent_requests
        )

    async def send(self, call: Call, content: bytes | None = None, content_type: str = "") -> httpx.Response:
        """The answer to *call*; *content* takes the place of its body."""
        headers = [*call.headers, *([("Authorization", f"Bearer {call.token}")] if call.token else [])]
        if content_type:
            headers.append(("Content-Type", content_type))
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport) as http:
            given = {"json": call.json, "data": call.form}
            body: dict[str, Any] = given if content is None else {"content": content}
            return await http.request(call.method, BASE_URL + call.path, headers=headers, **body)


@asynccontextmanager
async def staged(*, with_server: bool = True, **parts: Any) -> AsyncIterator[Stage]:
    """Prepare a new service on a database of its own, which ends with the block."""
    with TemporaryDirectory() as folder:
        made = Stage(BrokenStore(await _new_database(Path(folder) / "data", with_server=with_server)), **parts)
        try:
            yield made
        finally:
            await made.store.close()


_prepared: dict[bool, bytes] = {}
"""The files of prepared databases: to prepare one takes ten times as long as all else in a case."""


async def _new_database(folder: Path, *, with_server: bool) -> str:
    """Return the address of a new database with what `Stage` prepares."""
    file = folder / "mailsettings.db"
    address = new_file(file)
    if with_server not in _prepared:
        stage = Stage(BrokenStore(address))
        await (stage.prepare() if with_server else stage.prepare_account())
        await stage.store.close()
        _prepared[with_server] = file.read_bytes()
    file.write_bytes(_prepared[with_server])
    return address


Provoke = Callable[[Call], Awaitable[httpx.Response]]


async def on(call: Call, **stage: Any) -> httpx.Response:
    """Send *call* to a new service."""
    async with staged(**stage) as made:
        return await made.send(call)


async def well(call: Call) -> httpx.Response:
    """Send it as it is."""
    return await on(call)


async def with_body(call: Call, content: bytes, content_type: str) -> httpx.Response:
    async with staged() as made:
        return await made.send(call, content, content_type)


async def too_large(call: Call) -> httpx.Response:
    kind = "application/x-www-form-urlencoded" if call.form else "application/json"
    return await with_body(call, b" " * (MAX_BODY_BYTES + 1), kind)


async def not_json(call: Call) -> httpx.Response:
    return await with_body(call, json.dumps(call.json).encode(), "text/plain")


async def database_away(call: Call) -> httpx.Response:
    async with staged() as made:
        made.store.away = True
        return await made.send(call)


async def broken(call: Call) -> httpx.Response:
    async with staged() as made:
        made.store.break_down()
        return await made.send(call)


async def nothing_stored(call: Call) -> httpx.Response:
    async with staged(with_server=False) as made:
        return await made.send(call)


async def twice(call: Call) -> httpx.Response:
    """Send it again under its key."""
    async with staged() as made:
        keyed = call.having((KEY, "key"))
        await made.send(keyed)
        return await made.send(keyed)


async def after_another(call: Call) -> httpx.Response:
    """Send it under the key of another request."""
    other = next(CALLS[each.id] for each in ALL_OPERATIONS if KEY in each.headers and CALLS[each.id] != call)
    async with staged() as made:
        await made.send(other.having((KEY, "key")))
        return await made.send(call.having((KEY, "key")))


async def meanwhile(call: Call) -> httpx.Response:
    """Send it again while the first one is still being answered."""
    async with staged() as made:
        made.prober.hold = asyncio.Event()
        keyed = call.having((KEY, "key"))
        first = asyncio.create_task(made.send(keyed))
        while not made.prober.asked:  # noqa: ASYNC110  # the prober is asked in a few turns of the loop
            await asyncio.sleep(0)
        again = await made.send(keyed)
        made.prober.hold.set()
        await first
        return again


async def failing(call: Call) -> httpx.Response:
    return await on(call, prober=ScriptedProber(FAILS))


async def failing_twice(call: Call) -> httpx.Response:
    async with staged(prober=ScriptedProber(FAILS)) as made:
        keyed = call.having((KEY, "key"))
        await made.send(keyed)
        return await made.send(keyed)


async def too_many_logins(call: Call) -> httpx.Response:
    async with staged() as made:
        wrong = replace(call, form={**LOGIN, "password": "wrong"})
        for _ in range(6):
            answer = await made.send(wrong)
        return answer


def header(name: str, value: str) -> Provoke:
    async def provoke(call: Call) -> httpx.Response:
        return await on(call.having((name, value)))

    return provoke


def token(name: str | None) -> Provoke:
    async def provoke(call: Call) -> httpx.Response:
        return await on(replace(call, token=name))

    return provoke


def stage(**settings: Any) -> Provoke:
    async def provoke(call: Call) -> httpx.Response:
        return await on(call, **settings)

    return provoke


Case = tuple[str, str, Provoke]
"""The operation, the status as the document names it, and how to provoke it."""


def cases() -> Iterable[Case]:
    """All of them, from what each operation reads; a status may come in several ways."""
    for operation in ALL_OPERATIONS:
        name, call = operation.id, CALLS[operation.id]
        yield name, operation.success, well
        if not operation.is_open:
            yield from _behind_a_token(operation)
        if call.json is not None or call.form:
            yield name, "413", too_large
            yield name, "415", header("Content-Encoding", "gzip")
        if call.json is not None:
            yield name, "415", not_json
    yield from _of_single_operations()


def _behind_a_token(operation: Operation) -> Iterable[Case]:
    name = operation.id
    yield name, "400", header("Authorization", "Bearer another")
    yield name, "401", token(None)
    yield name, "401", token("no such token")
    if operation.permission is not None:
        yield name, "403", token("stranger")
    yield name, "429", stage(concurrent_requests=ConcurrentRequests(0))
    yield name, "503", token("issuer-away")
    yield from _with_nothing_stored(operation)
    if name not in WITHOUT_DATABASE:
        yield name, "503", database_away
        yield name, "default", broken
    if "If-Match" in operation.headers:
        yield name, "412", header("If-Match", '"another"')
    if operation.method == "GET" and "If-None-Match" in operation.headers:
        yield name, "304", header("If-None-Match", "*")
    if KEY in operation.headers:
        yield name, operation.success, twice
        yield name, "409", after_another
    if "Prefer" in operation.headers:
        yield name, operation.success, header("Prefer", "return=representation")
    if operation.permission is Permission.MAIL_SERVERS_TEST:
        yield name, "409", meanwhile
        if operation.dialect is V1:
            yield name, "200", as_events
            yield name, "200", failing
        else:
            yield name, "400", failing
            yield name, "400", failing_twice


def _with_nothing_stored(operation: Operation) -> Iterable[Case]:
    name = operation.id
    if name in {*OWN_ACCOUNT, "get_preset"}:  # the account is stored, a preset never is
        yield name, operation.success, nothing_stored
    elif name != "test_settings":  # its 404 is about another mail server
        yield name, "404" if "404" in operation.statuses else operation.success, nothing_stored


def _of_single_operations() -> Iterable[Case]:
    for name in ("requestToken", "get_token"):
        yield name, "400", wrong_password
        yield name, "429", too_many_logins
        yield name, "503", database_away
        yield name, "default", broken
    yield "get_token", "401", wrong_basic_secret
    for name in OWN_ACCOUNT:
        yield name, "404", token("admin")
    yield "set_own_password", "429", own_password_guessed
    yield "get_preset", "404", unknown_preset
    for name in ("create_account", "create_client", "create_device"):
        yield name, "409", twice_without_key
    for name in ("set_account_permissions", "set_client_permissions", "delete_account", "delete_client"):
        yield name, "409", of_the_last_manager
    yield "delete_signing_key", "409", of_the_only_key
    yield "list_mail_servers", "200", first_page
    yield "list_mail_server_versions", "200", first_page
    yield "disable_mail_server", "409", of_the_default
    yield "delete_mail_server", "409", of_the_default
    yield "replace_mail_server", "409", of_the_default
    yield "update_mail_server", "409", of_the_default
    yield "set_default_mail_server", "409", of_a_disabled_server
    yield "test_mail_server", "409", of_a_disabled_server
    yield "create_mail_server", "409", with_a_taken_name
    yield "test_settings", "404", based_on_nothing
    yield "update_device", "409", with_the_name_of_another_device
    yield "test_device", "409", without_a_relay
    for name in (
        *("list_accounts", "list_clients", "list_audit_entries", "list_deliveries"),
        *("list_devices", "list_messages"),
    ):
        yield name, "200", of_one_item
    for name in ("getOpenIdConfiguration", "getJsonWebKeySet"):
        yield name, "400", stage(allowed_hosts=["other.example.org"])
    yield "getJsonWebKeySet", "503", database_away
    yield "getJsonWebKeySet", "default", broken


async def of_one_item(call: Call) -> httpx.Response:
    return await on(replace(call, path=f"{call.path}?limit=1"))


async def with_the_name_of_another_device(call: Call) -> httpx.Response:
    return await on(replace(call, json={"name": "stored-2"}))


async def without_a_relay(call: Call) -> httpx.Response:
    async with staged() as made:
        async with made.store.writing() as work:
            await work.relays.leave(RELAY.holder)
        return await made.send(call)


async def unknown_preset(call: Call) -> httpx.Response:
    return await on(replace(call, path="/v1/presets/nothing"))


async def twice_without_key(call: Call) -> httpx.Response:
    async with staged() as made:
        await made.send(call)
        return await made.send(call)


async def of_the_last_manager(call: Call) -> httpx.Response:
    """Send it about an account that alone manages accounts."""
    async with staged() as made:
        accounts = ManageAccounts(made.store, PlainPasswords())
        await accounts.remove(OPERATOR, AccountKind.USER, ADMIN.name, even_last=True)
        kind = AccountKind.USER if "/clients/" in call.path else AccountKind.CLIENT
        await accounts.remove(OPERATOR, kind, STORED_NAMES[kind], even_last=True)
        return await made.send(call if call.json is None else replace(call, json={"permissions": ["reader"]}))


async def of_the_only_key(call: Call) -> httpx.Response:
    async with staged() as made:
        async with made.store.writing() as work:
            await work.service_keys.remove(f"{PREFIX}2")
        return await made.send(call)


async def own_password_guessed(call: Call) -> httpx.Response:
    async with staged() as made:
        wrong = replace(call, json={**call.json, "current_password": "wrong"})
        for _ in range(6):
            answer = await made.send(wrong)
        return answer


async def wrong_password(call: Call) -> httpx.Response:
    return await on(replace(call, form={**LOGIN, "password": "wrong"}))


async def wrong_basic_secret(call: Call) -> httpx.Response:
    wrong = replace(call, form={"grant_type": "client_credentials"})
    return await on(wrong.having(("Authorization", "Basic Y2xpZW50OndvcmQ=")))


async def first_page(call: Call) -> httpx.Response:
    """Ask for a page of one of several."""
    return await on(replace(call, path=f"{call.path}?limit=1"))


async def of_a_disabled_server(call: Call) -> httpx.Response:
    async with staged() as made:
        async with made.store.writing() as work:
            await work.mail_servers.set_enabled(1, "admin", enabled=False)
        return await made.send(call)


async def of_the_default(call: Call) -> httpx.Response:
    body = {**call.json, "enabled": False} if isinstance(call.json, dict) else call.json
    return await on(replace(call, path=call.path.replace("/1", "/2", 1), json=body))


async def with_a_taken_name(call: Call) -> httpx.Response:
    async with staged() as made:
        async with made.store.writing() as work:
            await work.mail_servers.replace(2, SERVER, name=call.json["name"])
        return await made.send(call)


async def based_on_nothing(call: Call) -> httpx.Response:
    return await on(replace(call, json={**call.json, "based_on": "nothing"}))


async def as_events(call: Call) -> httpx.Response:
    return await on(call.having(("Accept", "text/event-stream")))
