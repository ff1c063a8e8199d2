"""Requests that no schema would make: good ones with something broken in their bytes, headers, path or method."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from fuzz.target import ACCOUNT, Headers, Raw
from support.request_bodies import checkmarx, checkmarx_test, oracle, oracle_oauth2
from support.service import MAIL_SERVER, SMTP_SETTINGS, TOKEN

_JSON: Headers = ((b"content-type", b"application/json"),)
_FORM: Headers = ((b"content-type", b"application/x-www-form-urlencoded"),)
_ADMIN: Headers = ((b"authorization", b"Bearer admin"),)


def bases(password: str) -> list[Raw]:
    """A good request for every operation, with *password* wherever one can be sent."""
    writes: list[tuple[str, str, Any]] = [
        ("PUT", MAIL_SERVER, oracle(password)),
        ("PUT", MAIL_SERVER, oracle("*" * 10)),
        ("PUT", MAIL_SERVER, oracle_oauth2(password)),
        ("POST", f"{MAIL_SERVER}/actions/test", {"recipient": "to@example.org"}),
        ("POST", SMTP_SETTINGS, checkmarx(password)),
        ("PUT", f"{SMTP_SETTINGS}/1", checkmarx(password)),
        ("PUT", f"{SMTP_SETTINGS}/1", {**checkmarx(password), "password": None}),
        ("POST", f"{SMTP_SETTINGS}/testconnection", checkmarx_test(password)),
    ]
    reads = [("GET", MAIL_SERVER), ("DELETE", MAIL_SERVER), ("GET", SMTP_SETTINGS), ("GET", f"{SMTP_SETTINGS}/1")]
    form = f"grant_type=password&username={ACCOUNT}&password={{}}&scope=sast_rest_api&client_secret=x"
    return [
        *(Raw(method, path.encode(), _ADMIN + _JSON, json.dumps(body).encode()) for method, path, body in writes),
        *(Raw(method, path.encode(), _ADMIN) for method, path in [*reads, ("DELETE", f"{SMTP_SETTINGS}/1")]),
        *(Raw("POST", TOKEN.encode(), _FORM, form.format(word).encode()) for word in ("wrong", "correct+horse")),
        Raw("POST", TOKEN.encode(), _FORM, form.encode().replace(b"{}", password.encode())),
        *(Raw("GET", path) for path in (b"/docs", b"/openapi.json", b"/health/ready", b"/")),
    ]


_NESTED = st.integers(1, 3000).flatmap(lambda depth: st.sampled_from(["[" * depth + "]" * depth, "[" * depth]))
_ODD_VALUES = st.one_of(
    st.sampled_from(
        [
            *("NaN", "Infinity", "-Infinity", "1e400", "-0", "1E5", "0.1", "1e-7", "9" * 5000, "0x10", "01", "+1"),
            *("null", "true", '""', "[]", "{}", "[[]]", '{"":""}', '"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"'),
            *('"\\r\\nBcc: x"', '"\\u2028"', '"**********"', '"•"', '"a@b,c@d"', '"=?utf-8?q?x=0D=0ABcc:_e?="'),
            *("2147483648", "-1", "65536", "9223372036854775808", '"0"', '"127.1"', '"localhost"', '"::1%eth0"'),
            *('"{0.__class__}"', '"%s%n"', '"\\""', "'x'", "undefined", "/*x*/1", "tru", '"x', '{"a":1,"a":2}'),
        ]
    ),
    _NESTED,
    st.text(max_size=40).map(json.dumps),
    st.text(max_size=40).map(lambda text: json.dumps(text, ensure_ascii=False)),
    st.integers().map(str),
    st.floats().map(repr),
    st.integers(1, 3000).map(lambda length: json.dumps("x" * length)),
)
_HEADER_VALUES = st.one_of(
    st.sampled_from([b"", b" ", b",", b";", b"=", b'"', b"*", b"0", b"-1", b"\xff", b"\xc3\xbc", b"x" * 9000]),
    st.binary(max_size=30).map(lambda raw: raw.translate(None, b"\0\r\n")),
)
_HEADERS = st.tuples(
    st.sampled_from(
        [
            *(b"accept", b"prefer", b"content-type", b"content-length", b"transfer-encoding", b"content-encoding"),
            *(b"host", b"expect", b"cookie", b"origin", b"x-forwarded-host", b"x-forwarded-proto", b"forwarded"),
            *(b"if-match", b"if-none-match", b"range", b"x-http-method-override", b"authorization", b"te"),
        ]
    ),
    _HEADER_VALUES,
)
_CONTENT_TYPES = st.sampled_from(
    [
        *(
            b"",
            b"text/plain",
            b"text/json",
            b"application/json;v=1.0",
            b"application/json; v=2",
            b"APPLICATION/JSON",
        ),
        *(b"application/json; charset=utf-7", b"application/json, text/plain", b"application/x+json", b"a/b/c"),
        *(b"application/x-www-form-urlencoded", b"multipart/form-data", b"multipart/form-data; boundary=x"),
        *(b"multipart/form-data; boundary=\xff", b"application/json;" * 300, b"application/json\t", b";", b"*/*"),
    ]
)
_CREDENTIALS = st.one_of(
    st.sampled_from(
        [
            *(b"Bearer", b"Bearer ", b"bearer admin", b"Bearer  admin", b"Bearer admin admin", b"Bearer reader"),
            *(b"Bearer stranger", b"Bearer tester", b"Basic YWRtaW46eA==", b"Basic \xff", b"Basic =", b"Digest x"),
            *(b"Bearer \xc3\xbc", b"Bearer a.b.c", b"Bearer eyJhbGciOiJub25lIn0.e30.", b"Bearer " + b"x" * 9000),
        ]
    ),
    _HEADER_VALUES,
)
_METHODS = st.sampled_from(
    ["GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"]
)
_IDS = st.sampled_from(
    [
        *(b"0", b"-1", b"01", b"+1", b"1.0", b"1_0", b"2147483647", b"2147483648", b"9223372036854775808"),
        *(
            b"9" * 5000,
            b"%00",
            b"%31",
            b"1%20",
            b"%EF%BC%91",
            b"%ff",
            b"..",
            b"1;x",
            b"1/",
            b"{id}",
            b"NaN",
            b"null",
        ),
    ]
)
_SUFFIXES = st.one_of(
    st.sampled_from(
        [b"/", b"//", b"/..", b"%2f", b"%00", b"?", b"?access_token=admin", b"?v=2", b"#x", b";x", b".json"]
    ),
    st.binary(max_size=12).map(lambda raw: b"?" + b"".join(b"%%%02x" % byte for byte in raw)),
    st.binary(max_size=12).map(lambda raw: b"/" + b"".join(b"%%%02x" % byte for byte in raw)),
)

Mutation = Callable[[st.DrawFn, Raw], Raw]


def _odd_value(draw: st.DrawFn, raw: Raw) -> Raw:
    """Another value for one member, in text, so that it need not be one that JSON has."""
    body = _parsed(raw)
    places = _places(body)
    if not places:
        return raw
    place, key = draw(st.sampled_from(places))
    place[key] = "the value to replace"
    odd = draw(_ODD_VALUES).encode("utf-8", "surrogatepass")
    return replace(raw, body=json.dumps(body).encode().replace(b'"the value to replace"', odd))


def _parsed(raw: Raw) -> Any:
    """The body, or None when an earlier mutation left no JSON of it, or too much."""
    try:
        return json.loads(raw.body) if len(raw.body) < 2000 else None
    except (ValueError, RecursionError):
        return None


def _places(value: Any) -> list[tuple[Any, Any]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, member in members for found in [(value, key), *_places(member)]]


def _member_twice(draw: st.DrawFn, raw: Raw) -> Raw:
    name = draw(
        st.sampled_from(["host", "Host", "HOST", "port", "password", "PASSWORD", "auth", "x", "", "\\u0000"])
    )
    return replace(
        raw, body=raw.body.replace(b"{", f'{{"{name}":{draw(_ODD_VALUES)},'.encode("utf-8", "replace"), 1)
    )


def _skipped_until(draw: st.DrawFn, raw: Raw) -> Raw:
    body = _parsed(raw)
    places = _places(body)
    if not places:
        return raw
    place, key = draw(st.sampled_from(places))
    del place[key]
    return replace(raw, body=json.dumps(body).encode())


def _broken_bytes(draw: st.DrawFn, raw: Raw) -> Raw:
    """A few bytes taken out, put in, or the end cut off; never so many that a secret slips into a neighbour."""
    at, gone = draw(st.integers(0, len(raw.body))), draw(st.integers(0, 6))
    put = draw(st.one_of(st.binary(max_size=6), st.sampled_from([b'"', b"\\", b"}", b"{", b",", b"\xed\xa0\x80"])))
    rest = draw(st.sampled_from([raw.body[at + gone :], raw.body[at + gone :], b""]))
    return replace(raw, body=raw.body[:at] + put + rest)


def _encoded(draw: st.DrawFn, raw: Raw) -> Raw:
    text = raw.body.decode("utf-8", "replace")
    codec = draw(st.sampled_from(["utf-16", "utf-16-le", "utf-32", "utf-8-sig", "utf-7", "cp037"]))
    return replace(raw, body=text.encode(codec, "replace"))


def _other_body(draw: st.DrawFn, raw: Raw) -> Raw:
    return replace(
        raw,
        body=draw(st.one_of(st.binary(max_size=60), _ODD_VALUES.map(lambda odd: odd.encode("utf-8", "replace")))),
    )


def _padded(draw: st.DrawFn, raw: Raw) -> Raw:
    return replace(raw, body=raw.body.ljust(draw(st.sampled_from([64 * 1024, 64 * 1024 + 1, 200_000]))))


def _odd_form(draw: st.DrawFn, raw: Raw) -> Raw:
    part = draw(
        st.sampled_from(
            [b"%", b"%zz", b"%ff=%ff", b"&&&", b"=&=", b"&username=a&username=b", b"&grant_type=x", b"&scope=a"]
        )
        | st.binary(max_size=20)
        | st.sampled_from(
            [b"&a=b" * 2000, b"&password=" + b"x" * 60_000, b"&password%00=x", b"&client_secret=%00"]
        )
    )
    return replace(raw, body=raw.body + part)


def _method(draw: st.DrawFn, raw: Raw) -> Raw:
    return replace(raw, method=draw(_METHODS))


def _path(draw: st.DrawFn, raw: Raw) -> Raw:
    change = draw(st.sampled_from(["id", "suffix", "case", "slashes", "cut"]))
    match change:
        case "id":
            return replace(raw, target=SMTP_SETTINGS.encode() + b"/" + draw(_IDS))
        case "suffix":
            return replace(raw, target=raw.target + draw(_SUFFIXES))
        case "case":
            return replace(raw, target=raw.target.swapcase())
        case "slashes":
            return replace(raw, target=raw.target.replace(b"/", b"//", draw(st.integers(1, 4))))
        case _:
            return replace(raw, target=raw.target[: draw(st.integers(1, len(raw.target)))])


def _content_type(draw: st.DrawFn, raw: Raw) -> Raw:
    kept = tuple(header for header in raw.headers if header[0] != b"content-type")
    return replace(raw, headers=(*kept, (b"content-type", draw(_CONTENT_TYPES))))


def _credentials(draw: st.DrawFn, raw: Raw) -> Raw:
    kept = tuple(header for header in raw.headers if header[0] != b"authorization")
    return replace(raw, headers=(*kept, (b"authorization", draw(_CREDENTIALS))))


def _headers(draw: st.DrawFn, raw: Raw) -> Raw:
    return replace(raw, headers=(*raw.headers, *draw(st.lists(_HEADERS, min_size=1, max_size=4))))


_MUTATIONS: list[Mutation] = [
    *(_odd_value, _odd_value, _odd_value, _member_twice, _skipped_until, _broken_bytes, _broken_bytes, _encoded),
    *(_other_body, _padded, _odd_form, _method, _path, _path, _content_type, _credentials, _headers),
]


def requests(password: str) -> st.SearchStrategy[Raw]:
    """A good request with up to three things broken."""
    good = bases(password)

    @st.composite
    def broken(draw: st.DrawFn) -> Raw:
        raw = replace(draw(st.sampled_from(good)), probe_works=draw(st.booleans()))
        for mutation in draw(st.lists(st.sampled_from(_MUTATIONS), max_size=3)):
            raw = mutation(draw, raw)
        return raw

    return broken()
