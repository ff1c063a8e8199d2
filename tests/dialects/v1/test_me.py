"""The caller over `/v1`: its permissions in words, its own password, and the end of its sessions."""

import logging

import pytest

from mailsettings.store.database import SQLStore

from support.canary import Canary
from support.databases import records
from support.service import Caller

ME = "admin-account"
"""A token of the account `admin`; the token `admin` stands for itself."""


@pytest.fixture
def kind() -> str:
    return "sqlite"


async def test_a_caller_reads_its_permissions_in_words(api: Caller) -> None:
    person = (await api(ME).send("GET", "/v1/me")).json()
    reader = (await api("reader").send("GET", "/v1/me")).json()

    assert (person["name"], person["kind"]) == ("admin", "user")
    assert "Manage the keys that encrypt secrets and sign access tokens." in {
        sentence for each in person["permissions"] for sentence in each["allows"]
    }
    assert reader == {
        "name": "reader",
        "kind": None,
        "permissions": [
            {"name": name, "allows": ["Read mail servers, their health and their history."]}
            for name in ("reader", "view-mail-settings")
        ],
    }


async def test_all_permissions_are_listed_for_every_caller(api: Caller) -> None:
    found = (await api("stranger").send("GET", "/v1/permissions")).json()

    assert {"admin", "auditor", "reader"} <= {each["name"] for each in found["items"]}
    assert all(each["allows"] for each in found["items"])


async def test_a_new_password_ends_all_sessions(
    api: Caller, store: SQLStore, caplog: pytest.LogCaptureFixture, canary: Canary
) -> None:
    caplog.set_level(logging.DEBUG)
    passwords = {"current_password": "correct horse", "new_password": str(canary)}
    login = {"grant_type": "password", "username": "admin"}
    changed = await api(ME).send("PUT", "/v1/me/password", json=passwords)
    old = await api(None).send("POST", "/v1/token", data={**login, "password": "correct horse"})
    new = await api(None).send("POST", "/v1/token", data={**login, "password": str(canary)})

    assert (changed.status_code, old.status_code, new.status_code) == (204, 400, 200)
    canary.assert_nowhere(caplog.text, repr(await records(store)), changed.text)


async def test_a_wrong_current_password_names_its_member_and_soon_waits(api: Caller) -> None:
    passwords = {"current_password": "wrong", "new_password": "battery staple"}
    first, *_, last = [await api(ME).send("PUT", "/v1/me/password", json=passwords) for _ in range(7)]

    assert first.status_code == 400
    assert [(each["pointer"], each["code"]) for each in first.json()["errors"]] == [
        ("#/current_password", "wrong")
    ]
    assert last.status_code == 429
    assert int(last.headers["Retry-After"]) > 0


async def test_a_short_new_password_is_refused(api: Caller) -> None:
    passwords = {"current_password": "correct horse", "new_password": "short"}
    answer = await api(ME).send("PUT", "/v1/me/password", json=passwords)

    assert [each["pointer"] for each in answer.json()["errors"]] == ["#/new_password"]


async def test_ended_sessions_need_a_new_login(api: Caller, store: SQLStore) -> None:
    before = await api.send("GET", "/v1/accounts/admin")
    ended = await api(ME).send("DELETE", "/v1/me/sessions")

    assert (before.status_code, ended.status_code) == (200, 204)
    assert (await records(store))[-1].action == "account.end-sessions"


async def test_a_token_of_the_same_name_changes_no_account(api: Caller) -> None:
    passwords = {"current_password": "correct horse", "new_password": "battery staple"}

    assert (await api("admin").send("DELETE", "/v1/me/sessions")).status_code == 404
    assert (await api("admin").send("PUT", "/v1/me/password", json=passwords)).status_code == 404
