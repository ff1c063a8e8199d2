"""Accounts and clients over `/v1`: who may manage whom, secrets shown once, waits, and the last manager."""

import logging
from datetime import datetime

import pytest

from mailsettings.domain.access import OPERATOR, Account, AccountKind
from mailsettings.store.database import SQLStore
from mailsettings.use_cases.accounts import ManageAccounts

from support.canary import Canary
from support.databases import account, records
from support.fakes import PlainPasswords
from support.service import Caller

ALICE = {"name": "alice", "permissions": ["reader"], "password": "correct horse"}
# The names that `support.fakes` grants; `admin` has all permissions.
ROBOT = {"name": "robot", "permissions": ["reader"]}


@pytest.fixture
def kind() -> str:
    return "sqlite"


async def test_an_account_is_created_read_changed_and_deleted(api: Caller) -> None:
    created = await api.send("POST", "/v1/accounts", json=ALICE)
    changed = await api.send("PUT", "/v1/accounts/alice/permissions", json={"permissions": ["tester", "reader"]})
    read = await api.send("GET", "/v1/accounts/alice")
    deleted = await api.send("DELETE", "/v1/accounts/alice")
    gone = await api.send("GET", "/v1/accounts/alice")

    assert (created.status_code, created.headers["Location"]) == (201, "http://service.test/v1/accounts/alice")
    assert created.json()["permissions"] == ["reader"]
    assert datetime.fromisoformat(created.json()["created_at"]).utcoffset() is not None
    assert (changed.status_code, changed.json()["permissions"]) == (200, ["reader", "tester"])
    assert changed.json() == read.json()
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert (gone.status_code, gone.json()["code"]) == (404, "account_not_found")


async def test_people_and_machines_are_listed_apart(api: Caller) -> None:
    await api.send("POST", "/v1/accounts", json=ALICE)
    await api.send("POST", "/v1/clients", json=ROBOT)
    people = (await api.send("GET", "/v1/accounts?limit=1")).json()
    rest = (await api.send("GET", f"/v1/accounts?limit=1&cursor={people['next_cursor']}")).json()
    machines = (await api.send("GET", "/v1/clients")).json()

    assert [each["name"] for each in people["items"] + rest["items"]] == ["admin", "alice"]
    assert rest["next_cursor"] is None
    assert [each["name"] for each in machines["items"]] == ["robot"]
    assert (await api.send("GET", "/v1/clients/alice")).status_code == 404


