"""Devices and the message log over `/v1`: secrets shown once, patches, conflicts, filters and pages."""

import logging
import socket
from datetime import datetime, timedelta
from typing import Any

import pytest

from mailsettings.bootstrap.use_cases import submission_addresses
from mailsettings.domain.listening import RelayListener
from mailsettings.domain.message_log import MessageResult, logged
from mailsettings.settings import Settings
from mailsettings.store.database import SQLStore
from mailsettings.store.database_url import sqlite_file

from support.canary import Canary
from support.messages import START, message
from support.service import Caller

SCANNER = {
    "name": "scanner-3",
    "senders": ["scan@example.com"],
    "networks": ["10.1.0.0/16"],
    "messages_per_minute": 30,
}
LAB = {"name": "lab", "networks": ["10.9.0.0/24", "192.0.2.7"], "trusts_network": True}


@pytest.fixture
def kind() -> str:
    return "sqlite"


async def test_a_device_is_created_read_changed_and_deleted(api: Caller) -> None:
    created = await api.send("POST", "/v1/devices", json=SCANNER)
    device_id = created.json()["id"]
    read = await api.send("GET", "/v1/devices/scanner-3")
    patch = {"description": "third floor", "messages_per_minute": None, "name": "scanner-4"}
    changed = await api.send("PATCH", f"/v1/devices/{device_id}", json=patch)
    disabled = await api.send("POST", "/v1/devices/scanner-4/disable")
    enabled = await api.send("POST", "/v1/devices/scanner-4/enable")
    deleted = await api.send("DELETE", "/v1/devices/scanner-4")
    gone = await api.send("GET", f"/v1/devices/{device_id}")

    assert (created.status_code, created.headers["Location"]) == (
        201,
        f"http://service.test/v1/devices/{device_id}",
    )
    assert read.json() == {
        "id": device_id,
        "description": "",
        "enabled": True,
        "from_domains": [],
        "trusts_network": False,
        "mail_server": None,
        "mail_server_problem": "missing",
        "sends_as_stored_sender": False,
        "sends_null_sender": False,
        "max_recipients": 100,
        "max_message_bytes": None,
        "version": 2,
        "created_by": "admin",
        "changed_by": "admin",
        "last_used_at": None,
        "last_peer": None,
        **{name: read.json()[name] for name in ("created_at", "changed_at", "secret_stored_at")},
        **SCANNER,
    }
    assert datetime.fromisoformat(read.json()["secret_stored_at"]).utcoffset() == timedelta(0)
    now = changed.json()
    assert {**read.json(), **patch, "version": 3, "changed_at": now["changed_at"]} == now
    assert (disabled.json()["enabled"], enabled.json()["enabled"]) == (False, True)
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert (gone.status_code, gone.json()["code"]) == (404, "device_not_found")


async def test_a_patch_changes_only_its_members(api: Caller) -> None:
    full = {
        **SCANNER,
        "from_domains": ["Example.com"],
        "max_recipients": 5,
        "max_message_bytes": 4096,
        "enabled": False,
        "sends_as_stored_sender": True,
        "sends_null_sender": True,
        "description": "x",
    }
    await api.send("POST", "/v1/devices", json=full)
    before = (await api.send("GET", "/v1/devices/scanner-3")).json()
    empty = (await api.send("PATCH", "/v1/devices/scanner-3", json={})).json()
    nulls = (await api.send("PATCH", "/v1/devices/scanner-3", json=dict.fromkeys(full))).json()

    assert empty == before
    assert {name: before[name] for name in full} == full
    assert {name: nulls[name] for name in full} == {
        "name": "scanner-3",
        "senders": [],
        "networks": [],
        "messages_per_minute": None,
        "from_domains": [],
        "max_recipients": 100,
        "max_message_bytes": None,
        "enabled": True,
        "sends_as_stored_sender": False,
        "sends_null_sender": False,
        "description": "",
    }


