"""Bodies made to break a reader: a 4xx in the API's own shape, nothing repeated, nothing stored."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from service import BASE_URL, MAIL_SERVER, SMTP_SETTINGS, Caller

CANARY = "canary-90ac5e1f"
ORACLE: dict[str, Any] = {
    "host": "mail-server.com",
    "port": 25,
    "sender": {"displayName": "John Smith", "emailAddress": "john.smith@myorg.com"},
    "auth": {"authType": "USERNAME_PASSWORD_AUTH", "username": "u", "password": CANARY},
    "connectionSecurity": {"connectionSecurityType": "NO_CONNECTION_SECURITY"},
}
CHECKMARX: dict[str, Any] = {
    "host": "mail-server.com",
    "port": 25,
    "fromAddress": "john.smith@myorg.com",
    "username": "u",
    "password": CANARY,
    "displayName": "John Smith",
    "encryptionType": "None",
}
TARGETS = {
    "oracle": ("PUT", MAIL_SERVER, ORACLE),
    "checkmarx create": ("POST", SMTP_SETTINGS, CHECKMARX),
    "checkmarx replace": ("PUT", f"{SMTP_SETTINGS}/1", CHECKMARX),
    "checkmarx test": ("POST", f"{SMTP_SETTINGS}/testconnection", CHECKMARX),
}
TARGET = pytest.mark.parametrize("target", TARGETS)
HEADERS = {"Content-Type": "application/json"}


@pytest.fixture
async def stored(api: Caller) -> AsyncIterator[Caller]:
    """Something is stored before, and is the same afterwards."""
    await api.send("PUT", MAIL_SERVER, json=ORACLE | {"port": 2525})
    before = (await api.send("GET", SMTP_SETTINGS)).json()
    yield api
    assert (await api.send("GET", SMTP_SETTINGS)).json() == before


def require_refused(answer: httpx.Response, *statuses: int) -> None:
    assert answer.status_code in statuses, (answer.status_code, answer.text[:300])
    members = {"code", "message"} if answer.request.url.path.startswith("/api/") else {"message"}
    assert set(answer.json()) == members
    assert CANARY not in answer.text
    assert "detail" not in answer.json()


def whole_bodies(body: dict[str, Any]) -> dict[str, bytes]:
    text = json.dumps(body)
    inside = text[:-1]
    return {
        "empty": b"",
        "truncated": text[:-5].encode(),
        "an array": f"[{text}]".encode(),
        "a string": json.dumps(text).encode(),
        "a number": b"1",
        "null": b"null",
        "NaN": f'{inside},"x":NaN}}'.encode(),
        "Infinity": f'{inside},"x":-Infinity}}'.encode(),
        "1e400": f'{inside},"x":1e400}}'.encode(),
        "5000 digits": f'{inside},"x":{"9" * 5000}}}'.encode(),
        "twice": f'{inside},"host":"other.example.org"}}'.encode(),
        "nested twice": f'{inside},"x":{{"a":1,"a":2}}}}'.encode(),
        "deep": f'{inside},"x":{"[" * 17}{"]" * 17}}}'.encode(),
        "deeper": f'{inside},"x":{"[" * 1100}{"]" * 1100}}}'.encode(),
        "deepest": b"[" * 60000,
        "NUL elsewhere": f'{inside},"x":"\\u0000"}}'.encode(),
        "surrogate elsewhere": f'{inside},"x":"\\ud800"}}'.encode(),
        "UTF-16": text.encode("utf-16"),
        "BOM": b"\xef\xbb\xbf" + text.encode(),
        "not UTF-8": text.encode().replace(b"mail-server", b"mail-\xff\xfeserver"),
    }


@TARGET
@pytest.mark.parametrize("name", whole_bodies(ORACLE))
async def test_a_body_that_two_readers_could_read_differently_is_refused(
    stored: Caller, target: str, name: str
) -> None:
    method, path, body = TARGETS[target]

    answer = await stored.send(method, path, content=whole_bodies(body)[name], headers=HEADERS)

    require_refused(answer, 400)


@TARGET
@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "with its length"])
@pytest.mark.parametrize("size", [64 * 1024 + 1, 1024 * 1024], ids=["a byte too long", "a megabyte"])
async def test_a_body_that_is_too_long_is_refused(stored: Caller, target: str, streamed: bool, size: int) -> None:
    method, path, body = TARGETS[target]
    content = json.dumps(body).encode().ljust(size)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 4096):
            yield content[start : start + 4096]

    answer = await stored.http.request(
        method,
        BASE_URL + path,
        content=pieces() if streamed else content,
        headers=HEADERS | {"Authorization": "Bearer admin"},
    )

    require_refused(answer, 413)


@TARGET
async def test_a_body_of_just_the_longest_length_is_read(api: Caller, target: str) -> None:
    method, path, body = TARGETS[target]
    await api.send("PUT", MAIL_SERVER, json=ORACLE)

    answer = await api.send(method, path, content=json.dumps(body).encode().ljust(64 * 1024), headers=HEADERS)

    assert answer.is_success, answer.text


TEXTS = {
    "oracle": ["host", "sender.displayName", "sender.emailAddress", "auth.username", "auth.password"],
    **{
        name: ["host", "fromAddress", "username", "password", "displayName"]
        for name in TARGETS
        if name.startswith("checkmarx")
    },
}
BAD_TEXTS = {
    "NUL": '"a\\u0000b"',
    "line break": '"a\\r\\nRCPT TO:<x>bcdef"',
    "half a pair": '"abcdefgh\\ud800"',
    "line separator": '"abcdefgh\\u2028"',
    "too long": json.dumps("x" * 1000),
    "a number": "1",
    "true": "true",
    "an array": '["x"]',
    "an object": '{"x":1}',
}


@pytest.mark.parametrize(
    ("target", "member"), [(target, member) for target, members in TEXTS.items() for member in members]
)
@pytest.mark.parametrize("bad", BAD_TEXTS)
async def test_a_text_that_is_none_is_refused_by_name(stored: Caller, target: str, member: str, bad: str) -> None:
    method, path, body = TARGETS[target]
    content = with_raw(body, member, BAD_TEXTS[bad])

    answer = await stored.send(method, path, content=content, headers=HEADERS)

    require_refused(answer, 400)
    assert member in answer.json()["message"]


NUMBERS = ["0", "-1", "65536", "1.5", "1e3", "99999999999999999999", "true", "null", '""', '"x"', "[]", "{}"]


@TARGET
@pytest.mark.parametrize("number", NUMBERS)
async def test_a_port_that_is_none_is_refused_by_name(stored: Caller, target: str, number: str) -> None:
    method, path, body = TARGETS[target]

    answer = await stored.send(method, path, content=with_raw(body, "port", number), headers=HEADERS)

    require_refused(answer, 400)
    assert "port" in answer.json()["message"]


def with_raw(body: dict[str, Any], member: str, raw: str) -> bytes:
    """*body* as JSON, with *raw* for the value of *member*, whatever it is."""
    marker = "the value to replace"
    copied = json.loads(json.dumps(body))
    *parents, last = member.split(".")
    place = copied
    for name in parents:
        place = place[name]
    place[last] = marker
    return json.dumps(copied).replace(json.dumps(marker), raw).encode()
