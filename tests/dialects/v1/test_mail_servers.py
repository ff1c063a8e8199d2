"""Mail servers in `/v1`: every setting, patches, preconditions, versions, the default, and secrets that stay."""

from datetime import UTC, datetime
from typing import Any

import pytest

from mailsettings.dialects.v1.mail_servers.changes import merge_patch
from mailsettings.dialects.v1.mail_servers.examples import CERTIFICATE
from mailsettings.store.database import SQLStore

from support.canary import Canary
from support.service import BASE_URL, Caller

SERVERS = "/v1/mail-servers"
LOGIN = {"kind": "password", "username": "reports@example.com"}


@pytest.fixture
def kind() -> str:
    return "sqlite"


def settings(secret: str | None = "correct horse", **changes: Any) -> dict[str, Any]:
    login = LOGIN if secret is None else {**LOGIN, "password": secret}
    return {
        "name": "relay-berlin",
        "host": "mail.example.com",
        "sender": {"address": "reports@example.com", "name": "Reports"},
        "authentication": login,
        **changes,
    }


async def created(api: Caller, secret: str = "correct horse", **changes: Any) -> dict[str, Any]:
    answer = await api.send("POST", SERVERS, json=settings(secret, **changes))
    assert answer.status_code == 201, answer.text
    view: dict[str, Any] = answer.json()
    return view


async def secret_of(store: SQLStore, server_id: int = 1) -> str | None:
    async with store.reading() as view:
        found = await view.mail_servers.find(server_id)
    assert found is not None
    return None if found.server.secret is None else found.server.secret.reveal()


async def test_a_new_mail_server_is_at_its_location(api: Caller) -> None:
    answer = await api.send("POST", SERVERS, json=settings())
    path = answer.headers["Location"].removeprefix(BASE_URL)
    shown = await api.send("GET", path)

    assert shown.json() == answer.json()
    assert shown.headers["ETag"] == answer.headers["ETag"]
    assert not shown.headers["ETag"].startswith("W/")
    assert (await api.send("GET", f"{SERVERS}/relay-berlin")).json() == answer.json()


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({}, (587, "starttls")),
        ({"security": "implicit_tls"}, (465, "implicit_tls")),
        ({"security": "none"}, (25, "none")),
        ({"port": 465}, (465, "implicit_tls")),
        ({"port": 2525}, (2525, "starttls")),
        ({"port": 587.0}, (587, "starttls")),
    ],
)
async def test_port_and_security_default_together(
    api: Caller, sent: dict[str, Any], expected: tuple[int, str]
) -> None:
    view = await created(api, **sent)

    assert (view["port"], view["security"]) == expected


async def test_every_wrong_member_is_named_at_once(api: Caller) -> None:
    wrong = {
        "id": 7,
        "nmae": "x",
        "PORT": 25,
        "port": 0,
        "trust": {"kind": "certificates", "pem": "no certificate"},
        "sender": {"address": "a@example.com", "name": "\u0007"},
        "authentication": {"kind": "password", "username": 5, "password": "********"},
        "labels": {"A B": "x"},
    }
    problem = (await api.send("POST", SERVERS, json=wrong)).json()

    assert {each["pointer"]: each["code"] for each in problem["errors"]} == {
        "#/id": "invalid",
        "#/nmae": "unknown",
        "#/PORT": "unknown",
        "#/port": "too_small",
        "#/host": "missing",
        "#/trust/pem": "invalid",
        "#/sender/name": "invalid",
        "#/authentication/username": "wrong_type",
        "#/authentication/password": "invalid",
        "#/labels": "invalid",
    }


@pytest.mark.parametrize("authentication", [{"kind": "kerberos"}, {"username": "a"}])
async def test_a_wrong_kind_points_at_the_kind(api: Caller, authentication: dict[str, Any]) -> None:
    problem = (await api.send("POST", SERVERS, json=settings(authentication=authentication))).json()

    assert [each["pointer"] for each in problem["errors"]] == ["#/authentication/kind"]


async def test_what_get_shows_can_be_put_back(api: Caller, store: SQLStore) -> None:
    view = await created(api, labels={"site": "berlin"}, description="Relay", security="implicit_tls")
    answer = await api.send("PUT", f"{SERVERS}/1", json=view)
    same = {name for name in view if answer.json()[name] == view[name]}

    assert answer.status_code == 200
    assert set(view) - same == {"version", "changed_at"}
    assert await secret_of(store) == "correct horse"


async def test_put_refuses_an_old_version_by_name(api: Caller) -> None:
    view = await created(api)
    await api.send("PATCH", f"{SERVERS}/1", json={"description": "changed"})
    answer = await api.send("PUT", f"{SERVERS}/1", json=view)

    assert answer.status_code == 400
    assert {each["pointer"] for each in answer.json()["errors"]} == {"#/version", "#/changed_at"}


async def test_put_never_creates(api: Caller) -> None:
    assert (await api.send("PUT", f"{SERVERS}/relay-berlin", json=settings())).status_code == 404


