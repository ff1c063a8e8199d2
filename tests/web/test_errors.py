"""From errors to answers: status, body and headers by the table, and nothing of the request in any of them."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from mailsettings.domain import errors
from mailsettings.domain.connection_test import FailureCode, ProbeReport, ProbeStage
from mailsettings.domain.findings import failure
from mailsettings.domain.setting import Setting
from mailsettings.web import request_errors
from mailsettings.web.errors import ErrorResponse, ErrorStyle
from mailsettings.web.report import Vocabulary, failure_sentence, report_members

from support.canary import Canary

STYLE = ErrorStyle(
    body=lambda error: {"word": error.code, "says": error.message},
    fields={Setting.HOST: "theHost", Setting.PASSWORD: "thePassword"},
    codes={
        400: "bad",
        401: "who",
        403: "may not",
        404: "where",
        405: "how",
        415: "what",
        429: "slow",
        500: "ours",
        503: "away",
    },
    answers={
        errors.SecretNeededAgain: ErrorResponse(422, "again"),
        errors.IdempotencyError: ErrorResponse(410, "repeated"),
        request_errors.BodyTooLarge: ErrorResponse(400, "long"),
    },
    media_type="application/vnd.test+json",
)
AGAIN = errors.SecretNeededAgain(Setting.PASSWORD)
CASES: dict[str, tuple[Callable[[], Exception], int, dict[str, str], dict[str, str]]] = {
    "no token": (
        lambda: errors.NotAuthenticated("No token.", presented=False),
        401,
        {"word": "who", "says": "No token."},
        {"www-authenticate": "Bearer"},
    ),
    "a bad token": (
        lambda: errors.NotAuthenticated("Bad token.", presented=True),
        401,
        {"word": "who", "says": "Bad token."},
        {"www-authenticate": 'Bearer error="invalid_token"'},
    ),
    "a compressed body": (
        lambda: request_errors.UnsupportedContentCoding(),
        415,
        {"word": "what", "says": "Send the body uncompressed, without the header Content-Encoding."},
        {"accept-encoding": "identity"},
    ),
    "no permission": (
        lambda: errors.PermissionDenied("p"),
        403,
        {"word": "may not", "says": "This needs the permission p."},
        {"www-authenticate": 'Bearer error="insufficient_scope"'},
    ),
    "a setting": (
        lambda: errors.InvalidSetting(Setting.HOST, "is wrong."),
        400,
        {"word": "bad", "says": "theHost is wrong."},
        {},
    ),
    "the most specific row": (lambda: AGAIN, 422, {"word": "again", "says": f"thePassword {AGAIN.problem}"}, {}),
    "a row of a base": (
        errors.OutcomeUnknown,
        410,
        {"word": "repeated", "says": str(errors.OutcomeUnknown())},
        {},
    ),
    "a status without a code": (
        lambda: errors.AccountExists("a"),
        409,
        {"word": "", "says": str(errors.AccountExists("a"))},
        {},
    ),
    "too many": (
        lambda: errors.TooManyProbes("Too many.", 7),
        429,
        {"word": "slow", "says": "Too many. Try again in 7 seconds."},
        {"retry-after": "7"},
    ),
    "still being answered": (
        lambda: errors.RequestInProgress(7),
        410,
        {"word": "repeated", "says": str(errors.RequestInProgress(7))},
        {"retry-after": "7"},
    ),
    "away": (
        errors.StoreUnavailable,
        503,
        {"word": "away", "says": str(errors.StoreUnavailable())},
        {"retry-after": "5"},
    ),
    "two credentials": (
        request_errors.SeveralCredentials,
        400,
        {"word": "bad", "says": "Send exactly one Authorization header."},
        {"www-authenticate": 'Bearer error="invalid_request"'},
    ),
    "too long": (
        lambda: request_errors.BodyTooLarge(9),
        400,
        {"word": "long", "says": "The body must not be longer than 9 bytes."},
        {},
    ),
    "another type": (
        request_errors.UnsupportedContentType,
        415,
        {"word": "what", "says": "Send the body as JSON, with the header Content-Type: application/json."},
        {},
    ),
    "a body that broke off": (
        request_errors.IncompleteBody,
        400,
        {"word": "bad", "says": "The body is incomplete."},
        {},
    ),
    "too many requests": (
        request_errors.TooManyRequests,
        429,
        {"word": "slow", "says": "You have too many requests in progress. Try again in 1 second."},
        {"retry-after": "1"},
    ),
    "another version": (
        request_errors.UnsupportedVersion,
        400,
        {"word": "bad", "says": "This version of the API is not supported; use 1.0."},
        {},
    ),
    "the framework's": (
        lambda: HTTPException(418),
        400,
        {"word": "bad", "says": "The request is malformed."},
        {},
    ),
    "a bug": (
        lambda: ValueError("secret"),
        500,
        {
            "word": "ours",
            "says": "The service failed unexpectedly. Its log has the cause under this response's X-Request-ID.",
        },
        {},
    ),
}
HEADERS = ("accept-encoding", "www-authenticate", "retry-after", "allow")


class Body(BaseModel):
    model_config = ConfigDict(title="Body")

    host: str
    password: str


def client(raised: Exception | None = None) -> httpx.AsyncClient:
    app = FastAPI()

    @app.put("/thing")
    async def put(body: Body) -> dict[str, Any]:
        return {"host": body.host}

    @app.get("/thing")
    async def get() -> None:
        assert raised is not None
        raise raised

    STYLE.install(app)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://service.test")


@pytest.mark.parametrize("name", CASES)
async def test_error_of_a_route_is_answered_by_the_table(name: str) -> None:
    make, status, body, headers = CASES[name]
    async with client(make()) as http:
        answer = await http.get("/thing")

    assert answer.status_code == status
    assert answer.json() == body
    assert {key: answer.headers[key] for key in HEADERS if key in answer.headers} == headers
    assert answer.headers["content-type"] == "application/vnd.test+json"


async def test_unknown_paths_and_wrong_methods_have_the_same_shape() -> None:
    async with client() as http:
        nowhere, wrong = await http.get("/nothing"), await http.post("/thing")

    assert (nowhere.status_code, nowhere.json()) == (
        404,
        {"word": "where", "says": "This path does not exist."},
    )
    assert (wrong.status_code, wrong.headers["Allow"]) == (405, "GET, PUT")
    assert wrong.json() == {"word": "how", "says": "This path supports only GET, PUT."}


async def test_what_validation_refused_is_named_and_not_repeated() -> None:
    planted = Canary()
    async with client() as http:
        answer = await http.put("/thing", json={"password": planted.secret})

    assert (answer.status_code, answer.json()) == (400, {"word": "bad", "says": "host is missing."})
    planted.assert_nowhere(answer.content, repr(answer.headers))


def test_a_failed_test_has_its_report_beside_the_message() -> None:
    style = replace(STYLE, answers={request_errors.ConnectionTestFailed: ErrorResponse(400, "failed")})
    found = failure(FailureCode.HOST_NOT_FOUND, ProbeStage.RESOLVE)
    shown: Callable[[Any], Any] = lambda value: value  # noqa: E731  # a table's one column

    words, report = Vocabulary(STYLE.fields, shown), ProbeReport((), found)

    answer = style.failed_test(found, report, words)

    assert answer.status_code == 400
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"] == "application/vnd.test+json"
    assert json.loads(bytes(answer.body)) == {
        "word": "failed",
        "says": failure_sentence(found, words),
        "report": report_members(report, words),
    }
