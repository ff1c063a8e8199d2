"""What the vendor's clients send, byte for byte, and the exact answers that they take for a success.

`contract` names the observation that a client was recorded under.
"""

import gc
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from mailsettings.dialects.checkmarx.schemas import TokenRequest

from support.databases import LocalStore
from support.fakes import ScriptedProber
from support.service import SMTP_SETTINGS, TOKEN, Caller, build_service

CANARY = "canary-b0c5d1e7"
SETTINGS = {
    "password": CANARY,
    "host": "pod55017.outlook.com",
    "port": 521,
    "encryptionType": "Tls",
    "fromAddress": "sender@example.com",
    "useDefaultCredentials": False,
    "username": "sender@example.com",
}
VIEW = {
    "id": 1,
    "host": "pod55017.outlook.com",
    "port": 521,
    "encryptionType": "Tls",
    "fromAddress": "sender@example.com",
    "useDefaultCredentials": False,
    "username": "sender@example.com",
    "displayName": None,
}
JSON_V1 = {"Accept": "application/json;v=1.0", "Content-Type": "application/json;v=1.0"}
PLAIN_JSON = {"Accept": "*/*", "Content-Type": "application/json"}
UNTYPED = {"Accept": "*/*"}
PATCH_JSON = {"Content-Type": "application/json-patch+json"}


@pytest.fixture
def kind() -> str:
    """One database is enough: the cases differ only in their requests."""
    return "sqlite"


@dataclass(frozen=True)
class Client:
    """How one client of the vendor calls all operations."""

    contract: str
    read: dict[str, str]
    write: dict[str, str]
    delete: dict[str, str]
    extra: dict[str, Any] = field(default_factory=dict)
    path: str = SMTP_SETTINGS
    omits_nulls: bool = False


CLIENTS = {
    "NSwag": Client("A1", {"Accept": "application/json"}, PATCH_JSON, {}, omits_nulls=True),
    "Python SDK 0.8.0": Client("A2", JSON_V1, JSON_V1, JSON_V1),
    "Python SDK 1.0.0": Client("A2", PLAIN_JSON, PLAIN_JSON, PLAIN_JSON),
    "Python SDK 1.6.0": Client("A2", UNTYPED, UNTYPED, UNTYPED),
    "Python SDK 1.9.1": Client("A2 C3", UNTYPED, PLAIN_JSON, UNTYPED, {"recieverEmail": None}),
    "checkmarx-ts": Client("A3", {}, {"Content-Type": "application/json"}, {}, omits_nulls=True),
    "CxAccess": Client("A5", JSON_V1, {"Content-Type": "application/json-patch+json;v=1.0"}, JSON_V1),
    "lower case": Client("A4 C15", UNTYPED, PLAIN_JSON, UNTYPED, path="/cxrestapi/auth/smtpsettings"),
    "mixed case": Client("A4 C15", UNTYPED, PLAIN_JSON, UNTYPED, path="/CxRestAPI/Auth/SMTPSettings"),
    "two slashes": Client("C15", UNTYPED, PLAIN_JSON, UNTYPED, path="//cxrestapi/auth/SMTPSettings"),
    "a last slash": Client("C15", UNTYPED, PLAIN_JSON, UNTYPED, path="/cxrestapi/auth/SMTPSettings/"),
}


def body(client: Client, **changes: Any) -> bytes:
    members = SETTINGS | client.extra | changes
    kept = {name: value for name, value in members.items() if value is not None or not client.omits_nulls}
    return json.dumps(kept).encode()


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_client_gets_through_all_operations(api: Caller, name: str) -> None:
    client = CLIENTS[name]
    one = f"{client.path.rstrip('/')}/1"

    empty = await api.send("GET", client.path, headers=client.read)
    created = await api.send("POST", client.path, content=body(client), headers=client.write)
    listed = await api.send("GET", client.path, headers=client.read)
    shown = await api.send("GET", one, headers=client.read)
    replaced = await api.send(
        "PUT", one, content=body(client, port=587, password=CANARY + "2"), headers=client.write
    )
    again = await api.send("GET", one, headers=client.read)
    tested = await api.send(
        "POST",
        f"{client.path.rstrip('/')}/testconnection",
        content=body(client, recieverEmail="to@example.com"),
        headers=client.write,
    )
    deleted = await api.send("DELETE", one, headers=client.delete, content=b"")
    gone = await api.send("GET", one, headers=client.read)

    assert (empty.status_code, empty.json()) == (200, [])
    assert (created.status_code, created.content) == (201, b"")
    assert created.headers["Location"] == f"http://service.test{SMTP_SETTINGS}/1"
    assert (listed.status_code, listed.json()) == (200, [VIEW])
    assert (shown.status_code, shown.json()) == (200, VIEW)
    assert (replaced.status_code, replaced.content) == (204, b"")
    assert again.json() == VIEW | {"port": 587}
    assert (tested.status_code, tested.content) == (200, b"")
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert gone.status_code == 404
    assert isinstance(gone.json()["message"], str)
    assert all(CANARY not in answer.text for answer in (empty, created, listed, shown, replaced, tested, gone))


