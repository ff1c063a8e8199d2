"""Bodies made to break a reader: a 4xx in the API's own shape, nothing repeated, nothing stored."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from pydantic.alias_generators import to_camel

from support.canary import Canary
from support.databases import all_of
from support.fakes import ScriptedProber
from support.request_bodies import checkmarx, checkmarx_test, oracle, oracle_oauth2
from support.service import BASE_URL, MAIL_SERVER, SMTP_SETTINGS, Caller

# Refused before anything is asked of a database, so it does not matter which one is not asked.
pytestmark = pytest.mark.parametrize("kind", ["sqlite"])

Body = dict[str, Any]

TARGETS: dict[str, tuple[str, str, Callable[[str], Body]]] = {
    "oracle": ("PUT", MAIL_SERVER, oracle),
    "oracle oauth2": ("PUT", MAIL_SERVER, oracle_oauth2),
    "checkmarx create": ("POST", SMTP_SETTINGS, checkmarx),
    "checkmarx replace": ("PUT", f"{SMTP_SETTINGS}/1", checkmarx),
    "checkmarx test": ("POST", f"{SMTP_SETTINGS}/testconnection", checkmarx_test),
}
TARGET = pytest.mark.parametrize("target", TARGETS)
HEADERS = {"Content-Type": "application/json"}


@pytest.fixture
async def stored(api: Caller, prober: ScriptedProber) -> AsyncIterator[Caller]:
    """Something is stored before, and is the same afterwards; nothing was tested."""
    await api.send("PUT", MAIL_SERVER, json=oracle("the stored one") | {"port": 2525})
    before = (await api.send("GET", SMTP_SETTINGS)).json()
    yield api
    assert (await api.send("GET", SMTP_SETTINGS)).json() == before
    assert prober.asked == []


def require_refused(answer: httpx.Response, canary: Canary, *statuses: int) -> None:
    assert answer.status_code in statuses, (answer.status_code, answer.text[:300])
    members = {"code", "message"} if answer.request.url.path.startswith("/api/") else {"message"}
    assert set(answer.json()) == members
    canary.assert_nowhere(answer.content, repr(answer.headers))


def members_of(body: Body, *, required: bool) -> list[str]:
    """The paths of all members that have to be there, or of the others."""
    paths = [path for key, value in body.items() for path in _below(key, value)]
    return [path for path in paths if (path in OPTIONAL) is not required]


def _below(path: str, value: object) -> list[str]:
    below = (
        [found for key, member in value.items() for found in _below(f"{path}.{key}", member)]
        if isinstance(value, dict)
        else []
    )
    return [path, *below]


OPTIONAL = {
    *("encryptionType", "useDefaultCredentials", "displayName", "recieverEmail", "password"),
    "auth.oAuth2Details.oAuth2Provider",
}
SECRETS = {"oracle": "auth.password", "oracle oauth2": "auth.oAuth2Details.secret"}


def secret_of(target: str) -> str:
    return SECRETS.get(target, "password")


@pytest.mark.parametrize(
    ("target", "member"),
    [
        (target, member)
        for target, (_, _, body) in TARGETS.items()
        for member in members_of(body(""), required=True)
        if (target, member) != ("oracle oauth2", "auth.authType")  # its default
    ],
)
async def test_a_body_without_a_member_is_refused_without_echo(
    stored: Caller, canary: Canary, target: str, member: str
) -> None:
    """Case 1."""
    method, path, body = TARGETS[target]

    answer = await stored.send(method, path, json=without(body(canary.secret), member))

    require_refused(answer, canary, 400)
    assert member.rpartition(".")[2] in answer.json()["message"]


@TARGET
async def test_what_may_be_left_out_may_be(api: Caller, canary: Canary, target: str) -> None:
    """Case 1."""
    method, path, make = TARGETS[target]
    await api.send("PUT", MAIL_SERVER, json=oracle("the stored one"))
    optional = [member for member in members_of(make(""), required=False) if member != "password"]

    answers = [await api.send(method, path, json=without(make(canary.secret), member)) for member in optional]

    assert [answer.text for answer in answers if not answer.is_success] == []
    canary.assert_nowhere(*(answer.content for answer in answers), *(repr(answer.headers) for answer in answers))


def whole_bodies(body: Body) -> dict[str, bytes]:
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
        "not UTF-8": text.encode().replace(b"mail-server", b"mail-\xff\xfeserver"),
    }


@TARGET
@pytest.mark.parametrize("name", whole_bodies(oracle("")))
async def test_an_ambiguous_body_is_refused(stored: Caller, canary: Canary, target: str, name: str) -> None:
    """Cases 2, 3, 4 and 6."""
    method, path, body = TARGETS[target]

    answer = await stored.send(method, path, content=whole_bodies(body(canary.secret))[name], headers=HEADERS)

    require_refused(answer, canary, 400)


@TARGET
@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "with its length"])
@pytest.mark.parametrize("size", [64 * 1024 + 1, 1024 * 1024], ids=["a byte too long", "a megabyte"])
async def test_a_body_that_is_too_long_is_refused(
    stored: Caller, canary: Canary, target: str, streamed: bool, size: int
) -> None:
    """Case 5."""
    method, path, body = TARGETS[target]
    content = json.dumps(body(canary.secret)).encode().ljust(size)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 4096):
            yield content[start : start + 4096]

    answer = await stored.http.request(
        method,
        BASE_URL + path,
        content=pieces() if streamed else content,
        headers=HEADERS | {"Authorization": "Bearer admin"},
    )

    require_refused(answer, canary, 413)


@TARGET
async def test_a_byte_order_mark_is_ignored(api: Caller, target: str) -> None:
    """Editors of Windows write one, and `curl --data @file` sends it."""
    method, path, body = TARGETS[target]
    await api.send("PUT", MAIL_SERVER, json=oracle("the stored one"))
    content = b"\xef\xbb\xbf" + json.dumps(body("another one")).encode()

    answer = await api.send(method, path, content=content, headers=HEADERS)

    assert answer.is_success, answer.text


@TARGET
@pytest.mark.parametrize("number", ["2525.0", "2.525e3", "25250e-1"])
async def test_a_port_is_a_json_number(api: Caller, prober: ScriptedProber, target: str, number: str) -> None:
    """JSON makes no difference between 25.0 and 25."""
    method, path, body = TARGETS[target]
    await api.send("PUT", MAIL_SERVER, json=oracle("the stored one"))

    answer = await api.send(method, path, content=with_raw(body("another one"), "port", number), headers=HEADERS)

    assert answer.is_success, answer.text
    ports = [view["port"] for view in (await api.send("GET", SMTP_SETTINGS)).json()]
    assert 2525 in [*ports, *(server.port for server, _ in prober.asked)]


SNAKE = {
    "oracle": ["connection_security", "sender.display_name", "sender.email_address", "auth.auth_type"],
    "oracle oauth2": [
        *("auth.o_auth2_details", "auth.oAuth2Details.client_id", "connectionSecurity.connection_security_type"),
        "connectionSecurity.tls_certificate_details",
    ],
    **{name: ["from_address"] for name in TARGETS if name.startswith("checkmarx")},
}


@pytest.mark.parametrize(
    ("target", "member"), [(target, member) for target, members in SNAKE.items() for member in members]
)
async def test_a_member_by_another_name_is_not_there(
    stored: Caller, canary: Canary, target: str, member: str
) -> None:
    """Two readers would read such a body differently: `from_address` is a name inside this program only."""
    method, path, make = TARGETS[target]
    body = make(canary.secret)
    *parents, last = member.split(".")
    place = body
    for name in parents:
        place = place[name]
    vendors = to_camel(last)
    place[last] = place.pop(vendors)

    answer = await stored.send(method, path, json=body)

    require_refused(answer, canary, 400)
    assert f"{'.'.join([*parents, vendors])} is missing." in answer.json()["message"]


@pytest.mark.parametrize("member", ["display_name", "encryption_type", "use_default_credentials"])
async def test_an_optional_member_by_another_name_is_ignored(api: Caller, member: str) -> None:
    created = await api.send("POST", SMTP_SETTINGS, json=checkmarx("a password") | {member: "Ssl"})
    plain = await api.send("POST", SMTP_SETTINGS, json=checkmarx("a password"))
    views = [(await api.send("GET", f"{SMTP_SETTINGS}/{number}")).json() for number in (1, 2)]

    assert (created.status_code, plain.status_code) == (201, 201)
    assert views[0] | {"id": 0} == views[1] | {"id": 0}


@TARGET
async def test_all_that_is_wrong_is_said_at_once(stored: Caller, canary: Canary, target: str) -> None:
    method, path, make = TARGETS[target]
    body = without(make(canary.secret), "host") | {"port": 0}
    body |= {"sender": {"displayName": 1}} if target.startswith("oracle") else {"fromAddress": 1}

    answer = await stored.send(method, path, json=body)

    require_refused(answer, canary, 400)
    sentences = {"host is missing.", "port must be at least 1."}
    sentences |= (
        {"sender.displayName must be a string.", "sender.emailAddress is missing."}
        if target.startswith("oracle")
        else {"fromAddress must be a string."}
    )
    assert {sentence for sentence in sentences if sentence in answer.json()["message"]} == sentences


LINES = {
    "oracle": ["sender.emailAddress", "sender.displayName", "auth.username"],
    "oracle oauth2": [f"auth.oAuth2Details.{name}" for name in ("username", "clientId", "tenant")],
    **{name: ["fromAddress", "displayName", "username"] for name in TARGETS if name.startswith("checkmarx")},
}


@TARGET
async def test_rules_of_the_domain_are_told_with_all_others(stored: Caller, canary: Canary, target: str) -> None:
    method, path, make = TARGETS[target]
    body = make(canary.secret) | {"port": 0, "host": "a b"}
    for member in LINES[target]:
        *parents, last = member.split(".")
        place = body
        for name in parents:
            place = place[name]
        place[last] = "a\nb"

    answer = await stored.send(method, path, json=body)

    require_refused(answer, canary, 400)
    message = answer.json()["message"]
    assert [member for member in ["port", "host", *LINES[target]] if f"{member} " not in message] == []
    assert message.count("must not contain control characters") == 3


@TARGET
@pytest.mark.parametrize("bad", ["\\u0000", "\\ud800"], ids=["NUL", "half a pair"])
async def test_a_name_of_the_caller_is_not_repeated(stored: Caller, canary: Canary, target: str, bad: str) -> None:
    method, path, make = TARGETS[target]
    name = canary.secret.replace("-", "")
    content = json.dumps(make("a password")).encode()[:-1] + f', "{name}": {{"host": "{bad}"}}}}'.encode()

    answer = await stored.send(method, path, content=content, headers=HEADERS)

    require_refused(answer, canary, 400)
    assert name not in answer.text


@TARGET
async def test_a_body_of_just_the_longest_length_is_read(api: Caller, target: str) -> None:
    method, path, body = TARGETS[target]
    await api.send("PUT", MAIL_SERVER, json=oracle("the stored one"))
    content = json.dumps(body("another one")).encode().ljust(64 * 1024)

    answer = await api.send(method, path, content=content, headers=HEADERS)

    assert answer.is_success, answer.text


TEXTS = {
    "oracle": ["host", "sender.displayName", "sender.emailAddress", "auth.username", "auth.password"],
    "oracle oauth2": [f"auth.oAuth2Details.{name}" for name in ("clientId", "secret", "tenant", "username")],
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
async def test_a_text_that_is_none_is_refused_by_name(
    stored: Caller, canary: Canary, target: str, member: str, bad: str
) -> None:
    """Case 3."""
    method, path, body = TARGETS[target]
    content = with_raw(body(canary.secret), member, BAD_TEXTS[bad])

    answer = await stored.send(method, path, content=content, headers=HEADERS)

    require_refused(answer, canary, 400)
    assert member in answer.json()["message"]


NUMBERS = ["0", "-1", "65536", "1.5", "1e5", "99999999999999999999", "true", "null", '""', '"x"', "[]", "{}"]


@TARGET
@pytest.mark.parametrize("number", NUMBERS)
async def test_a_port_that_is_none_is_refused_by_name(
    stored: Caller, canary: Canary, target: str, number: str
) -> None:
    """Case 9."""
    method, path, body = TARGETS[target]
    content = with_raw(body(canary.secret), "port", number)

    answer = await stored.send(method, path, content=content, headers=HEADERS)

    require_refused(answer, canary, 400)
    assert "port" in answer.json()["message"]


WRONG_BESIDE_THE_SECRET = {
    "NaN": "NaN",
    "Infinity": "-Infinity",
    "1e400": "1e400",
    "half a pair": '"\\ud800"',
    "NUL": '"\\u0000"',
}


@TARGET
@pytest.mark.parametrize("wrong", WRONG_BESIDE_THE_SECRET)
async def test_an_unencodable_secret_is_refused_too(
    stored: Caller, canary: Canary, target: str, wrong: str
) -> None:
    """Cases 2 and 3: the secret itself is the bad value, next to a valid value."""
    method, path, body = TARGETS[target]
    raw = with_raw(body(canary.secret), secret_of(target), WRONG_BESIDE_THE_SECRET[wrong])
    content = raw[:-1] + f', "x": {json.dumps(canary.secret)}}}'.encode()

    answer = await stored.send(method, path, content=content, headers=HEADERS)

    require_refused(answer, canary, 400)


@TARGET
async def test_a_secret_that_is_there_twice_is_refused(stored: Caller, canary: Canary, target: str) -> None:
    """Case 4."""
    method, path, body = TARGETS[target]
    member = f'"{secret_of(target).rpartition(".")[2]}": '.encode()
    text = json.dumps(body(canary.secret)).encode()
    content = text.replace(member, member + b'"another one", ' + member, 1)

    answer = await stored.send(method, path, content=content, headers=HEADERS)

    require_refused(answer, canary, 400)


@pytest.mark.parametrize("mask", ["*" * 8, "*" * 10, "*" * 255, "•" * 8, "••••••••••"])
@TARGET
async def test_a_mask_keeps_the_stored_secret(
    api: Caller, prober: ScriptedProber, canary: Canary, store: Any, target: str, mask: str
) -> None:
    """Case 12."""
    method, path, body = TARGETS[target]
    await api.send("PUT", MAIL_SERVER, json=oracle(canary.secret))

    answer = await api.send(method, path, json=body(mask))

    kept = (target, mask) == ("oracle", "*" * 10)
    assert answer.status_code == (200 if kept else 400)
    canary.assert_nowhere(answer.content)
    assert await secrets_of(store) == [canary.secret]
    assert prober.asked == []


async def secrets_of(store: Any) -> list[str]:
    async with store.reading() as view:
        stored = await all_of(view.mail_servers)
    return [each.server.secret.reveal() for each in stored if each.server.secret]


def without(body: Body, path: str) -> Body:
    """A copy of *body* without the member at *path*."""
    copied: Body = json.loads(json.dumps(body))
    *parents, last = path.split(".")
    place = copied
    for name in parents:
        place = place[name]
    del place[last]
    return copied


def with_raw(body: Body, member: str, raw: str) -> bytes:
    """*body* as JSON, with *raw* for the value of *member*, whatever it is."""
    marker = "the value to replace"
    copied = json.loads(json.dumps(body))
    *parents, last = member.split(".")
    place = copied
    for name in parents:
        place = place[name]
    place[last] = marker
    return json.dumps(copied).replace(json.dumps(marker), raw).encode()
