"""Going back to the mail server before the last change: an extension of this API."""

import pytest

from mailsettings.dialects.oracle_analytics.examples import NO_AUTH

from support.canary import Canary
from support.databases import LocalStore, records, stored_in
from support.request_bodies import oracle
from support.service import MAIL_SERVER, Caller

ROLLBACK = f"{MAIL_SERVER}/actions/rollback"
OTHER = {**NO_AUTH, "host": "other.example.org"}


@pytest.fixture
def store(local_store: LocalStore) -> LocalStore:
    return local_store


async def test_the_server_of_before_is_back_and_shown(api: Caller) -> None:
    await api.send("PUT", MAIL_SERVER, json=NO_AUTH)
    await api.send("PUT", MAIL_SERVER, json=OTHER)
    answer = await api.send("POST", ROLLBACK)
    read = await api.send("GET", MAIL_SERVER)

    assert (answer.status_code, answer.json()) == (200, read.json())
    assert read.json()["host"] == NO_AUTH["host"]
    assert answer.headers["ETag"] == read.headers["ETag"]


async def test_a_removed_server_is_back(api: Caller) -> None:
    await api.send("PUT", MAIL_SERVER, json=OTHER)
    await api.send("DELETE", MAIL_SERVER)

    assert (await api.send("POST", ROLLBACK)).json()["host"] == "other.example.org"


async def test_where_there_is_nothing_before_it_is_a_404(api: Caller) -> None:
    never = await api.send("POST", ROLLBACK)
    await api.send("PUT", MAIL_SERVER, json=NO_AUTH)
    first = await api.send("POST", ROLLBACK)

    assert [answer.status_code for answer in (never, first)] == [404, 404]
    assert first.json() == {"code": "NotFound", "message": "There is no earlier version to go back to."}


async def test_it_is_made_only_from_what_was_seen(api: Caller) -> None:
    await api.send("PUT", MAIL_SERVER, json=NO_AUTH)
    seen = (await api.send("GET", MAIL_SERVER)).headers["ETag"]
    await api.send("PUT", MAIL_SERVER, json=OTHER)
    refused = await api.send("POST", ROLLBACK, headers={"If-Match": seen})

    assert refused.status_code == 412
    assert (await api.send("GET", MAIL_SERVER)).json()["host"] == "other.example.org"


async def test_who_may_only_read_may_not_go_back(api: Caller) -> None:
    await api.send("PUT", MAIL_SERVER, json=NO_AUTH)
    await api.send("PUT", MAIL_SERVER, json=OTHER)

    assert (await api("reader").send("POST", ROLLBACK)).status_code == 403


async def test_the_secret_that_comes_back_is_not_shown(api: Caller, store: LocalStore, canary: Canary) -> None:
    await api.send("PUT", MAIL_SERVER, json=oracle(canary.secret))
    await api.send("PUT", MAIL_SERVER, json=NO_AUTH)
    answer = await api.send("POST", ROLLBACK)

    assert canary.secret not in answer.text
    stored = (await stored_in(store))[0].server.secret
    assert stored is not None
    assert stored.reveal() == canary.secret


async def test_repeated_rollback_has_one_effect_and_the_same_response(api: Caller, store: LocalStore) -> None:
    """A second time would undo the first."""
    key = {"Idempotency-Key": "key-1"}
    await api.send("PUT", MAIL_SERVER, json=NO_AUTH)
    await api.send("PUT", MAIL_SERVER, json=OTHER)
    answers = [await api.send("POST", ROLLBACK, headers=key) for _ in range(2)]
    await api.send("PUT", MAIL_SERVER, json=OTHER)
    answers.append(await api.send("POST", ROLLBACK, headers=key))

    assert {(each.status_code, each.content, each.headers["ETag"]) for each in answers} == {
        (200, answers[0].content, answers[0].headers["ETag"])
    }
    assert [each.headers.get("Idempotent-Replayed") for each in answers] == [None, "true", "true"]
    assert (await api.send("GET", MAIL_SERVER)).json()["host"] == "other.example.org"
    assert [record.action for record in await records(store)].count("mail-server.restore") == 1


async def test_a_repeat_whose_response_is_gone_is_a_409(api: Caller, store: LocalStore) -> None:
    key = {"Idempotency-Key": "key-1"}
    await api.send("PUT", MAIL_SERVER, json=NO_AUTH)
    await api.send("PUT", MAIL_SERVER, json=OTHER)
    await api.send("POST", ROLLBACK, headers=key)
    await api.send("PUT", MAIL_SERVER, json=OTHER)
    async with store.writing() as work:
        await work.mail_servers.forget_versions(1, 0)

    assert (await api.send("POST", ROLLBACK, headers=key)).status_code == 409