async def test_a_secret_is_shown_once_and_logs_in(api: Caller, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    created = await api.send("POST", "/v1/clients", json=ROBOT)
    first = Canary(made=created.json()["secret"])
    replaced = await api.send("POST", "/v1/clients/robot/new-secret")
    second = Canary(made=replaced.json()["secret"])
    login = {"grant_type": "client_credentials", "client_id": "robot"}
    old = await api(None).send("POST", "/v1/token", data={**login, "client_secret": str(first)})
    new = await api(None).send("POST", "/v1/token", data={**login, "client_secret": str(second)})
    audit = await api.send("GET", "/v1/audit-log")
    read = await api.send("GET", "/v1/clients/robot")

    assert created.headers["Cache-Control"] == replaced.headers["Cache-Control"] == "no-store"
    assert (old.status_code, new.status_code) == (400, 200)
    assert len(str(first)) >= 43  # 256 bits in base64
    for canary in (first, second):
        canary.assert_nowhere(caplog.text, audit.text, read.text)


async def test_passwords_are_nowhere_but_in_the_request(
    api: Caller, store: SQLStore, caplog: pytest.LogCaptureFixture, canary: Canary
) -> None:
    caplog.set_level(logging.DEBUG)
    answers = [
        await api.send("POST", "/v1/accounts", json={**ALICE, "password": str(canary)}),
        await api.send("POST", "/v1/accounts", json={**ALICE, "password": str(canary)}),
        await api.send("POST", "/v1/accounts", json={**ALICE, "name": str(canary), "colour": str(canary)}),
        await api.send("PUT", "/v1/accounts/alice/password", json={"password": str(canary)}),
        await api.send("PUT", "/v1/accounts/alice/password", json={"pass word": str(canary)}),
        await api.send("GET", "/v1/accounts/alice"),
    ]

    assert [answer.status_code for answer in answers] == [201, 409, 400, 204, 400, 200]
    canary.assert_nowhere(caplog.text, repr(await records(store)), *(answer.text for answer in answers))


async def test_all_wrong_members_are_named_together(api: Caller) -> None:
    sent = {"name": "operator:eve", "password": "short", "colour": "red"}
    answer = await api.send("POST", "/v1/accounts", json=sent)
    unknown = await api.send("POST", "/v1/accounts", json={**ALICE, "permissions": ["reader", "everything"]})

    assert answer.status_code == unknown.status_code == 400
    assert {each["pointer"] for each in answer.json()["errors"]} == {
        "#/name",
        "#/permissions",
        "#/password",
        "#/colour",
    }
    assert [each["pointer"] for each in unknown.json()["errors"]] == ["#/permissions/1"]
    assert "everything" not in unknown.text


async def test_a_name_is_given_once_to_people_and_machines(api: Caller) -> None:
    await api.send("POST", "/v1/accounts", json=ALICE)
    again = await api.send("POST", "/v1/clients", json={"name": "alice", "permissions": []})

    assert (again.status_code, again.json()["code"]) == (409, "account_exists")


async def test_a_locked_account_shows_its_wait_until_unlocked(api: Caller) -> None:
    await api.send("POST", "/v1/accounts", json=ALICE)
    login = {"grant_type": "password", "username": "alice"}
    before = (await api.send("GET", "/v1/accounts/alice")).json()
    await api(None).send("POST", "/v1/token", data={**login, "password": "correct horse"})
    for _ in range(6):
        await api(None).send("POST", "/v1/token", data={**login, "password": "wrong"})
    locked = (await api.send("GET", "/v1/accounts/alice")).json()
    unlocked = await api.send("POST", "/v1/accounts/alice/unlock")
    after = (await api.send("GET", "/v1/accounts/alice")).json()

    assert (before["locked_until"], before["last_login_at"], before["failed_logins"]) == (None, None, 0)
    assert locked["locked_until"].endswith("Z")
    assert locked["last_login_at"].endswith("Z")
    assert locked["failed_logins"] >= 5
    assert unlocked.status_code == 204
    assert (after["locked_until"], after["failed_logins"]) == (None, 0)


async def test_the_last_manager_is_deleted_only_on_request(api: Caller, store: SQLStore) -> None:
    refused = await api.send("DELETE", "/v1/accounts/admin")
    kept = await api.send("PUT", "/v1/accounts/admin/permissions", json={"permissions": ["reader"]})

    assert (refused.status_code, refused.json()["code"]) == (409, "last_account_manager")
    assert "last account that may manage accounts" in refused.json()["detail"]
    assert kept.status_code == 409
    assert (await account(store, "admin")).account.grants == {"admin"}
    assert (await api.send("DELETE", "/v1/accounts/admin?even_last=true")).status_code == 204


async def test_a_manager_neither_grants_nor_manages_more_than_it_has(api: Caller, store: SQLStore) -> None:
    manager = api("accountant")
    created = await manager.send("POST", "/v1/accounts", json={**ALICE, "permissions": ["accountant"]})
    above = await manager.send("POST", "/v1/accounts", json={**ALICE, "name": "bob"})
    deleted = await manager.send("DELETE", "/v1/accounts/admin?even_last=true")
    password = await manager.send("PUT", "/v1/accounts/admin/password", json={"password": "correct horse"})

    assert created.status_code == 201
    assert [each.status_code for each in (above, deleted, password)] == [403, 403, 403]
    assert "reader" in above.json()["detail"] or "view-mail-settings" in above.json()["detail"]
    assert {each.name for each in await ManageAccounts(store, PlainPasswords()).list()} == {"admin", "alice"}


async def test_odd_names_work_in_paths(api: Caller, store: SQLStore) -> None:
    name = "Zoë & Søn (50 %)?#"
    robot = Account(name, frozenset(), AccountKind.CLIENT)
    await ManageAccounts(store, PlainPasswords()).add(OPERATOR, robot, "correct horse")
    path = "/v1/clients/Zo%C3%AB%20%26%20S%C3%B8n%20(50%20%25)%3F%23"

    assert (await api.send("GET", path)).json()["name"] == name