@pytest.mark.parametrize(
    ("original", "patch", "result"),
    [
        # RFC 7396, appendix A.
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_patches_merge_as_the_rfc_says(original: Any, patch: Any, result: Any) -> None:
    assert merge_patch(original, patch) == result


@pytest.mark.parametrize("media_type", ["application/merge-patch+json", "application/json"])
async def test_a_patch_changes_what_it_names(api: Caller, store: SQLStore, media_type: str) -> None:
    await created(api, labels={"site": "berlin", "team": "mail"})
    answer = await api.send(
        "PATCH",
        f"{SERVERS}/1",
        content=b'{"labels": {"team": null}, "sender": {"name": null}, "name": "relay-hamburg"}',
        headers={"Content-Type": media_type},
    )

    assert answer.status_code == 200
    view = answer.json()
    assert (view["name"], view["labels"], view["sender"]) == (
        "relay-hamburg",
        {"site": "berlin"},
        {"address": "reports@example.com", "name": None},
    )
    assert await secret_of(store) == "correct horse"


@pytest.mark.parametrize(
    ("patch", "secret"),
    [
        ({"authentication": {"password": "another"}}, "another"),
        ({"authentication": {"password": None}}, None),
        ({"authentication": {"kind": "none"}}, None),
        ({"authentication": {"kind": "password"}}, "correct horse"),
        ({"host": "MAIL.example.com"}, "correct horse"),
        ({"host": "other.example.com", "authentication": {"password": "another"}}, "another"),
    ],
)
async def test_a_patch_of_the_secret(
    api: Caller, store: SQLStore, patch: dict[str, Any], secret: str | None
) -> None:
    await created(api)

    assert (await api.send("PATCH", f"{SERVERS}/1", json=patch)).status_code == 200
    assert await secret_of(store) == secret


@pytest.mark.parametrize(
    "change",
    [
        {"host": "evil.example.com"},
        {"port": 2525},
        {"security": "none"},
        {"trust": {"kind": "certificates", "pem": CERTIFICATE}},
        {"authentication": {"username": "another"}},
    ],
)
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_another_destination_needs_the_secret_again(
    api: Caller, store: SQLStore, method: str, change: dict[str, Any]
) -> None:
    view = await created(api)
    login = {**view["authentication"], **change.get("authentication", {})}
    sent = change if method == "PATCH" else {**view, **change, "authentication": login}
    answer = await api.send(method, f"{SERVERS}/1", json=sent)

    assert (answer.status_code, answer.json()["code"]) == (400, "secret_needed_again")
    assert [each["pointer"] for each in answer.json()["errors"]] == ["#/authentication/password"]
    assert await secret_of(store) == "correct horse"


async def test_another_kind_of_login_keeps_no_old_members(api: Caller) -> None:
    await created(api)
    login = {"kind": "oauth2_client_credentials", "username": "a@example.com", "tenant": "t.example.com"}
    lacking = await api.send("PATCH", f"{SERVERS}/1", json={"authentication": login})
    whole = {**login, "client_id": "app", "client_secret": "the client secret"}
    answer = await api.send("PATCH", f"{SERVERS}/1", json={"authentication": whole})

    assert [each["pointer"] for each in lacking.json()["errors"]] == ["#/authentication/client_id"]
    assert set(answer.json()["authentication"]) == {*whole}


async def test_a_taken_name_is_a_conflict(api: Caller) -> None:
    await created(api)
    answer = await api.send("POST", SERVERS, json=settings())

    assert (answer.status_code, answer.json()["code"]) == (409, "name_taken")
    assert [each["pointer"] for each in answer.json()["errors"]] == ["#/name"]


async def test_a_changed_server_is_a_412_that_names_the_editor(api: Caller) -> None:
    """RFC 9110 13.1.1."""
    await api.send("POST", SERVERS, json=settings())
    tag = (await api.send("GET", f"{SERVERS}/1")).headers["ETag"]
    first = await api.send("PATCH", f"{SERVERS}/1", json={"description": "x"}, headers={"If-Match": tag})
    second = await api.send("PATCH", f"{SERVERS}/1", json={"description": "y"}, headers={"If-Match": tag})

    assert (first.status_code, second.status_code) == (200, 412)
    assert "changed by admin" in second.json()["detail"]


async def test_a_repeated_create_stores_one_server(api: Caller) -> None:
    once = {"Idempotency-Key": "key-1"}
    answers = [await api.send("POST", SERVERS, json=settings(), headers=once) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["Idempotent-Replayed"] == "true"


async def test_the_default_is_chosen_and_cleared(api: Caller) -> None:
    await created(api)
    none = await api.send("GET", f"{SERVERS}/default")
    chosen = await api.send("PUT", f"{SERVERS}/default", json={"name": "relay-berlin"})
    refused = await api.send("POST", f"{SERVERS}/1/disable")
    cleared = await api.send("DELETE", f"{SERVERS}/default")
    disabled = await api.send("POST", f"{SERVERS}/1/disable")

    assert (none.status_code, chosen.json()["default"]) == (404, True)
    assert refused.json()["code"] == "default_mail_server_in_use"
    assert (cleared.status_code, disabled.json()["enabled"]) == (204, False)
    assert disabled.json()["health"]["state"] == "disabled"


@pytest.mark.parametrize("choice", [{}, {"id": 1, "name": "relay-berlin"}])
async def test_a_choice_is_by_id_or_by_name(api: Caller, choice: dict[str, Any]) -> None:
    assert (await api.send("PUT", f"{SERVERS}/default", json=choice)).status_code == 400


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("name=berlin", ["relay-berlin"]),
        ("label=site", ["relay-berlin", "old"]),
        ("label=site=hamburg", ["old"]),
        ("label=site&label=team=mail", ["relay-berlin"]),
        ("enabled=false", ["old"]),
        ("health=disabled", ["old"]),
        ("health=failing", []),
    ],
)
async def test_lists_are_filtered(api: Caller, query: str, names: list[str]) -> None:
    await created(api, labels={"site": "berlin", "team": "mail"})
    await created(api, name="old", labels={"site": "hamburg"}, enabled=False)
    found = (await api.send("GET", f"{SERVERS}?{query}")).json()["items"]

    assert [each["name"] for each in found] == names


async def test_versions_show_what_changed_and_come_back(api: Caller, store: SQLStore) -> None:
    await created(api)
    await api.send("PATCH", f"{SERVERS}/1", json={"port": 2525, "authentication": {"password": "another"}})
    versions = (await api.send("GET", f"{SERVERS}/1/versions")).json()["items"]
    compared = (await api.send("GET", f"{SERVERS}/1/versions/1/diff")).json()
    restored = await api.send("POST", f"{SERVERS}/1/versions/1/restore")

    assert [(each["version"], each["secret"], each["changed_by"]) for each in versions] == [
        (2, "replaced", "admin"),
        (1, "set", "admin"),
    ]
    assert {"field": "port", "before": 587, "after": 2525} in versions[0]["changes"]
    assert compared["changes"] == versions[0]["changes"]
    assert (restored.json()["port"], restored.json()["version"]) == (587, 3)
    assert await secret_of(store) == "correct horse"


async def test_the_day_of_a_secret_is_shown_until_cleared(api: Caller) -> None:
    await created(api)
    entered = await api.send("PUT", f"{SERVERS}/1/secret-expiry", json={"expires_on": "2027-05-31"})
    cleared = await api.send("DELETE", f"{SERVERS}/1/secret-expiry")
    after = await api.send("GET", f"{SERVERS}/1")

    assert entered.json()["authentication"]["password"]["expires_on"] == "2027-05-31"
    assert entered.json()["health"]["secret_expires_on"] == "2027-05-31"
    assert cleared.status_code == 204
    assert after.json()["authentication"]["password"]["expires_on"] is None


async def test_a_secret_shows_when_it_was_given(api: Caller) -> None:
    before = datetime.now(UTC)
    first = (await created(api))["authentication"]["password"]["stored_at"]
    kept = (await api.send("PATCH", f"{SERVERS}/1", json={"description": "x"})).json()
    restored = (await api.send("POST", f"{SERVERS}/1/versions/1/restore")).json()
    changed = {"authentication": {"password": "battery staple"}}
    new = (await api.send("PATCH", f"{SERVERS}/1", json=changed)).json()

    assert before <= datetime.fromisoformat(first) <= datetime.now(UTC)
    assert [view["authentication"]["password"]["stored_at"] for view in (kept, restored)] == [first, first]
    assert new["authentication"]["password"]["stored_at"] > first


async def test_no_answer_and_no_log_has_the_secret(api: Caller, canary: Canary) -> None:
    sent: list[tuple[str, str, Any]] = [
        ("POST", "", settings(canary.secret)),
        ("POST", "", settings(canary.secret, port="x", **{canary.secret: canary.secret})),
        ("POST", "", settings(name=canary.secret, labels={canary.secret: 5}, host=canary.secret + " x")),
        ("POST", "", settings(authentication={"kind": canary.secret, "password": [canary.secret]})),
        ("GET", "?fields=" + canary.secret, None),
        ("GET", "?health=" + canary.secret, None),
        ("GET", "/1", None),
        ("PATCH", "/1", {"authentication": {"password": canary.secret, canary.secret: 1}}),
        ("PATCH", "/1", {"authentication": {"password": canary.secret}}),
        ("PATCH", "/1", {"host": "evil.example.com"}),
        ("GET", "/1/versions", None),
        ("GET", "/1/versions/1/diff?to=" + canary.secret, None),
        ("PUT", "/default", {"name": canary.secret}),
        ("PUT", "/1/secret-expiry", {"expires_on": canary.secret}),
    ]
    answers = [await api.send(method, SERVERS + path, json=body) for method, path, body in sent]

    assert [answer.status_code for answer in answers if answer.status_code >= 500] == []
    canary.assert_nowhere(*(answer.text for answer in answers), *(str(answer.headers) for answer in answers))