async def test_first_call_of_an_old_sdk_gets_a_401(api: Caller) -> None:
    """A2: version 1.0.0 logs in only after a 401; a 403 is fatal to it."""
    answer = await api(None).send("GET", SMTP_SETTINGS, headers=PLAIN_JSON)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


FORM = {
    "username": "admin",
    "password": "correct horse",
    "grant_type": "password",
    "scope": "sast_rest_api access_control_api",
    "client_id": "resource_owner_client",
    "client_secret": "014DF517-39D1-4453-B7B3-9930C563627C",
}
LOGINS: dict[str, dict[str, Any]] = {
    "Python SDK": {},
    "an older scope": {"form": {"scope": "sast_rest_api"}},
    "OData": {"form": {"client_id": "resource_owner_sast_client", "scope": "access_control_api sast_api"}},
    "offline": {"form": {"scope": "offline_access sast_api access_control_api"}},
    "no scope": {"form": {"scope": None}},
    "a line feed after the scope": {"form": {"scope": "sast_rest_api\n"}},
    "no client secret (cx-flow)": {"form": {"client_secret": None}},
    "userName (cx-common-js-client)": {"form": {"username": None, "userName": "admin"}},
    "Basic (golang.org/x/oauth2)": {
        "form": {"client_id": None, "client_secret": None},
        "headers": {"Authorization": "Basic cmVzb3VyY2Vfb3duZXJfY2xpZW50OnNlY3JldA=="},
    },
    "CxRestAPI": {"path": "/CxRestAPI/auth/identity/connect/token"},
    "lower case": {"path": TOKEN.lower()},
    "Accept JSON": {"headers": {"Accept": "application/json;v=1.0"}},
    "Accept a form (sast-to-ast-export)": {"headers": {"Accept": "application/x-www-form-urlencoded"}},
}


def form(changes: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in {**FORM, **changes}.items() if value is not None}


@pytest.mark.parametrize("name", LOGINS)
async def test_a_client_logs_in(api: Caller, name: str) -> None:
    """A4, C18."""
    login = LOGINS[name]

    answer = await api(None).send(
        "POST", login.get("path", TOKEN), data=form(login.get("form", {})), headers=login.get("headers")
    )

    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    token = answer.json()
    assert next(iter(token)) == "access_token"
    assert (token["token_type"], token["expires_in"]) == ("Bearer", 3600)
    assert answer.headers["Cache-Control"] == "no-store"


WRONG = {"error": "invalid_grant", "error_description": "invalid_username_or_password"}
REFUSED: dict[str, tuple[dict[str, str | None], dict[str, str]]] = {
    "wrong password": ({"password": CANARY}, WRONG),
    "unknown user": ({"username": "nobody"}, WRONG),
    "a NUL in the name": ({"username": "ad\0min"}, WRONG),
    "no password": ({"password": None}, WRONG),
    "no user": ({"username": None}, WRONG),
    "another grant": ({"grant_type": "authorization_code"}, {"error": "unsupported_grant_type"}),
    "no client's secret": ({"grant_type": "client_credentials"}, {"error": "invalid_client"}),
    "unknown scope": ({"scope": "everything"}, {"error": "invalid_scope"}),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_refused_login_says_what_clients_compare(api: Caller, name: str) -> None:
    changes, expected = REFUSED[name]

    answer = await api(None).send("POST", TOKEN, data=form(changes))

    assert (answer.status_code, answer.json()) == (400, expected)
    assert CANARY not in answer.text


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"", {}),
        (b'{"username":"admin"}', {"Content-Type": "application/json"}),
        (b"\xff%ff=%ff&username=%ff", {"Content-Type": "application/x-www-form-urlencoded"}),
    ],
    ids=["nothing", "JSON", "no text"],
)
async def test_a_login_that_is_no_form_is_refused(api: Caller, content: bytes, headers: dict[str, str]) -> None:
    answer = await api(None).send("POST", TOKEN, content=content, headers=headers)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


