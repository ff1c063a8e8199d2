"""Paths, queries and headers of `/v1` made to break a reader: a 4xx that names the parameter."""

import base64
from typing import Any

import httpx
import pytest

from support.service import Caller

SERVERS = "/v1/mail-servers"
SETTINGS: dict[str, Any] = {
    "host": "mail.example.com",
    "name": "relay",
    "sender": {"address": "reports@example.com"},
    "authentication": {"kind": "password", "username": "reports", "password": "correct horse"},
}
STALE = {"If-Match": '"1.99.64f1d2c3b4a59"'}


def cursor(position: object) -> str:
    return base64.urlsafe_b64encode(f"after:{position}".encode()).rstrip(b"=").decode()


def require_named(answer: httpx.Response, parameter: str) -> None:
    named = [error["parameter"] for error in answer.json()["errors"]]
    assert (answer.status_code, named) == (400, [parameter]), answer.text


async def test_no_parameter_has_a_nul_character(api: Caller) -> None:
    for target, parameter in (
        *((f"{SERVERS}?{name}=a%00", name) for name in ("name", "label", "fields")),
        *((f"/v1/audit-log?{name}=a%00", name) for name in ("actor", "action", "target", "outcome", "since")),
    ):
        require_named(await api.send("GET", target), parameter)
    for method, path in (
        ("GET", "/v1/accounts/a%00"),
        ("GET", "/v1/clients/a%00"),
        ("POST", "/v1/accounts/a%00/unlock"),
        ("PUT", "/v1/clients/a%00/permissions"),
        ("DELETE", "/v1/accounts/a%00"),
    ):
        require_named(await api.send(method, path, json={"permissions": []}), "name")
    require_named(await api.send("DELETE", "/v1/signing-keys/a%00"), "key")


async def test_a_forged_cursor_breaks_no_list(api: Caller) -> None:
    lists = (SERVERS, "/v1/accounts", "/v1/clients", "/v1/audit-log", "/v1/monitoring/deliveries")
    for path in lists:
        require_named(await api.send("GET", f"{path}?cursor={cursor(chr(0))}"), "cursor")
        for number in (2**31, 10**17):
            assert (await api.send("GET", f"{path}?cursor={cursor(number)}")).status_code == 200
        assert (await api.send("GET", f"{path}?cursor={cursor(2**63)}")).status_code in {200, 400}


@pytest.mark.parametrize("server_id", [2**31, 2**63, 10**40])
async def test_an_id_beyond_the_database_is_unknown(api: Caller, server_id: int) -> None:
    base = f"{SERVERS}/{server_id}"
    for method, path in (
        ("GET", ""),
        ("GET", "/versions"),
        ("GET", "/versions/1/diff"),
        ("POST", "/versions/1/restore"),
        ("POST", "/test"),
        ("DELETE", ""),
    ):
        answer = await api.send(method, f"{base}{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "mail_server_not_found")


async def test_a_stale_tag_stops_every_change_of_a_server(api: Caller) -> None:
    await api.send("POST", SERVERS, json=SETTINGS)
    await api.send("PUT", f"{SERVERS}/default", json={"id": 1})
    before = (await api.send("GET", f"{SERVERS}/1")).json()
    day = {"expires_on": "2027-05-31"}
    for method, path, body in (
        ("PUT", "default", {"id": 1}),
        ("DELETE", "default", None),
        ("PUT", "relay/secret-expiry", day),
        ("DELETE", "relay/secret-expiry", None),
        ("PUT", "relay", SETTINGS),
        ("PATCH", "relay", {"port": 25}),
        ("DELETE", "relay", None),
        ("POST", "relay/disable", None),
        ("POST", "relay/versions/1/restore", None),
    ):
        answer = await api.send(method, f"{SERVERS}/{path}", json=body, headers=STALE)
        assert answer.status_code == 412, (method, path)

    assert (await api.send("GET", f"{SERVERS}/1")).json() == before


@pytest.mark.parametrize("day", [259200, "259200", "2027-02-30", "2027-05-31T00:00:00Z", None, True])
async def test_the_day_of_an_expiry_is_a_day(api: Caller, day: object) -> None:
    await api.send("POST", SERVERS, json=SETTINGS)
    answer = await api.send("PUT", f"{SERVERS}/1/secret-expiry", json={"expires_on": day})

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "#/expires_on")
