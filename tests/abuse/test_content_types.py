"""Content types: JSON is read, with the parameters it may have, and nothing else is."""

import json

import pytest

from mailsettings.dialects.checkmarx.examples import STARTTLS
from mailsettings.dialects.oracle_analytics.examples import NO_AUTH, USERNAME_PASSWORD

from fakes import InMemoryStore
from service import MAIL_SERVER, SMTP_SETTINGS, Caller

CANARY = "canary-7c21a9d3"
TYPES = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json"]
TYPES += ["application/jsonp", "application/xml", "application/json, text/plain"]


@pytest.fixture
def store() -> InMemoryStore:
    """What is shown here does not depend on where the settings are kept."""
    return InMemoryStore()


@pytest.mark.parametrize("content_type", [*TYPES, None])
@pytest.mark.parametrize(("method", "path"), [("PUT", MAIL_SERVER), ("POST", SMTP_SETTINGS)])
async def test_a_body_said_to_be_something_else_is_a_415_that_repeats_none_of_it(
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
    ["application/json;v=1.0", "application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.x+json"],
)
@pytest.mark.parametrize(("method", "path"), [("PUT", MAIL_SERVER), ("POST", SMTP_SETTINGS)])
async def test_json_with_parameters_is_json(api: Caller, method: str, path: str, content_type: str) -> None:
    """Case 7."""
    body = NO_AUTH if path == MAIL_SERVER else STARTTLS

    answer = await api.send(
        method, path, content=json.dumps(body).encode(), headers={"Content-Type": content_type}
    )

    assert answer.is_success
