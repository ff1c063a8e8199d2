"""Content types: JSON is read, with the parameters it may have, and nothing else is."""

import gzip
import json

import httpx
import pytest

from mailsettings.dialects.checkmarx.examples import STARTTLS
from mailsettings.dialects.oracle_analytics.examples import NO_AUTH, USERNAME_PASSWORD

from support.databases import LocalStore
from support.service import BASE_URL, MAIL_SERVER, SMTP_SETTINGS, TOKEN, Caller

CANARY = "canary-7c21a9d3"
FORM = "application/x-www-form-urlencoded"
TYPES = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
TYPES += ["application/jsonp", "application/xml", "application/json, text/plain", "text/x+json"]


@pytest.fixture
def store(local_store: LocalStore) -> LocalStore:
    """These tests do not depend on the kind of database."""
    return local_store


@pytest.mark.parametrize("content_type", [*TYPES, None])
@pytest.mark.parametrize(("method", "path"), [("PUT", MAIL_SERVER), ("POST", SMTP_SETTINGS)])
async def test_body_of_another_type_is_a_415_without_echo(
    api: Caller, method: str, path: str, content_type: str | None
) -> None:
    """Case 7. Checkmarx' clients may leave Content-Type out, as one of them does."""
    body = USERNAME_PASSWORD if path == MAIL_SERVER else STARTTLS
    headers = {"Content-Type": content_type} if content_type else {}

    answer = await api.send(method, path, content=json.dumps(body | {"x": CANARY}).encode(), headers=headers)

    expected = 201 if path == SMTP_SETTINGS and content_type is None else 415
    assert answer.status_code == expected
    assert CANARY not in answer.text


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json;v=1.0",
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "application/vnd.x+json",
        "text/json",
    ],
)
@pytest.mark.parametrize(("method", "path"), [("PUT", MAIL_SERVER), ("POST", SMTP_SETTINGS)])
async def test_json_with_parameters_is_json(api: Caller, method: str, path: str, content_type: str) -> None:
    """Case 7."""
    body = NO_AUTH if path == MAIL_SERVER else STARTTLS

    answer = await api.send(
        method, path, content=json.dumps(body).encode(), headers={"Content-Type": content_type}
    )

    assert answer.is_success


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "GZIP", "identity, gzip", "x"])
@pytest.mark.parametrize(("method", "path"), [("PUT", MAIL_SERVER), ("POST", SMTP_SETTINGS), ("POST", TOKEN)])
async def test_a_compressed_body_is_a_415(api: Caller, method: str, path: str, coding: str) -> None:
    """RFC 9110 15.5.16: the answer says which codings are read."""
    content = gzip.compress(json.dumps(NO_AUTH).encode())
    headers = {"Content-Type": FORM if path == TOKEN else "application/json", "Content-Encoding": coding}

    answer = await api.send(method, path, content=content, headers=headers)

    assert (answer.status_code, answer.headers["Accept-Encoding"]) == (415, "identity")
    assert "Content-Encoding" in answer.text


async def test_a_body_that_is_not_compressed_may_say_so(api: Caller) -> None:
    answer = await api.send("PUT", MAIL_SERVER, json=NO_AUTH, headers={"Content-Encoding": "identity"})

    assert answer.status_code == 200


async def test_two_content_types_are_a_415_unless_they_agree(api: Caller) -> None:
    def headers(other: str) -> httpx.Headers:
        return httpx.Headers(
            [("Authorization", "Bearer admin"), ("Content-Type", "application/json"), ("Content-Type", other)]
        )

    statuses = [
        (
            await api.http.put(BASE_URL + MAIL_SERVER, content=json.dumps(NO_AUTH), headers=headers(other))
        ).status_code
        for other in ("text/plain", "application/json; charset=utf-8")
    ]

    assert statuses == [415, 200]
