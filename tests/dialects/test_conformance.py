"""What holds for every dialect that exists; the operations are read from its routes."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from mailsettings.dialects import DIALECTS
from mailsettings.domain.access import Permission
from mailsettings.domain.errors import MailSettingsError, PermissionDenied
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, PasswordAuthentication, Sender
from mailsettings.domain.values import Secret
from mailsettings.site.audit import AUDIT
from mailsettings.store.database import SQLStore
from mailsettings.web.dialect import Dialect
from mailsettings.web.errors import ProblemDetails
from mailsettings.web.request_errors import FieldError, RequestError

from support.databases import LocalStore
from support.fakes import ScriptedProber
from support.named import store_named
from support.operations import OPERATIONS, Operation, reading
from support.service import BASE_URL, Caller, build_service

BEHIND_A_TOKEN = [operation for operation in OPERATIONS if not operation.is_open]
PATHS = {operation.path: operation.dialect for operation in OPERATIONS}
METHODS = ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE")
SERVER = MailServer(
    *("mail.example.org", 587, ConnectionSecurity.STARTTLS, Sender("sender@example.org", "Sender")),
    PasswordAuthentication("sender", Secret("correct horse")),
)

WITHOUT_DATABASE = {"list_settings"}
"""Operations that read nothing from the database."""
BEHIND_A_PERMISSION = [operation for operation in BEHIND_A_TOKEN if operation.permission is not None]
each_operation = pytest.mark.parametrize("operation", BEHIND_A_TOKEN, ids=str)
each_with_permission = pytest.mark.parametrize("operation", BEHIND_A_PERMISSION, ids=str)
each_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)


def has_the_vendors_shape(answer: httpx.Response, dialect: Dialect) -> bool:
    """Whether the body has the members of this API's refusals, each of them a text."""
    style = dialect.errors.at(answer.request.url.path)
    content = answer.json()
    about = FieldError("body", ("host",), "host is missing.", "missing")
    shapes = [
        {name: type(value) for name, value in style.body(sample).items()}
        for fields in ((), (about,))
        for sample in [ProblemDetails(400, "", "A sentence.", fields, "id")]
    ]
    return {name: type(value) for name, value in content.items()} in shapes and all(content.values())


@pytest.fixture
def kind() -> str:
    """One database is enough: the cases differ only in their requests."""
    return "sqlite"


@each_operation
@pytest.mark.parametrize("change", ["nothing", "method", "path"])
async def test_without_a_token_everything_is_a_401(api: Caller, operation: Operation, change: str) -> None:
    """Case 36. An unknown path, a wrong method and a body that is no JSON tell a stranger nothing either."""
    method = "TRACE" if change == "method" else operation.method
    path = f"{operation.path}/nothing/here" if change == "path" else operation.path

    answer = await api(None).send(method, path, content=None if operation.body is None else b"{")

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert has_the_vendors_shape(answer, operation.dialect)


@each_dialect
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
async def test_a_bad_token_is_a_401(api: Caller, dialect: Dialect, authorization: str, error: bool) -> None:
    """Case 36."""
    headers = {"Authorization": authorization.encode("latin-1")}
    answer = await api(None).send("GET", reading(dialect).path, headers=headers)  # type: ignore[arg-type]  # httpx takes bytes

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == ('Bearer error="invalid_token"' if error else "Bearer")
    assert has_the_vendors_shape(answer, dialect)
    assert "garbage" not in answer.text


@each_dialect
async def test_two_authorization_headers_are_ambiguous(api: Caller, dialect: Dialect) -> None:
    headers = [("Authorization", "Bearer admin"), ("Authorization", "Bearer stranger")]

    answer = await api.http.get(BASE_URL + reading(dialect).path, headers=headers)

    assert answer.status_code == 400
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_request"'
    assert has_the_vendors_shape(answer, dialect)


@each_dialect
async def test_a_token_in_the_query_does_not_count(api: Caller, dialect: Dialect) -> None:
    path = f"{reading(dialect).path}?access_token=admin"

    assert (await api(None).send("GET", path)).status_code == 401


@each_with_permission
@pytest.mark.parametrize("who", ["reader", "stranger"])
async def test_without_the_permission_it_is_a_403_before_body(api: Caller, operation: Operation, who: str) -> None:
    body = None if operation.body is None else b"{"
    answer = await api(who).send(operation.method, operation.path, content=body)

    if (who, operation.permission) == ("reader", Permission.MAIL_SERVERS_READ):
        assert answer.status_code in {200, 404}
        return
    assert answer.status_code == 403
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope"'
    assert has_the_vendors_shape(answer, operation.dialect)


