"""What every route says to methods it does not have, to slashes, and to browsers of other sites."""

from typing import Any

import httpx
import pytest

from mailsettings.dialects.checkmarx.examples import STARTTLS
from mailsettings.dialects.oracle_analytics.examples import NO_AUTH

from support.databases import LocalStore
from support.service import MAIL_SERVER, SMTP_SETTINGS, TOKEN, Caller

ROUTES = {
    MAIL_SERVER: "GET, HEAD, PUT, DELETE",
    f"{MAIL_SERVER}/actions/test": "POST",
    SMTP_SETTINGS: "GET, HEAD, POST",
    f"{SMTP_SETTINGS}/1": "GET, HEAD, PUT, DELETE",
    f"{SMTP_SETTINGS}/testconnection": "POST",
    TOKEN: "POST",
}
PAGES = [
    "/",
    "/docs",
    "/docs/docs.js",
    "/openapi.json",
    "/openapi/checkmarx.json",
    "/health/live",
    "/health/ready",
]
OTHER_METHODS = ["OPTIONS", "TRACE", "PATCH"]
OTHER_SITE = {"Origin": "https://evil.test"}


@pytest.fixture
def store(local_store: LocalStore) -> LocalStore:
    """These tests do not depend on the kind of database."""
    return local_store


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("method", OTHER_METHODS)
async def test_an_unsupported_method_is_a_401_then_a_405(api: Caller, method: str, path: str) -> None:
    """Case 10."""
    stranger = await api(None).send(method, path)
    known = await api.send(method, path)

    assert stranger.status_code == (405 if path == TOKEN else 401)
    assert (known.status_code, known.headers["Allow"]) == (405, ROUTES[path])


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("method", [*OTHER_METHODS, "POST", "PUT", "DELETE"])
async def test_a_page_can_only_be_read(api: Caller, method: str, path: str) -> None:
    """Case 10."""
    answer = await api(None).send(method, path)

    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert set(answer.json()) == {"message"}


@pytest.mark.parametrize("path", [*ROUTES, *PAGES[1:]])
async def test_a_last_slash_is_never_a_redirect(api: Caller, path: str) -> None:
    """Case 10: a redirect would go to whatever the Host header says, with the body and its password."""
    answer = await api.send("GET", f"{path}/", headers={"Host": "evil.test"})

    assert answer.status_code in {200, 400, 404, 405}
    assert "location" not in answer.headers


@pytest.mark.parametrize("path", [*ROUTES, *PAGES, "/nothing"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS", "POST"])
@pytest.mark.parametrize("token", ["admin", None])
async def test_pages_of_other_sites_are_given_no_permission(
    api: Caller, method: str, path: str, token: str | None
) -> None:
    preflight = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization"}

    answer = await api(token).send(method, path, headers=OTHER_SITE | preflight)

    assert [name for name in answer.headers if name.startswith("access-control")] == []
    assert method != "OPTIONS" or answer.status_code in {401, 404, 405}
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]


CALLS: list[tuple[str, str, Any]] = [
    ("GET", MAIL_SERVER, None),
    ("GET", SMTP_SETTINGS, None),
    ("GET", f"{SMTP_SETTINGS}/1", None),
    ("GET", f"{SMTP_SETTINGS}/99", None),
    ("GET", f"{SMTP_SETTINGS}/x", None),
    ("PUT", MAIL_SERVER, {}),
    ("POST", SMTP_SETTINGS, STARTTLS | {"port": 0}),
    ("POST", f"{SMTP_SETTINGS}/testconnection", []),
    ("PATCH", SMTP_SETTINGS, None),
    ("POST", TOKEN, None),
]


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
@pytest.mark.parametrize("token", ["admin", "stranger", None])
async def test_settings_and_errors_are_not_cached(
    api: Caller, method: str, path: str, body: Any, token: str | None
) -> None:
    """Case 13."""
    await api.send("PUT", MAIL_SERVER, json=NO_AUTH)

    answer = await api(token).send(method, path, json=body)

    assert answer.headers.get_list("cache-control") == ["no-store"]


@pytest.mark.parametrize("path", ["/docs", "/docs/docs.js", "/docs/docs.css"])
async def test_the_page_sends_no_referrer_and_allows_no_frame(api: Caller, path: str) -> None:
    headers = (await api(None).send("GET", path)).headers

    assert (headers["referrer-policy"], headers["x-frame-options"]) == ("no-referrer", "DENY")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize(("scheme", "there"), [("https", True), ("http", False)])
@pytest.mark.parametrize("path", [MAIL_SERVER, SMTP_SETTINGS, "/docs", "/nothing"])
async def test_browsers_that_use_https_stay_on_https(api: Caller, path: str, scheme: str, there: bool) -> None:
    answer = await api.http.get(f"{scheme}://service.test{path}")

    assert ("strict-transport-security" in answer.headers) is there


@pytest.mark.parametrize("query", ["access_token=admin", "access_token=admin&access_token=admin"])
async def test_a_token_in_the_query_is_none(api: Caller, query: str) -> None:
    """Case 36."""
    answer = await api(None).send("GET", f"{SMTP_SETTINGS}?{query}")

    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("path", [MAIL_SERVER, SMTP_SETTINGS])
async def test_two_equal_authorization_headers_are_a_400(api: Caller, path: str) -> None:
    """Case 36."""
    headers = [("Authorization", "Bearer admin")] * 2

    answer = await api.http.get(f"http://service.test{path}", headers=httpx.Headers(headers))

    assert answer.status_code == 400
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_request"'