MULTIPART = (
    b'--x\r\nContent-Disposition: form-data; name="grant_type"\r\n\r\npassword\r\n'
    b'--x\r\nContent-Disposition: form-data; name="username"\r\n\r\nadmin\r\n'
    b'--x\r\nContent-Disposition: form-data; name="password"\r\n\r\ncorrect horse\r\n--x--\r\n'
)


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (MULTIPART, "multipart/form-data; boundary=x"),
        (urlencode(FORM).encode(), None),
        (urlencode(FORM).encode(), "text/plain"),
    ],
    ids=["multipart", "no type", "text"],
)
async def test_the_form_of_a_login_is_urlencoded(api: Caller, content: bytes, content_type: str | None) -> None:
    """RFC 6749 4.3.2."""
    headers = {"Content-Type": content_type} if content_type else {}
    answer = await api(None).send("POST", TOKEN, content=content, headers=headers)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "again", ["username=admin", "password=x", "grant_type=password", "scope=", "other=1&other=2"]
)
async def test_a_parameter_that_is_there_twice_is_refused(api: Caller, again: str) -> None:
    """RFC 6749 3.2: two parsers could use different values."""
    content = f"{urlencode(FORM)}&{again}".encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    answer = await api(None).send("POST", TOKEN, content=content, headers=headers)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_user_has_one_of_two_names(api: Caller) -> None:
    both = await api(None).send("POST", TOKEN, data=FORM | {"userName": "admin"})
    empty = await api(None).send("POST", TOKEN, data=FORM | {"userName": ""})
    inner = await api(None).send("POST", TOKEN, data=form({"username": None, "user_name": "admin"}))

    assert (both.status_code, both.json()["error"]) == (400, "invalid_request")
    assert empty.status_code == 200
    assert (inner.status_code, inner.json()["error"]) == (400, "invalid_grant")


HOSTILE: dict[str, tuple[str, bytes, dict[str, str], int]] = {
    "too large": ("POST", b"x=" + b"x" * 65536, {}, 413),
    "compressed": ("POST", b"", {"Content-Encoding": "gzip"}, 415),
    "another method": ("GET", b"", {}, 405),
    "another host": ("POST", b"", {"Host": "a b"}, 400),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_each_error_of_a_login_has_shape_of_oauth(api: Caller, name: str) -> None:
    """RFC 6749 5.2."""
    method, content, more, status = HOSTILE[name]
    headers = {"Content-Type": "application/x-www-form-urlencoded"} | more

    answer = await api(None).send(method, TOKEN, content=content, headers=headers)

    assert (answer.status_code, answer.json()["error"]) == (status, "invalid_request")
    assert set(answer.json()) == {"error", "error_description"}
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"


class BrokenStore(LocalStore):
    def reading(self) -> Any:
        raise RuntimeError(CANARY)

    writing = reading


@pytest.mark.parametrize(
    ("kind_of_store", "status", "error"),
    [(LocalStore, 503, "temporarily_unavailable"), (BrokenStore, 500, "server_error")],
    ids=["away", "broken"],
)
async def test_failure_of_the_service_has_the_shape_of_oauth(
    sqlite_url: str, kind_of_store: type[LocalStore], status: int, error: str
) -> None:
    store = kind_of_store(sqlite_url)
    store.away = True
    transport = httpx.ASGITransport(build_service(store, ScriptedProber()), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport) as http:
        answer = await Caller(http, None).send("POST", TOKEN, data=FORM)

    await store.close()

    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert set(answer.json()) == {"error", "error_description"}
    assert CANARY not in answer.text


@pytest.mark.parametrize("missing", ["username", "password"])
async def test_nothing_of_a_refused_login_is_kept(api: Caller, missing: str) -> None:
    """The frames that an exception was raised in have the form in them, password and all."""
    for _ in range(3):
        await api(None).send("POST", TOKEN, data=form({"password": CANARY, missing: None}))
    gc.collect()

    assert [kept for kept in gc.get_objects() if isinstance(kept, TokenRequest)] == []


async def test_three_refused_logins_in_a_row_lock_nobody_out(api: Caller) -> None:
    """A2: a rejected call makes version 1.9.1 ask for a token three times."""
    for _ in range(3):
        await api(None).send("POST", TOKEN, data=form({"password": "wrong"}))

    assert (await api(None).send("POST", TOKEN, data=FORM)).status_code == 200