@each_with_permission
async def test_a_403_names_what_an_administrator_can_grant(api: Caller, operation: Operation) -> None:
    grants = operation.dialect.grants
    names = [name for name, allowed in grants.items() if operation.permission in allowed]

    answer = await api("stranger").send(operation.method, operation.path)

    style = operation.dialect.errors
    sentence = f"This needs the permission {' or '.join(names)}."
    assert names
    refusal = style.answer_to(PermissionDenied)
    request_id = answer.headers["X-Request-ID"]
    assert answer.json() == style.body(
        ProblemDetails(refusal.status, refusal.code, sentence, request_id=request_id)
    )


@pytest.mark.parametrize("path", PATHS)
async def test_wrong_method_is_a_405_with_the_right_methods(api: Caller, path: str) -> None:
    """RFC 9110 15.5.6, and 9.1 for HEAD."""
    own = {operation.method for operation in OPERATIONS if operation.path == path}
    allowed = [method for method in METHODS if method in own or (method == "HEAD" and "GET" in own)]
    wrong = {*METHODS, "OPTIONS", "TRACE", "PROPFIND"} - {*allowed}

    answers = {method: await api.send(method, path) for method in wrong}

    told = {method: (answer.status_code, answer.headers["Allow"]) for method, answer in answers.items()}
    assert dict.fromkeys(wrong, (405, ", ".join(allowed))) == told
    assert all(has_the_vendors_shape(answers[method], PATHS[path]) for method in wrong - {"HEAD"})


@pytest.mark.parametrize("path", PATHS)
async def test_unknown_path_is_a_404_and_never_a_redirect(api: Caller, path: str) -> None:
    answers = [await api.send("GET", f"{path}/nothing/here{end}") for end in ("", "/")]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert all(has_the_vendors_shape(answer, PATHS[path]) for answer in answers)


def _all_kinds(kind: type[Exception]) -> Iterator[type[Exception]]:
    for below in kind.__subclasses__():
        yield below
        yield from _all_kinds(below)


@pytest.mark.parametrize("dialect", [*DIALECTS, AUDIT], ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("base", [MailSettingsError, RequestError], ids=lambda kind: kind.__name__)
def test_every_error_has_its_row_in_the_table(dialect: Dialect, base: type[Exception]) -> None:
    answers = {kind.__name__: dialect.errors.answer_to(kind) for kind in _all_kinds(base)}

    assert [name for name, answer in answers.items() if answer.status == 500] == []
    assert [name for name, answer in answers.items() if dialect.errors.codes and not answer.code] == []


NEEDS_A_RELAY = "test_device"
"""The operation that is a 409 where no relay runs."""


@each_operation
async def test_no_answer_is_to_be_kept_on_the_way(api: Caller, store: SQLStore, operation: Operation) -> None:
    """RFC 9111 5.2.2.5."""
    async with store.writing() as work:
        for as_default in (False, True):
            number = await work.mail_servers.add(SERVER, as_default=as_default)
            await work.mail_servers.replace(number, replace(SERVER, port=25))

    await store_named(store)

    answer = await api(operation.token).send(operation.method, operation.path, json=operation.body)

    assert answer.status_code < 400 or operation.id == NEEDS_A_RELAY
    assert answer.headers.get("Cache-Control", "no-store") == "no-store"
    assert "Cache-Control" in answer.headers or not answer.content


async def answer_of(service: Any, operation: Operation) -> httpx.Response:
    transport = httpx.ASGITransport(service, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport) as http:
        return await Caller(http).send(operation.method, operation.path, json=operation.body)


@pytest.mark.parametrize(
    "operation", [each for each in BEHIND_A_PERMISSION if each.id not in WITHOUT_DATABASE], ids=str
)
async def test_without_database_it_is_a_503_with_retry_after(
    operation: Operation, local_store: LocalStore
) -> None:
    """Case 40."""
    local_store.away = True
    answer = await answer_of(build_service(local_store, ScriptedProber()), operation)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert has_the_vendors_shape(answer, operation.dialect)


class BrokenStore(LocalStore):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.cache = self._uncached  # reads through `reading`

    def reading(self) -> Any:
        raise RuntimeError("canary-4b1d")

    writing = reading


@each_dialect
async def test_an_unexpected_error_is_a_500_without_details(dialect: Dialect, sqlite_url: str) -> None:
    answer = await answer_of(build_service(BrokenStore(sqlite_url), ScriptedProber()), reading(dialect))

    assert answer.status_code == 500
    assert has_the_vendors_shape(answer, dialect)
    assert "canary" not in answer.text
