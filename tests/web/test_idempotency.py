"""The header Idempotency-Key: its valid values, and when it is checked."""

from typing import Any

import pytest

from support.databases import LocalStore, stored_in
from support.fakes import ScriptedProber
from support.request_bodies import checkmarx, checkmarx_test
from support.service import BASE_URL, MAIL_SERVER, SMTP_SETTINGS, Caller

BODIES: dict[str, Any] = {
    SMTP_SETTINGS: checkmarx("a password"),
    f"{SMTP_SETTINGS}/testconnection": checkmarx_test("a password"),
    f"{MAIL_SERVER}/actions/test": {"recipient": "to@example.org"},
}
EVERY = pytest.mark.parametrize("path", BODIES)


@pytest.fixture
def store(local_store: LocalStore) -> LocalStore:
    """How a header is read does not depend on where the settings are kept."""
    return local_store


@EVERY
@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "schlüssel", "a\tb", "\x7f"], ids=ascii)
async def test_invalid_key_is_a_400_that_names_the_header(
    api: Caller, store: LocalStore, prober: ScriptedProber, path: str, key: str
) -> None:
    headers = {"Idempotency-Key": key.encode("latin-1")}
    refused = await api.send("POST", path, json=BODIES[path], headers=headers)  # type: ignore[arg-type]  # httpx takes bytes

    message = "Send Idempotency-Key only once, with 1 to 255 visible ASCII characters."
    assert (refused.status_code, refused.json()["message"]) == (400, message)
    assert (await stored_in(store), prober.asked) == ([], [])


@EVERY
async def test_two_keys_are_a_400(api: Caller, store: LocalStore, prober: ScriptedProber, path: str) -> None:
    headers = [("Authorization", "Bearer admin"), ("Idempotency-Key", "a"), ("Idempotency-Key", "a")]
    refused = await api.http.post(BASE_URL + path, json=BODIES[path], headers=headers)

    assert refused.status_code == 400
    assert (await stored_in(store), prober.asked) == ([], [])


@pytest.mark.parametrize("key", ["!", "x" * 255, '"8e03978e-40d5-43dd-bc93-6894a57f9324"'], ids=len)
async def test_any_other_key_is_taken(api: Caller, store: LocalStore, key: str) -> None:
    headers, body = {"Idempotency-Key": key}, BODIES[SMTP_SETTINGS]
    answers = [await api.send("POST", SMTP_SETTINGS, json=body, headers=headers) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert [stored.id for stored in await stored_in(store)] == [1]


@EVERY
async def test_missing_permission_is_reported_before_the_key_is_checked(api: Caller, path: str) -> None:
    refused = await api("reader").send("POST", path, json=BODIES[path], headers={"Idempotency-Key": ""})

    assert refused.status_code == 403
