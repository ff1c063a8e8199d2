"""What the OpenAPI documents promise of each answer is what comes: status, headers, media type and body."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator, FormatChecker

from openapi.provoked import CALLS, WITHOUT_DATABASE, cases

DOCUMENT: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "docs" / "openapi" / "openapi.json").read_text(encoding="utf-8")
)
# In the document of all APIs, some names begin with the API, since generators do not tell them apart otherwise.
OPERATIONS: dict[str, dict[str, Any]] = {
    operation["operationId"].removeprefix("v1_"): operation
    for path in DOCUMENT["paths"].values()
    for operation in path.values()
}
# HTTP's own, and those of every answer; RFC 9110 and RFC 9111 say what they mean.
GENERAL = {"allow", "cache-control", "content-length", "content-type", "pragma", "x-content-type-options"}
REPORT = "testSmtpConnection", "200"
"""Its body comes on request only (RFC 7240), and OpenAPI has no word for a body that may be absent."""


@dataclass(frozen=True)
class Provoked:
    """An answer, and what the document says of answers like it."""

    operation: str
    status: str
    came: httpx.Response

    @property
    def where(self) -> str:
        return f"{self.operation} {self.status}"

    @property
    def promised(self) -> dict[str, Any]:
        response: dict[str, Any] = OPERATIONS[self.operation]["responses"][self.status]
        return response

    @property
    def headers(self) -> dict[str, dict[str, Any]]:
        return {name.lower(): resolved(header) for name, header in self.promised.get("headers", {}).items()}


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    found: Any = DOCUMENT
    for part in node["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return dict(found)


def problems(schema: dict[str, Any], value: object) -> Iterator[str]:
    validator = Draft202012Validator(
        {**schema, "components": DOCUMENT["components"]}, format_checker=FormatChecker()
    )
    yield from (error.message for error in validator.iter_errors(value))


@pytest.fixture(scope="module")
def answers() -> Sequence[Provoked]:
    async def all_of_them() -> list[Provoked]:
        return [Provoked(name, status, await provoke(CALLS[name])) for name, status, provoke in cases()]

    return asyncio.run(all_of_them())


def require_every_documented_status_comes_and_no_other(answers: Sequence[Provoked]) -> None:
    documented = {(name, status) for name, found in OPERATIONS.items() for status in found["responses"]}
    # The other errors are provoked by way of the database.
    documented -= {(name, "default") for name in WITHOUT_DATABASE}
    came = {
        (each.operation, "default" if each.status == "default" else str(each.came.status_code)) for each in answers
    }

    assert documented == came
    assert [each.where for each in answers if each.status not in {"default", str(each.came.status_code)}] == []
    assert {each.came.status_code for each in answers if each.status == "default"} == {500}


def require_every_answer_has_the_documented_media_type_and_body(answers: Sequence[Provoked]) -> None:
    wrong = [
        (each.where, problem)
        for each in answers
        if (each.operation, each.status) != REPORT
        for problem in wrong_body(each)
    ]

    assert wrong == []


def wrong_body(each: Provoked) -> Iterator[str]:
    content = each.promised.get("content", {})
    media_type = each.came.headers.get("Content-Type", "").partition(";")[0]
    if not content:
        yield from ["a body"] if each.came.content or media_type else []
    elif media_type not in content:
        yield f"the media type {media_type}"
    else:
        value = each.came.json() if media_type.endswith("json") else each.came.text
        yield from problems(content[media_type]["schema"], value)


def require_a_successful_test_is_empty_or_the_preferred_report(answers: Sequence[Provoked]) -> None:
    """Generated clients parse what a document promises, and an empty body is no JSON."""
    bodies = {each.came.content for each in answers if (each.operation, each.status) == REPORT}
    promised = OPERATIONS[REPORT[0]]["responses"][REPORT[1]]
    report = {"$ref": "#/components/schemas/ConnectionTestReport"}

    assert "content" not in promised
    assert "Prefer: return=representation" in promised["description"]
    assert b"" in bodies
    assert [list(problems(report, json.loads(body))) for body in bodies if body] == [[]]


def require_every_required_header_comes_and_every_header_is_documented(answers: Sequence[Provoked]) -> None:
    missing = [
        (each.where, name)
        for each in answers
        for name, header in each.headers.items()
        if header.get("required") and name not in each.came.headers
    ]
    undocumented = [
        (each.where, name)
        for each in answers
        for name in each.came.headers
        if name not in {*each.headers, *GENERAL}
    ]

    assert (missing, undocumented) == ([], [])


def require_every_header_has_a_value_of_its_schema(answers: Sequence[Provoked]) -> None:
    wrong = [
        (each.where, name, problem)
        for each in answers
        for name, header in each.headers.items()
        if name in each.came.headers
        for problem in problems(header["schema"], parsed(each.came.headers[name], header["schema"]))
    ]

    assert wrong == []


def parsed(text: str, schema: dict[str, Any]) -> str | int:
    return int(text) if schema["type"] == "integer" else text


def require_every_documented_header_comes_in_some_answer(answers: Sequence[Provoked]) -> None:
    documented = {(each.where, name) for each in answers for name in each.headers}
    came = {(each.where, name) for each in answers for name in each.came.headers}

    assert set() == documented - came


def test_answers_are_as_the_document_promises(answers: Sequence[Provoked]) -> None:
    """One test, because provoking all answers takes most of its time."""
    require_every_documented_status_comes_and_no_other(answers)
    require_every_answer_has_the_documented_media_type_and_body(answers)
    require_a_successful_test_is_empty_or_the_preferred_report(answers)
    require_every_required_header_comes_and_every_header_is_documented(answers)
    require_every_header_has_a_value_of_its_schema(answers)
    require_every_documented_header_comes_in_some_answer(answers)