async def test_a_secret_is_shown_once_and_stored_nowhere(
    api: Caller, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    created = await api.send("POST", "/v1/devices", json=SCANNER)
    replaced = await api.send("POST", "/v1/devices/scanner-3/new-secret")
    read = await api.send("GET", "/v1/devices/scanner-3")
    listed = await api.send("GET", "/v1/devices")
    audit = await api.send("GET", "/v1/audit-log")
    secrets = [each.json()["secret"] for each in (created, replaced)]

    assert created.headers["Cache-Control"] == replaced.headers["Cache-Control"] == "no-store"
    assert len({*secrets}) == 2
    assert {len(secret) for secret in secrets} == {26}
    for secret in secrets:
        canary = Canary(made=secret)
        canary.assert_nowhere(caplog.text, read.text, listed.text, audit.text, sqlite_file(database_url))


async def test_a_creation_says_where_the_relay_is(api: Caller) -> None:
    created = (await api.send("POST", "/v1/devices", json=SCANNER)).json()
    trusting = (await api.send("POST", "/v1/devices", json=LAB)).json()
    ports = [(each["port"], each["security"]) for each in created["submission"]]

    assert ports == [(2587, "starttls"), (2465, "implicit_tls")]
    assert {each["host"] for each in created["submission"]} == {socket.gethostname()}
    assert (trusting["name"], trusting["secret"]) == ("lab", None)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"relay_host_name": "relay.example.com"}, {"relay.example.com"}),
        ({"public_url": "https://settings.example.com/x"}, {"settings.example.com"}),
        ({"relay_listen": (RelayListener.parse("plain://10.1.2.3:25"),)}, {"10.1.2.3"}),
        ({}, {socket.gethostname()}),
    ],
    ids=str,
)
def test_devices_reach_the_relay_under_its_name(given: dict[str, Any], expected: set[str]) -> None:
    assert {each.host for each in submission_addresses(Settings.model_construct(**given))} == expected


async def test_a_device_names_its_mail_server_by_name(api: Caller) -> None:
    server = {"name": "m365", "host": "smtp.example.com", "sender": {"address": "a@example.com"}}
    server_id = (await api.send("POST", "/v1/mail-servers", json=server)).json()["id"]
    await api.send("POST", "/v1/devices", json={**SCANNER, "mail_server": "m365"})
    seen = [(await api.send("GET", "/v1/devices/scanner-3")).json()]
    await api.send("POST", "/v1/mail-servers/m365/disable")
    seen.append((await api.send("GET", "/v1/devices/scanner-3")).json())
    await api.send("DELETE", "/v1/mail-servers/m365")
    seen.append((await api.send("PATCH", "/v1/devices/scanner-3", json={"description": "x"})).json())
    seen.append((await api.send("PATCH", "/v1/devices/scanner-3", json={"mail_server": None})).json())
    wrong = await api.send("PATCH", "/v1/devices/scanner-3", json={"mail_server": "nothing"})

    assert [(each["mail_server"], each["mail_server_problem"]) for each in seen] == [
        ("m365", None),
        ("m365", "disabled"),
        (f"server-{server_id}", "missing"),
        (None, "missing"),
    ]
    assert wrong.status_code == 400
    assert [each["pointer"] for each in wrong.json()["errors"]] == ["#/mail_server"]


async def test_conflicts_name_their_member(api: Caller) -> None:
    for body in (SCANNER, LAB):
        await api.send("POST", "/v1/devices", json=body)
    taken = await api.send("POST", "/v1/devices", json=SCANNER)
    overlapping = await api.send("POST", "/v1/devices", json={**LAB, "name": "x", "networks": ["10.9.0.128/25"]})

    assert [(each.status_code, each.json()["code"]) for each in (taken, overlapping)] == [
        (409, "name_taken"),
        (409, "network_taken"),
    ]
    assert "lab" in overlapping.json()["detail"]


WRONG: list[tuple[dict[str, Any], list[str]]] = [
    ({"name": "Scanner 3"}, ["#/name"]),
    (
        {"senders": ["scan"], "from_domains": ["@x"], "networks": ["10.0.0.0/7"]},
        ["#/senders", "#/from_domains", "#/networks"],
    ),
    ({"networks": ["10.1.2.3/16"]}, ["#/networks"]),
    ({"networks": ["::/0"]}, ["#/networks"]),
    ({"trusts_network": True, "networks": []}, ["#/trusts_network"]),
    (
        {"max_recipients": 0, "messages_per_minute": -1, "max_message_bytes": 1},
        ["#/messages_per_minute", "#/max_recipients", "#/max_message_bytes"],
    ),
    ({"senders": "scan@example.com"}, ["#/senders"]),
    ({"enabled": "yes"}, ["#/enabled"]),
    ({"secret": "chosen by hand"}, ["#/secret"]),
    ({"id": 7}, ["#/id"]),
]


