"""Which spellings of a path lead to the same operation, and which lead to none."""

import pytest

from mailsettings.dialects.checkmarx.examples import STARTTLS
from mailsettings.dialects.oracle_analytics.examples import NO_AUTH
from mailsettings.web.normalization import ascii_lower, paths_below, routable_path, segments

from support.databases import LocalStore
from support.service import MAIL_SERVER, SMTP_SETTINGS, TOKEN, Caller

KELVIN = "\u212a"
"""A sign that `str.lower` turns into the letter k."""


@pytest.fixture
def store(local_store: LocalStore) -> LocalStore:
    """These tests do not depend on the kind of database."""
    return local_store


@pytest.mark.parametrize(
    "path",
    [
        *(f"/{MAIL_SERVER}", f"{MAIL_SERVER}/", f"{MAIL_SERVER}//", MAIL_SERVER.replace("/", "//")),
        *(f"/{SMTP_SETTINGS}/1", f"{SMTP_SETTINGS}//1", f"{SMTP_SETTINGS}/1/", SMTP_SETTINGS.replace("/", "//")),
        *("//audit", "/audit/", "//metrics", "/metrics/"),
    ],
)
async def test_doubled_slashes_and_a_last_one_add_nothing(api: Caller, path: str) -> None:
    """Contract C15: base URLs that end with a slash."""
    await api.send("PUT", MAIL_SERVER, json=NO_AUTH)

    assert (await api.send("GET", path)).status_code == 200


@pytest.mark.parametrize("path", ["//api/20210901/nothing", "/api//20210901/", f"/{MAIL_SERVER}/x/"])
async def test_errors_under_doubled_slashes_have_the_shape_of_api(api: Caller, path: str) -> None:
    stranger, admin = await api(None).send("GET", path), await api.send("GET", path)

    assert (stranger.status_code, set(stranger.json())) == (401, {"code", "message"})
    assert (admin.status_code, set(admin.json())) == (404, {"code", "message"})


async def test_a_put_under_a_last_slash_stores(api: Caller) -> None:
    put = await api.send("PUT", f"{MAIL_SERVER}/", json=NO_AUTH)
    created = await api.send("POST", f"/{SMTP_SETTINGS}/", json=STARTTLS)

    assert (put.status_code, created.status_code) == (200, 201)


@pytest.mark.parametrize(
    "path",
    [
        *(MAIL_SERVER.replace("mail/", f"mail{slash}") for slash in ("%2F", "%2f")),
        *(f"/api%2F20210901{MAIL_SERVER[len('/api/20210901') :]}", f"%2F{MAIL_SERVER}", f"{MAIL_SERVER}%2F"),
        *(f"{SMTP_SETTINGS}%2F1", "/cxrestapi%2Fauth/SMTPSettings/1", f"{SMTP_SETTINGS}/%2F1"),
        *("/docs%2Fdocs.js", "/openapi%2Fcheckmarx.json", "/health%2Flive", "/%2Faudit", "%2Fmetrics"),
        *(f"{SMTP_SETTINGS}/..%2FSMTPSettings", "/docs/..%2Fdocs"),
    ],
)
async def test_an_encoded_slash_separates_nothing(api: Caller, path: str) -> None:
    """A proxy that allows or denies paths sees another path than the route would."""
    await api.send("PUT", MAIL_SERVER, json=NO_AUTH)
    answer = await api.send("GET", path if path.startswith("/") else f"/{path}")

    assert answer.status_code in {400, 404}


async def test_a_login_under_an_encoded_slash_is_refused(api: Caller) -> None:
    form = {"grant_type": "password", "username": "admin", "password": "correct horse"}
    answer = await api(None).send("POST", TOKEN.replace("connect/", "connect%2F"), data=form)

    assert answer.status_code == 401


@pytest.mark.parametrize("path", [f"{SMTP_SETTINGS.replace('/S', '/%53')}/1", f"{SMTP_SETTINGS}/%31"])
async def test_other_characters_may_be_encoded(api: Caller, path: str) -> None:
    """RFC 3986 6.2.2.2."""
    await api.send("PUT", MAIL_SERVER, json=NO_AUTH)

    assert (await api.send("GET", path)).status_code == 200


async def test_only_ascii_letters_have_two_cases(api: Caller) -> None:
    form = {"grant_type": "password", "username": "admin", "password": "correct horse"}
    upper = await api(None).send("POST", TOKEN.upper(), data=form)
    kelvin = await api(None).send("POST", TOKEN.replace("k", KELVIN), data=form)

    assert (upper.status_code, kelvin.status_code) == (200, 401)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", [f"{SMTP_SETTINGS}/testconnection", f"{SMTP_SETTINGS.lower()}/TestConnection/"])
async def test_the_connection_test_is_no_id(api: Caller, method: str, path: str) -> None:
    answer = await api.send(method, path, json=STARTTLS if method == "PUT" else None)

    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_only_a_to_z_are_lowered() -> None:
    assert ascii_lower(f"AZaz09{KELVIN}\u0130\u00c5") == f"azaz09{KELVIN}\u0130\u00c5"


@pytest.mark.parametrize(
    ("raw", "path"),
    [(b"/a%20b", "/a b"), (b"/a%2Fb%2fc", "/a%2Fb%2Fc"), (b"/%252F", "/%2F"), (b"/%C3%BC", "/\u00fc")],
)
def test_a_path_is_decoded_except_for_slashes(raw: bytes, path: str) -> None:
    assert routable_path(raw) == path


def test_an_api_has_its_prefix_and_all_below() -> None:
    match_path = paths_below("/a/b")

    assert [match_path(path) for path in ("/a/b", "//a//b/c/", "/a/bc", "/a", "/A/b")] == ["/a/b", "/a/b/c"] + [
        None
    ] * 3
    assert segments("") == []
