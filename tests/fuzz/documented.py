"""Requests that the OpenAPI documents allow, and near misses, as schemathesis makes them; answers held to it."""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core import NOT_SET
from schemathesis.core.failures import FailureGroup
from schemathesis.core.transport import Response
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from fuzz.target import Answer, Raw

Case = schemathesis.Case[Any]

_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
# Of requests with a path or method that the document does not have, as when a made-up id holds a slash.
_ELSEWHERE = {404, 405}
_SECRET_WORDS = ("password", "secret")


def cases(documents: Sequence[dict[str, Any]], secret: str) -> st.SearchStrategy[Case]:
    """Cases for all operations of *documents*, with *secret* for some of their secrets."""
    operations = [
        found.ok()  # type: ignore[union-attr]  # an operation that cannot be read fails here, and shall
        for document in documents
        for found in schemathesis.openapi.from_dict(document).get_all_operations()
    ]
    made = [one.as_strategy(generation_mode=mode) for one in operations for mode in GenerationMode]

    # Not `st.one_of`: when a draw is rejected, hypothesis writes out the strategy with its arguments, and refuses
    # one of that length.
    @st.composite
    def drawn(draw: st.DrawFn) -> Case:
        case = draw(made[draw(st.integers(0, len(made) - 1))])
        return _plant(case, secret) if draw(st.booleans()) else case

    return drawn()


def as_sent(case: Case, *, probe_works: bool, as_admin: bool) -> Raw:
    """*case* on the wire, with good credentials in the place of those made up if *as_admin*."""
    made = requests.Request(**case.as_transport_kwargs(base_url="http://service.test")).prepare()
    address = urlsplit(made.url or "")
    made.headers.pop("Content-Length", None)
    if as_admin:
        made.headers["Authorization"] = "Bearer admin"
    headers = tuple((_bytes(name.lower()), _bytes(value)) for name, value in made.headers.items())
    target = f"{address.path}?{address.query}" if address.query else address.path
    return Raw(made.method or "", target.encode(), headers, _bytes(made.body or b""), probe_works)


def undocumented(case: Case, answer: Answer) -> Iterator[str]:
    """How *answer* differs from what the document says of it."""
    if str(answer.status) not in case.operation.definition.raw["responses"] and answer.status not in _ELSEWHERE:
        yield f"the status {answer.status}, which the document covers by `default` only"
    headers: dict[str, list[str]] = {}
    for name, value in answer.headers:
        headers.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    sent = requests.Request(case.method, "http://service.test").prepare()
    response = Response(answer.status, headers, answer.body, sent, elapsed=0.0, verify=False)
    try:
        case.validate_response(response, checks=list(_CHECKS))
    except FailureGroup as group:
        yield from (f"{failure.title}: {str(failure.message)[:300]}" for failure in group.exceptions)


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


def _plant(case: Case, secret: str) -> Case:
    if case.body is not NOT_SET:
        case.body = _planted(case.body, secret)
    return case


def _planted(value: Any, secret: str) -> Any:
    match value:
        case dict():
            return {
                key: secret if _is_secret(key, member) else _planted(member, secret)
                for key, member in value.items()
            }
        case list():
            return [_planted(member, secret) for member in value]
        case _:
            return value


def _is_secret(name: object, member: object) -> bool:
    return isinstance(member, str) and any(word in str(name).lower() for word in _SECRET_WORDS)