@pytest.mark.parametrize(("body", "pointers"), WRONG, ids=str)
async def test_every_wrong_member_is_named_at_once(api: Caller, body: dict[str, Any], pointers: list[str]) -> None:
    await api.send("POST", "/v1/devices", json=SCANNER)
    answers = [
        await api.send("POST", "/v1/devices", json={**SCANNER, "name": "other", **body}),
        await api.send("PATCH", "/v1/devices/scanner-3", json=body),
    ]

    assert [each.status_code for each in answers] == [400, 400]
    for answer in answers:
        assert [each["pointer"] for each in answer.json()["errors"]] == pointers


async def test_lists_are_pages_in_the_order_of_names(api: Caller) -> None:
    for name in ("c", "a", "b"):
        await api.send("POST", "/v1/devices", json={"name": name})
    first = (await api.send("GET", "/v1/devices?limit=2")).json()
    rest = (await api.send("GET", f"/v1/devices?limit=2&cursor={first['next_cursor']}")).json()

    assert [each["name"] for each in first["items"] + rest["items"]] == ["a", "b", "c"]
    assert rest["next_cursor"] is None


async def test_the_message_log_is_read_in_pages(api: Caller, store: SQLStore) -> None:
    batch = [logged(message(number, "A@example.com", "b@example.com")) for number in range(3)]
    async with store.writing_unqueued() as work:
        await work.messages.add(batch)
    first = (await api.send("GET", "/v1/messages?limit=2&to=a@Example.com")).json()
    rest = (await api.send("GET", f"/v1/messages?limit=2&to=a@Example.com&cursor={first['next_cursor']}")).json()

    assert [each["id"] for each in first["items"] + rest["items"]] == [each.id for each in reversed(batch)]
    assert rest["next_cursor"] is None
    assert first["items"][0] == {
        "id": batch[2].id,
        "at": "2026-11-28T10:00:02.250000Z",
        "device": "scanner-3",
        "device_id": 7,
        "peer": "10.1.2.3",
        "mail_server_id": 1,
        "sender": "scan@example.com",
        "size": 20_000,
        "recipients": [
            {"address": "a@example.com", "accepted": True},
            {"address": "b@example.com", "accepted": True},
        ],
        "message_id": "<2@example.com>",
        "result": "delivered",
        "code": 250,
        "enhanced_code": "2.0.0",
        "failure": None,
        "words": "OK queued",
        "milliseconds": 45,
    }


FILTERS = [
    ("device=lab", [1]),
    ("failed=true", [1]),
    ("failed=false", [2, 0]),
    ("sender=", [2]),
    ("message_id=%3C0@example.com%3E", [0]),
    (f"since={START + timedelta(seconds=1):%Y-%m-%dT%H:%M:%S}Z", [2, 1]),
    (f"until={START + timedelta(seconds=1):%Y-%m-%dT%H:%M:%S}%2B00:00", [0]),
    ("until=2026-11-28", []),
    ("since=2026-11-28", [2, 1, 0]),
]


async def test_filters_choose_messages(api: Caller, store: SQLStore) -> None:
    async with store.writing_unqueued() as work:
        failed = message(1, device="lab", result=MessageResult.FAILED, code=451)
        await work.messages.add([logged(each) for each in (message(0), failed, message(2, sender=""))])
    found = [(await api.send("GET", f"/v1/messages?{query}")).json()["items"] for query, _ in FILTERS]
    seconds = [[int(each["at"][17:19]) for each in items] for items in found]

    assert seconds == [expected for _, expected in FILTERS]


@pytest.mark.parametrize("query", ["since=yesterday", "failed=perhaps", "cursor=YWZ0ZXI6MTA", "x=1"])
async def test_a_wrong_filter_is_named(api: Caller, query: str) -> None:
    answer = await api.send("GET", f"/v1/messages?{query}")

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["parameter"] == query.partition("=")[0]
