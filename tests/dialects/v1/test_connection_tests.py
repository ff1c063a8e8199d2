"""Connection tests in `/v1`: reports and events, the stored secret, and repeats that send nothing twice."""

import json
from typing import Any

import pytest

from mailsettings.domain.connection_test import FailureCode, Outcome, ProbeReport, ProbeStage, StageReport
from mailsettings.domain.findings import failure

from support.canary import Canary
from support.fakes import ScriptedProber
from support.service import Caller

SERVERS = "/v1/mail-servers"
EVENTS = {"Accept": "text/event-stream"}
FAILS = ProbeReport(
    (StageReport(ProbeStage.RESOLVE, Outcome.PASSED), StageReport(ProbeStage.CONNECT, Outcome.FAILED)),
    failure(FailureCode.CONNECTION_REFUSED, ProbeStage.CONNECT),
)
LOGIN = {"kind": "password", "username": "reports@example.com"}
SETTINGS: dict[str, Any] = {
    "host": "mail.example.com",
    "sender": {"address": "reports@example.com"},
    "authentication": LOGIN,
}


@pytest.fixture
def kind() -> str:
    return "sqlite"


async def created(api: Caller, name: str = "relay", secret: str = "correct horse", **changes: Any) -> None:
    login = {**LOGIN, "password": secret}
    answer = await api.send("POST", SERVERS, json={**SETTINGS, "name": name, "authentication": login, **changes})
    assert answer.status_code == 201


def events_of(text: str) -> list[tuple[str, Any]]:
    blocks = [block.split("\n") for block in text.split("\n\n") if block and not block.startswith(":")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


def secret_sent(prober: ScriptedProber) -> str | None:
    server, _recipient = prober.asked[-1]
    return None if server.secret is None else server.secret.reveal()


async def test_a_failed_test_is_a_result_and_no_error(api: Caller, prober: ScriptedProber) -> None:
    await created(api)
    prober.report = FAILS
    answer = await api.send("POST", f"{SERVERS}/relay/test", json={"recipient": "me@example.com"})

    assert answer.status_code == 200
    assert (answer.json()["succeeded"], answer.json()["failure"]["code"]) == (False, "connection_refused")
    assert prober.asked[0][1] == "me@example.com"


async def test_the_same_test_as_events(api: Caller, prober: ScriptedProber) -> None:
    await created(api)
    prober.report = FAILS
    answer = await api.send("POST", f"{SERVERS}/relay/test", headers=EVENTS)
    events = events_of(answer.text)

    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert (answer.headers["Cache-Control"], answer.headers["X-Accel-Buffering"]) == ("no-store", "no")
    assert "id:" not in answer.text
    assert "retry:" not in answer.text
    assert [name for name, _ in events] == ["begun", "stage", "stage", "done"]
    assert events[0][1] == {"stages": ["resolve", "connect"]}
    assert events[-1][1]["failure"]["code"] == "connection_refused"


@pytest.mark.parametrize("headers", [{}, EVENTS], ids=["json", "events"])
async def test_refusals_before_the_start_are_problems(api: Caller, headers: dict[str, str]) -> None:
    await created(api, enabled=False)
    unknown = await api.send("POST", f"{SERVERS}/nothing/test", headers=headers)
    disabled = await api.send("POST", f"{SERVERS}/relay/test", headers=headers)

    assert [answer.json()["code"] for answer in (unknown, disabled)] == [
        "mail_server_not_found",
        "mail_server_disabled",
    ]


@pytest.mark.parametrize("headers", [{}, EVENTS], ids=["json", "events"])
async def test_a_repeat_returns_the_stored_report(
    api: Caller, prober: ScriptedProber, headers: dict[str, str]
) -> None:
    await created(api)
    keyed = {"Idempotency-Key": "key-1", **headers}
    first = await api.send("POST", f"{SERVERS}/1/test", headers=keyed)
    again = await api.send("POST", f"{SERVERS}/1/test", headers=keyed)

    assert len(prober.asked) == 1
    assert again.headers["Idempotent-Replayed"] == "true"
    if headers:
        assert events_of(again.text) == [events_of(first.text)[-1]]
    else:
        assert again.json() == first.json()


async def test_given_settings_use_no_stored_secret(api: Caller, prober: ScriptedProber) -> None:
    await created(api)

    assert (await api.send("POST", "/v1/tests", json={"settings": SETTINGS})).status_code == 200
    assert secret_sent(prober) is None


async def test_based_on_lends_the_secret_to_the_same_destination(api: Caller, prober: ScriptedProber) -> None:
    await created(api)
    changed = {**SETTINGS, "sender": {"address": "other@example.com"}}
    answer = await api.send("POST", "/v1/tests", json={"settings": changed, "based_on": "relay"})

    assert answer.status_code == 200
    assert secret_sent(prober) == "correct horse"


async def test_a_repeat_with_a_lent_secret_sends_nothing_twice(api: Caller, prober: ScriptedProber) -> None:
    await created(api)
    body = {"settings": SETTINGS, "based_on": "relay"}
    first, again = [
        await api.send("POST", "/v1/tests", json=body, headers={"Idempotency-Key": "once"}) for _ in range(2)
    ]

    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert len(prober.asked) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"host": "evil.example.com"},
        {"port": 2525},
        {"security": "none"},
        {"authentication": {**LOGIN, "username": "x"}},
    ],
)
async def test_based_on_lends_the_secret_to_no_other(
    api: Caller, prober: ScriptedProber, change: dict[str, Any]
) -> None:
    await created(api)
    answer = await api.send("POST", "/v1/tests", json={"settings": {**SETTINGS, **change}, "based_on": "1"})

    assert (answer.status_code, answer.json()["code"]) == (400, "secret_needed_again")
    assert [each["pointer"] for each in answer.json()["errors"]] == ["#/settings/authentication/password"]
    assert prober.asked == []


