"""What holds for every dialect."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from mailsettings.dialects import DIALECTS
from mailsettings.dialects.checkmarx.examples import STARTTLS
from mailsettings.dialects.oracle_analytics.examples import CUSTOM_CERTIFICATE, NO_AUTH, OAUTH2, USERNAME_PASSWORD
from mailsettings.domain.errors import MailSettingsError
from mailsettings.site.audit import AUDIT
from mailsettings.web.dialect import Dialect
from mailsettings.web.refusals import RequestRefused

from fakes import InMemoryStore, ScriptedProber
from service import BASE_URL, MAIL_SERVER, SMTP_SETTINGS, TOKEN, Caller, build_service

OPERATIONS: list[tuple[str, str, Any, str]] = [
    ("GET", MAIL_SERVER, None, "read"),
    ("PUT", MAIL_SERVER, NO_AUTH, "write"),
    ("DELETE", MAIL_SERVER, None, "write"),
    ("GET", SMTP_SETTINGS, None, "read"),
    ("POST", SMTP_SETTINGS, STARTTLS, "write"),
    ("GET", f"{SMTP_SETTINGS}/1", None, "read"),
    ("PUT", f"{SMTP_SETTINGS}/1", STARTTLS, "write"),
    ("DELETE", f"{SMTP_SETTINGS}/1", None, "write"),
    ("POST", f"{SMTP_SETTINGS}/testconnection", STARTTLS, "test"),
]
STRANGE = [
    ("GET", f"{MAIL_SERVER}/x"),
    ("PATCH", MAIL_SERVER),
    ("GET", "/api/20210901/nothing"),
    ("GET", "/cxrestapi/auth/nothing"),
    ("PATCH", SMTP_SETTINGS),
    ("PUT", MAIL_SERVER),
    ("POST", SMTP_SETTINGS),
]
OPERATION = pytest.mark.parametrize(
    ("method", "path", "body", "needed"), OPERATIONS, ids=[f"{method} {path}" for method, path, *_ in OPERATIONS]
)


def has_the_vendors_shape(answer: httpx.Response) -> bool:
    if answer.request.url.path == TOKEN:
        members = {"error", "error_description"}
    else:
        members = {"code", "message"} if answer.request.url.path.startswith("/api/") else {"message"}
    content = answer.json()
    return set(content) == members and all(isinstance(value, str) and value for value in content.values())


@pytest.fixture
def kind() -> str:
    """One database is enough here: what is told apart is the requests."""
    return "sqlite"


@pytest.mark.parametrize(
    ("method", "path"), [*((method, path) for method, path, *_ in OPERATIONS), *STRANGE], ids=lambda part: part
)
async def test_without_a_token_everything_is_a_401(api: Caller, method: str, path: str) -> None:
    """Case 36. An unknown path, a wrong method and a body that is no JSON tell a stranger nothing either."""
    answer = await api(None).send(method, path, content=b"{" if method in {"PUT", "POST"} else None)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert has_the_vendors_shape(answer)


@pytest.mark.parametrize("path", [MAIL_SERVER, SMTP_SETTINGS])
@pytest.mark.parametrize(
    ("authorization", "error"),
    [
        ("Bearer garbage", True),
        ("bearer garbage", True),
        ("Bearer ", False),
        ("Bearer", False),
        ("", False),
        ("Basic YWRtaW46eA==", True),
        ("Bearer ü", True),
        (f"Bearer {'x' * 9000}", True),
    ],
)
async def test_a_bad_token_is_a_401(api: Caller, path: str, authorization: str, error: bool) -> None:
    """Case 36."""
    answer = await api(None).send("GET", path, headers={"Authorization": authorization.encode("latin-1")})  # type: ignore[dict-item]  # httpx takes bytes

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == ('Bearer error="invalid_token"' if error else "Bearer")
    assert has_the_vendors_shape(answer)
    assert "garbage" not in answer.text


@pytest.mark.parametrize("path", [MAIL_SERVER, SMTP_SETTINGS])
async def test_two_authorization_headers_are_ambiguous(api: Caller, path: str) -> None:
    headers = [("Authorization", "Bearer admin"), ("Authorization", "Bearer stranger")]

    answer = await api.http.get(BASE_URL + path, headers=headers)

    assert answer.status_code == 400
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_request"'
    assert has_the_vendors_shape(answer)


@pytest.mark.parametrize("path", [MAIL_SERVER, SMTP_SETTINGS])
async def test_a_token_in_the_query_does_not_count(api: Caller, path: str) -> None:
    assert (await api(None).send("GET", f"{path}?access_token=admin")).status_code == 401


@OPERATION
@pytest.mark.parametrize("who", ["reader", "stranger"])
async def test_without_the_permission_it_is_a_403_before_the_body_is_looked_at(
    api: Caller, who: str, method: str, path: str, body: Any, needed: str
) -> None:
    answer = await api(who).send(method, path, content=b"{" if body else None)

    if (who, needed) == ("reader", "read"):
        assert answer.status_code in {200, 404}
        return
    assert answer.status_code == 403
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope"'
    assert has_the_vendors_shape(answer)


@pytest.mark.parametrize(
    ("method", "path", "names"),
    [
        ("GET", MAIL_SERVER, "bi-service-administrator"),
        ("GET", SMTP_SETTINGS, "manage-system-settings or view-mail-settings"),
        ("DELETE", f"{SMTP_SETTINGS}/1", "manage-system-settings"),
        ("GET", "/audit", "view-audit-log"),
        ("GET", "/metrics", "view-metrics"),
    ],
)
async def test_a_403_names_what_can_be_granted(api: Caller, method: str, path: str, names: str) -> None:
    answer = await api("stranger").send(method, path)

    assert (answer.status_code, answer.json()["message"]) == (403, f"This needs the permission {names}.")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (MAIL_SERVER, "GET, HEAD, PUT, DELETE"),
        (SMTP_SETTINGS, "GET, HEAD, POST"),
        (f"{SMTP_SETTINGS}/1", "GET, HEAD, PUT, DELETE"),
        (TOKEN, "POST"),
    ],
)
@pytest.mark.parametrize("method", ["PATCH", "OPTIONS", "TRACE"])
async def test_a_wrong_method_is_a_405_that_names_the_right_ones(
    api: Caller, method: str, path: str, allowed: str
) -> None:
    answer = await api.send(method, path)

    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
    assert has_the_vendors_shape(answer)


@pytest.mark.parametrize(
    "path", ["/api/20210901/nothing", f"{MAIL_SERVER}/x/", "/cxrestapi", "/cxrestapi/auth/x/y"]
)
async def test_an_unknown_path_is_a_404_and_never_a_redirect(api: Caller, path: str) -> None:
    answer = await api.send("GET", path)

    assert answer.status_code == 404
    assert has_the_vendors_shape(answer)


def _all_kinds(kind: type[Exception]) -> Iterator[type[Exception]]:
    for below in kind.__subclasses__():
        yield below
        yield from _all_kinds(below)


@pytest.mark.parametrize("dialect", [*DIALECTS, AUDIT], ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("base", [MailSettingsError, RequestRefused], ids=lambda kind: kind.__name__)
def test_every_error_has_its_row_in_the_table(dialect: Dialect, base: type[Exception]) -> None:
    lacking = [
        kind.__name__
        for kind in _all_kinds(base)
        if not any(above in dialect.errors.answers for above in kind.__mro__ if issubclass(above, base))
    ]

    assert lacking == []


async def test_a_server_stored_by_one_api_is_shown_by_the_other(api: Caller) -> None:
    await api.send("PUT", MAIL_SERVER, json=USERNAME_PASSWORD)
    view = (await api.send("GET", f"{SMTP_SETTINGS}/1")).json()
    await api.send("POST", SMTP_SETTINGS, json=STARTTLS | {"host": "second.example.org"})
    shown = (await api.send("GET", MAIL_SERVER)).json()

    assert view == {
        "id": 1,
        "host": "mail-server.com",
        "port": 587,
        "encryptionType": "Tls",
        "fromAddress": "john.smith@myorg.com",
        "useDefaultCredentials": False,
        "username": "john.smith@myorg.com",
        "displayName": "John Smith",
    }
    assert shown["host"] == "mail-server.com"


async def test_a_server_of_the_list_is_valid_for_the_single_server_api(api: Caller) -> None:
    await api.send("POST", SMTP_SETTINGS, json=STARTTLS | {"password": None, "useDefaultCredentials": True})
    ambient = (await api.send("GET", MAIL_SERVER)).json()
    await api.send("PUT", f"{SMTP_SETTINGS}/1", json=STARTTLS | {"password": ""})
    shown = await api.send("GET", MAIL_SERVER)
    put_back = await api.send("PUT", MAIL_SERVER, json=shown.json())

    assert ambient["auth"] == {"authType": "NO_AUTH"}
    assert shown.json()["sender"]["displayName"] == STARTTLS["fromAddress"]
    assert shown.json()["auth"]["password"] == "*" * 10
    assert put_back.status_code == 200


async def test_the_single_server_is_the_default_and_no_other_takes_its_place(api: Caller) -> None:
    for host in ("first.example.org", "second.example.org"):
        await api.send("POST", SMTP_SETTINGS, json=STARTTLS | {"host": host})
    shown = [(await api.send("GET", MAIL_SERVER)).json()["host"]]
    deleted = [(await api.send("DELETE", MAIL_SERVER)).status_code for _ in range(2)]
    left = [view["id"] for view in (await api.send("GET", SMTP_SETTINGS)).json()]
    await api.send("PUT", MAIL_SERVER, json=NO_AUTH)

    assert shown == ["first.example.org"]
    assert deleted == [200, 404]
    assert left == [2]
    assert [view["id"] for view in (await api.send("GET", SMTP_SETTINGS)).json()] == [2, 3]


async def test_what_one_api_cannot_say_it_leaves_alone(api: Caller) -> None:
    await api.send("PUT", MAIL_SERVER, json=CUSTOM_CERTIFICATE)
    certificate = (await api.send("GET", MAIL_SERVER)).json()["connectionSecurity"]
    view = (await api.send("GET", f"{SMTP_SETTINGS}/1")).json()
    await api.send("PUT", f"{SMTP_SETTINGS}/1", json=view | {"port": 2465})
    await api.send("DELETE", MAIL_SERVER)
    await api.send("PUT", MAIL_SERVER, json=OAUTH2)
    refused = await api.send("PUT", f"{SMTP_SETTINGS}/2", json=STARTTLS | {"password": None})

    assert certificate["tlsCertificateDetails"]["certificateType"] == "CUSTOM_TLS_CERTIFICATE"
    assert refused.status_code == 400
    assert (await api.send("GET", MAIL_SERVER)).json()["auth"]["authType"] == "OAUTH2_AUTH"


async def test_a_certificate_survives_a_change_by_the_api_that_does_not_know_it(api: Caller) -> None:
    await api.send("PUT", MAIL_SERVER, json=CUSTOM_CERTIFICATE)
    before = (await api.send("GET", MAIL_SERVER)).json()
    view = (await api.send("GET", f"{SMTP_SETTINGS}/1")).json()

    replaced = await api.send("PUT", f"{SMTP_SETTINGS}/1", json=view | {"port": 2465})

    assert replaced.status_code == 204
    assert (await api.send("GET", MAIL_SERVER)).json() == before | {"port": 2465}


@pytest.mark.parametrize("path", [MAIL_SERVER, SMTP_SETTINGS, f"{SMTP_SETTINGS}/1"])
async def test_settings_are_not_to_be_kept_by_anybody_on_the_way(api: Caller, path: str) -> None:
    await api.send("PUT", MAIL_SERVER, json=NO_AUTH)

    assert (await api.send("GET", path)).headers["Cache-Control"] == "no-store"


async def answer_of(service: Any, method: str, path: str, body: Any) -> httpx.Response:
    transport = httpx.ASGITransport(service, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport) as http:
        return await Caller(http).send(method, path, json=body)


@OPERATION
async def test_without_the_database_it_is_a_503_that_says_when_to_come_back(
    method: str, path: str, body: Any, needed: str
) -> None:
    """Case 40."""
    if needed == "test":
        return  # a test of given settings needs no database
    answer = await answer_of(build_service(InMemoryStore(away=True), ScriptedProber()), method, path, body)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert has_the_vendors_shape(answer)


class BrokenStore(InMemoryStore):
    def reading(self) -> Any:
        raise RuntimeError("canary-4b1d")

    writing = reading


@pytest.mark.parametrize("path", [MAIL_SERVER, SMTP_SETTINGS])
async def test_a_mistake_of_ours_is_a_500_that_shows_nothing_of_itself(path: str) -> None:
    answer = await answer_of(build_service(BrokenStore(), ScriptedProber()), "GET", path, None)

    assert answer.status_code == 500
    assert has_the_vendors_shape(answer)
    assert "canary" not in answer.text
