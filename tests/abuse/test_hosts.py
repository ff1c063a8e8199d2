"""The Host header: one, well formed, and ours; or a 400 in the shape of the API that was called."""

import httpx
import pytest

from mailsettings.domain.access import OPERATOR

from support.databases import LocalStore
from support.fakes import ScriptedProber
from support.raw_http import Server, exchange, statuses
from support.service import ADMIN, MAIL_SERVER, SMTP_SETTINGS, TOKEN, build_service, use_cases_of

OURS = ("mail.example.org", "*.apps.example.org", "[::1]")
PATHS = [MAIL_SERVER, SMTP_SETTINGS, "/docs", "/nothing"]


async def answer_to(
    local_store: LocalStore, host: str, path: str, allowed: tuple[str, ...] = OURS
) -> httpx.Response:
    service = build_service(local_store, ScriptedProber(), allowed_hosts=allowed)
    transport = httpx.ASGITransport(service)
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as client:
        return await client.get(path, headers={"Host": host})


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "host",
    [
        "evil.example.org",
        "mail.example.org.evil.test",
        "xmail.example.org",
        "apps.example.org",
        "evilapps.example.org",
        "127.0.0.1",
        "",
        "mail.example.org:x",
        "mail.example.org:80:80",
        "mail.example.org/",
        "user@mail.example.org",
        "mail.example.org,evil.test",
        "[::1",
        "mail.example.org evil.test",
    ],
)
async def test_a_request_for_another_host_is_refused_first(local_store: LocalStore, host: str, path: str) -> None:
    answer = await answer_to(local_store, host, path)

    assert answer.status_code == 400
    assert set(answer.json()) == ({"code", "message"} if path == MAIL_SERVER else {"message"})
    assert "evil" not in answer.text


@pytest.mark.parametrize(
    "host",
    ["mail.example.org", "MAIL.example.org:8443", "one.apps.example.org", "a.b.apps.example.org:80", "[::1]:8080"],
)
async def test_a_request_for_one_of_our_hosts_is_answered(local_store: LocalStore, host: str) -> None:
    assert (await answer_to(local_store, host, MAIL_SERVER)).status_code == 401
    assert (await answer_to(local_store, host, "/docs")).status_code == 200


@pytest.mark.parametrize("host", ["anything", "10.0.0.1:80", "with_underscore", "[fe80::1]"])
async def test_any_host_is_ours_unless_told_otherwise(local_store: LocalStore, host: str) -> None:
    assert (await answer_to(local_store, host, MAIL_SERVER, allowed=())).status_code == 401


@pytest.mark.parametrize("host", ["10.0.0.1:8080", "", "x y"])
@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
async def test_our_health_is_told_under_any_host(local_store: LocalStore, host: str, path: str) -> None:
    assert (await answer_to(local_store, host, path)).status_code == 200


async def test_metrics_accept_any_host_and_still_need_a_token(local_store: LocalStore) -> None:
    assert (await answer_to(local_store, "10.0.0.1:8080", "/metrics")).status_code == 401
    assert (await answer_to(local_store, "10.0.0.1:8080", "/audit")).status_code == 400


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("10.0.0.1:8080", 200),  # the address that the client connected to
        ("10.0.0.2:8080", 400),
        ("localhost:8080", 400),
        ("10.0.0.1.evil.test", 400),
        ("evil.example.org", 400),
    ],
)
async def test_tokens_are_given_at_the_connected_address(local_store: LocalStore, host: str, status: int) -> None:
    service = build_service(local_store, ScriptedProber(), allowed_hosts=OURS)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(service), base_url="http://10.0.0.1") as client:
        await use_cases_of(local_store, ScriptedProber()).accounts.add_first(OPERATOR, ADMIN, "a password of ten")
        form = {"grant_type": "password", "username": "admin", "password": "a password of ten"}
        answer = await client.post(TOKEN, data=form, headers={"Host": host})
        elsewhere = await client.get(SMTP_SETTINGS, headers={"Host": host})

    assert answer.status_code == status
    assert elsewhere.status_code == 400


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "hosts", ["", "Host: x\r\nHost: x\r\n", "Host: x\r\nhost: y\r\n"], ids=["none", "same", "two"]
)
def test_no_host_or_more_than_one_is_a_400(server: Server, path: str, hosts: str) -> None:
    answer = exchange(server.address, f"GET {path} HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n".encode())

    assert statuses(answer) == [400]
    assert b'"message":"Send exactly one Host header."' in answer
