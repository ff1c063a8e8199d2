"""Idempotency-Key in each API: a repeated request gets the same response and takes effect once."""

import asyncio
from typing import Any

import httpx
import pytest

from mailsettings.domain.connection_test import FailureCode, ProbeReport, ProbeStage, SuggestedChange
from mailsettings.domain.findings import failure
from mailsettings.domain.mail_server import ConnectionSecurity
from mailsettings.domain.setting import Setting
from mailsettings.store.database_url import is_sqlite, sqlite_file

from support.canary import Canary
from support.fakes import ScriptedProber
from support.request_bodies import checkmarx, checkmarx_test, oracle
from support.service import MAIL_SERVER, SMTP_SETTINGS, Caller
from support.timeouts import GUARD_SECONDS

CREATE, TEST, ACTION = SMTP_SETTINGS, f"{SMTP_SETTINGS}/testconnection", f"{MAIL_SERVER}/actions/test"
BODIES: dict[str, Any] = {
    CREATE: checkmarx("a password"),
    TEST: checkmarx_test("a password"),
    ACTION: {"recipient": "to@example.org"},
}
OTHER_BODIES: dict[str, Any] = {
    CREATE: checkmarx("another password"),
    TEST: checkmarx_test("another password"),
    ACTION: {"recipient": "another@example.org"},
}
REPLAYED = "Idempotent-Replayed"
EVERY = pytest.mark.parametrize("path", BODIES)


async def post(api: Caller, path: str, key: str | None = "key-1", body: Any = None) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await api.send("POST", path, json=body or BODIES[path], headers=headers)


async def happened(api: Caller, prober: ScriptedProber) -> int:
    """How often something was made or tested, besides the first server."""
    return len((await api.send("GET", SMTP_SETTINGS)).json()) - 1 + len(prober.asked)


@pytest.fixture(autouse=True)
async def _first_server(api: Caller) -> None:
    await api.send("PUT", MAIL_SERVER, json=oracle("a password"))


@EVERY
async def test_same_request_takes_effect_once_with_the_same_response(
    api: Caller, prober: ScriptedProber, path: str
) -> None:
    first, again = await post(api, path), await post(api, path)

    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert first.is_success
    assert first.headers.get("Location") == again.headers.get("Location")
    assert (first.headers.get(REPLAYED), again.headers.get(REPLAYED)) == (None, "true")
    assert await happened(api, prober) == 1


@EVERY
async def test_without_same_key_and_caller_request_takes_effect_again(
    api: Caller, prober: ScriptedProber, path: str
) -> None:
    answers = [await post(api, path, key) for key in (None, None, "key-1", "key-2")]
    if path == TEST:
        answers.append(await post(api("tester"), path))

    assert {answer.is_success for answer in answers} == {True}
    assert {answer.headers.get(REPLAYED) for answer in answers} == {None}
    assert await happened(api, prober) == len(answers)


@EVERY
async def test_another_body_under_same_key_is_409_without_effect(
    api: Caller, prober: ScriptedProber, path: str
) -> None:
    await post(api, path)
    refused = await post(api, path, body=OTHER_BODIES[path])

    message = "This idempotency key was used for a different request; use a new key for each request."
    assert refused.status_code == 409
    assert refused.json() == ({"code": "Conflict"} if path == ACTION else {}) | {"message": message}
    assert await happened(api, prober) == 1


async def test_a_key_belongs_to_one_operation(api: Caller, prober: ScriptedProber) -> None:
    await post(api, CREATE, body=BODIES[TEST])
    refused = await post(api, TEST)

    assert refused.status_code == 409
    assert prober.asked == []


@pytest.mark.parametrize("path", [TEST, ACTION])
async def test_repeated_failed_test_gives_the_same_report_without_mail(
    api: Caller, prober: ScriptedProber, path: str
) -> None:
    change = SuggestedChange(Setting.SECURITY, ConnectionSecurity.NONE, ConnectionSecurity.STARTTLS)
    found = failure(FailureCode.ENCRYPTION_REQUIRED, ProbeStage.SENDER, changes=(change,))
    prober.report = ProbeReport((), found, milliseconds=5)
    answers = [await post(api, path) for _ in range(3)]

    assert {(answer.status_code, answer.content) for answer in answers} == {(400, answers[0].content)}
    assert [answer.headers.get(REPLAYED) for answer in answers] == [None, "true", "true"]
    assert len(prober.asked) == 1


@pytest.mark.parametrize("path", [TEST, ACTION])
async def test_repeat_of_running_test_is_409_with_retry_after(
    api: Caller, prober: ScriptedProber, path: str
) -> None:
    prober.hold = asyncio.Event()
    running = asyncio.create_task(post(api, path))
    async with asyncio.timeout(GUARD_SECONDS):
        while not prober.asked:  # noqa: ASYNC110  # the event happens on the other side of HTTP
            await asyncio.sleep(0.01)
        refused = await post(api, path)
    prober.hold.set()

    assert (await running).is_success
    assert (refused.status_code, refused.headers["Retry-After"]) == (409, "5")
    assert set(refused.json()) == ({"code", "message"} if path == ACTION else {"message"})
    assert len(prober.asked) == 1


async def test_a_refused_request_may_be_corrected_under_its_key(api: Caller) -> None:
    refused = await post(api, CREATE, body={"host": "mail.example.org"})
    accepted = await post(api, CREATE)

    assert (refused.status_code, accepted.status_code) == (400, 201)


async def test_neither_the_key_nor_the_body_is_anywhere(
    api: Caller, prober: ScriptedProber, canary: Canary, database_url: str
) -> None:
    """The log is searched by the canary itself, when the test ends."""
    key = Canary(plain=True)
    bodies = {CREATE: checkmarx(canary.secret), TEST: checkmarx_test(canary.secret)}
    answers = [await post(api, path, f"{path}{key}", body) for path, body in bodies.items() for _ in range(2)]
    answers += [await post(api, path, f"{path}{key}") for path in bodies]
    log = (await api.send("GET", "/audit")).content

    assert [answer.status_code for answer in answers] == [201, 201, 200, 200, 409, 409]
    for planted in (key, canary):
        planted.assert_nowhere(log, *(answer.content for answer in answers), *map(repr, prober.asked))
        if is_sqlite(database_url):
            planted.assert_nowhere(sqlite_file(database_url).parent)