async def test_wrong_members_of_a_test_are_named(api: Caller) -> None:
    given = await api.send("POST", "/v1/tests", json={"settings": {"host": ""}, "recipient": "x y"})
    stored = await api.send("POST", f"{SERVERS}/1/test", json={"recipient": 5, "to": 1})

    assert {each["pointer"] for each in given.json()["errors"]} == {
        "#/settings/host",
        "#/settings/sender",
        "#/recipient",
    }
    assert {each["pointer"] for each in stored.json()["errors"]} == {"#/recipient", "#/to"}


async def test_several_servers_are_tested_by_filter(api: Caller, prober: ScriptedProber) -> None:
    await created(api, "relay-berlin", labels={"site": "berlin"})
    await created(api, "relay-hamburg", labels={"site": "hamburg"})
    await created(api, "old", labels={"site": "berlin"}, enabled=False)
    some = await api.send("POST", f"{SERVERS}/test", json={"filter": {"label": ["site=berlin"]}})
    every = await api.send("POST", f"{SERVERS}/test", headers=EVENTS)
    events = events_of(every.text)

    assert [each["mail_server"] for each in some.json()["items"]] == [{"id": 1, "name": "relay-berlin"}]
    assert events[0] == (
        "mail_servers",
        {"items": [{"id": 1, "name": "relay-berlin"}, {"id": 2, "name": "relay-hamburg"}]},
    )
    assert {data["mail_server"]["id"] for name, data in events[1:] if name == "done"} == {1, 2}
    assert len(prober.asked) == 3


async def test_a_repeat_of_several_tests_sends_nothing_twice(api: Caller, prober: ScriptedProber) -> None:
    await created(api, "first")
    await created(api, "second")
    keyed = {"Idempotency-Key": "key-1"}
    answers = [await api.send("POST", f"{SERVERS}/test", json={}, headers=keyed) for _ in range(2)]
    other = await api.send("POST", f"{SERVERS}/test", json={"filter": {"name": "first"}}, headers=keyed)

    assert answers[0].json() == answers[1].json()
    assert len(prober.asked) == 2
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")


async def test_no_event_has_the_secret(api: Caller, prober: ScriptedProber, canary: Canary) -> None:
    await created(api, secret=canary.secret)
    given = {**SETTINGS, "authentication": {**LOGIN, "password": canary.secret}}
    calls: list[tuple[str, Any]] = [
        (f"{SERVERS}/1/test", {}),
        (f"{SERVERS}/test", {}),
        ("/v1/tests", {"settings": given}),
        ("/v1/tests", {"settings": {**given, "host": canary.secret}, canary.secret: 1}),
    ]
    answers = [
        await api.send("POST", path, json=body, headers=headers)
        for path, body in calls
        for headers in ({}, EVENTS)
    ]

    canary.assert_nowhere(*(answer.text for answer in answers))
