"""JSON that can mean only one thing."""

import json

import pytest

from mailsettings.web.body import MAX_DEPTH, parse
from mailsettings.web.request_errors import MalformedBody

CANARY = "CANARY-b95b13a2"


def _nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        "text",
        1,
        1.5,
        None,
        True,
        {"a": [1, {"b": '👍 ü \\ " \n'}]},
        {"a": {"x": 1}, "b": {"x": 2}},
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_sound_is_read_as_it_is(value: object) -> None:
    assert value == parse(json.dumps(value).encode())
    assert value == parse(json.dumps(value, ensure_ascii=False).encode())


@pytest.mark.parametrize("opening", ["[", '{"a":'], ids=["lists", "objects"])
def test_the_deepest_nesting_is_accepted_and_one_more_refused(opening: str) -> None:
    closing = {"[": "]", '{"a":': "}"}[opening]
    deepest = opening * MAX_DEPTH + "1" + closing * MAX_DEPTH

    assert parse(deepest.encode()) == json.loads(deepest)
    with pytest.raises(MalformedBody, match="deeper than 16 levels"):
        parse(f"{opening}{deepest}{closing}".encode())


BAD_BODIES = {
    "not JSON": b"{",
    "trailing": b"{} {}",
    "duplicate": b'{"host":"a","host":"b"}',
    "nested duplicate": b'{"auth":{"a":1,"a":2}}',
    "NaN": b'{"port":NaN}',
    "Infinity": b'{"port":-Infinity}',
    "overflow": b'{"port":1e400}',
    "digits": b'{"port":' + b"9" * 5000 + b"}",
    "NUL": b'{"host":"a\\u0000b"}',
    "surrogate": b'{"host":"\\ud800"}',
    "surrogate key": b'{"\\udfff":1}',
    "deep": _nested(MAX_DEPTH + 1),
    "deeper": _nested(1100),
    "deepest": _nested(30000),
    "UTF-16": '{"host":"a"}'.encode("utf-16"),
    "BOM": b'\xef\xbb\xbf\xef\xbb\xbf{"host":"a"}',
    "BOM alone": b"\xef\xbb\xbf",
    "not UTF-8": b'{"host":"\xff"}',
    "line feed": b'{"host":"a\nb"}',
    "comment": b'{"host":"a"} // x',
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_what_is_not_is_refused_without_repeating_it(body: bytes) -> None:
    with pytest.raises(MalformedBody) as refused:
        parse(body.replace(b'"a', f'"{CANARY}'.encode()))

    assert CANARY not in str(refused.value)


@pytest.mark.parametrize("bad", ["\\u0000", "\\ud800"], ids=["NUL", "surrogate"])
def test_a_member_with_a_sound_name_is_named(bad: str) -> None:
    with pytest.raises(MalformedBody, match=r"^auth\.password has"):
        parse(f'{{"auth":{{"password":"{bad}"}}}}'.encode(), {"auth", "password"})


def test_a_byte_order_mark_is_ignored() -> None:
    assert parse(b'\xef\xbb\xbf{"a":"\xef\xbb\xbf"}') == {"a": "\ufeff"}


SENTENCES = [
    (b"\xff", "The body must be encoded as UTF-8."),
    (b"{", "The body is not valid JSON."),
    (b'{"a":1,"a":2}', "An object in the body has the same member twice."),
    (b"NaN", "The body is not valid JSON: NaN and Infinity are not numbers in it."),
    (b"1e400", "The body has a number that is too large."),
    (_nested(MAX_DEPTH + 1), "The body must not be nested deeper than 16 levels."),
    (_nested(50_000), "The body must not be nested deeper than 16 levels."),
    (b'{"a":{"b":["\\u0000"]}}', "a.b has a NUL character in it."),
    (b'{"a":"\\ud800"}', "a has half of a surrogate pair in it."),
    (b'{"A":{"B":"\\u0000"}}', "A.B has a NUL character in it."),
    (b'{"c":"\\u0000"}', "The body has a member with a NUL character in it."),
    (b'{"a":{"c":{"b":"\\u0000"}}}', "The body has a member with a NUL character in it."),
    (b'{"\\ud800":1}', "The body has a member with half of a surrogate pair in it."),
]


@pytest.mark.parametrize(("body", "sentence"), SENTENCES, ids=[sentence for _, sentence in SENTENCES])
def test_the_sentence_says_what_is_wrong_and_where(body: bytes, sentence: str) -> None:
    with pytest.raises(MalformedBody) as refused:
        parse(body, {"a", "b"})

    assert str(refused.value) == sentence
