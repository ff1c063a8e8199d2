"""The audit log over HTTP."""

import pytest

from support.databases import LocalStore
from support.fakes import ScriptedProber
from support.service import SMTP_SETTINGS, Caller, client_of

NEW = {"host": "mail.example.org", "port": 25, "fromAddress": "a@b", "username": "u", "password": "canary-1"}


async def create(api: Caller, times: int) -> None:
    for _ in range(times):
        assert (await api.send("POST", SMTP_SETTINGS, json=NEW)).status_code == 201


async def test_an_entry_has_who_whence_and_what_without_secrets(api: Caller) -> None:
    created = await api.send("POST", SMTP_SETTINGS, json=NEW, headers={"X-Request-ID": "mine-1"})
    answer = await api("auditor").send("GET", "/audit")

    entry = answer.json()["entries"][-1]
    assert created.headers["x-request-id"] == "mine-1"
    assert (entry["actor"], entry["address"], entry["request_id"]) == ("admin", "127.0.0.1", "mine-1")
    assert (entry["action"], entry["target"], entry["outcome"]) == ("mail-server.create", "mail-server:1", "done")
    assert entry["details"]["host"] == {"before": None, "after": "mail.example.org"}
    assert answer.headers["cache-control"] == "no-store"
    assert "canary" not in answer.text


async def test_pages_say_where_the_next_page_begins(api: Caller) -> None:
    await create(api, 4)
    seen, after = [], 0
    while after is not None:
        page = (await api.send("GET", f"/audit?limit=2&after={after}")).json()
        seen += [entry["sequence"] for entry in page["entries"]]
        after = page["next_after"]

    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) == 5  # with the account of this test


@pytest.mark.parametrize("since", ["2999-01-01", "2999-01-01T10:00", "2999-01-01T10:00:00.5Z"])
async def test_what_is_older_is_left_out(api: Caller, since: str) -> None:
    assert (await api.send("GET", f"/audit?since={since}")).json() == {"entries": [], "next_after": None}
    assert (await api.send("GET", "/audit?since=2020-01-01")).json()["entries"]


@pytest.mark.parametrize("token", ["tester", "reader", "stranger"])
async def test_it_has_a_permission_of_its_own(api: Caller, token: str) -> None:
    refused = await api(token).send("GET", "/audit")

    assert (refused.status_code, refused.json()) == (403, {"message": "This needs the permission view-audit-log."})
    entry = (await api.send("GET", "/audit")).json()["entries"][-1]
    assert (entry["actor"], entry["action"], entry["outcome"]) == (token, "access", "refused")


async def test_a_stranger_learns_nothing(api: Caller) -> None:
    for path in ("/audit", "/audit/", "/audit/1"):
        refused = await api(None).send("GET", path)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(
    "query", ["since=yesterday", "since=canary'--", "limit=0", "limit=1001", "after=-1", "after=x"]
)
async def test_an_invalid_parameter_is_named_and_not_echoed(api: Caller, query: str) -> None:
    refused = await api.send("GET", f"/audit?{query}")

    assert refused.status_code == 400
    assert refused.json()["message"].startswith(query.partition("=")[0])
    assert "canary" not in refused.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_it_can_only_be_read(api: Caller, method: str) -> None:
    refused = await api.send(method, "/audit")

    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


async def test_every_response_has_a_request_id_without_unsafe_text(api: Caller) -> None:
    for sent in (None, "with space", "x" * 65, ""):
        headers = {} if sent is None else {"X-Request-ID": sent}
        answer = await api(None).send("GET", "/health/live", headers=headers)
        assert len(answer.headers["x-request-id"]) == 32


async def test_while_the_database_is_away_it_is_so_too(prober: ScriptedProber, local_store: LocalStore) -> None:
    local_store.away = True
    async with client_of(local_store, prober) as api:
        refused = await api.send("GET", "/audit")

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
