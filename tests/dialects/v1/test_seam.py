"""The parts that every resource of `/v1` shares: problems, pages, fields, the token, and calls in process."""

import httpx
import pytest

from mailsettings.dialects.v1 import V1
from mailsettings.domain.access import OPERATOR
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, Sender
from mailsettings.store.database import SQLStore

from support.fakes import ScriptedProber
from support.service import BASE_URL, Caller, use_cases_of

SERVERS = "/v1/mail-servers"
SERVER = MailServer("mail.example.com", 587, ConnectionSecurity.STARTTLS, Sender("reports@example.com"))


@pytest.fixture
def kind() -> str:
    return "sqlite"


async def stored(store: SQLStore, number: int) -> None:
    async with store.writing() as work:
        for _ in range(number):
            await work.mail_servers.add(SERVER)


async def test_a_problem_has_type_title_status_and_detail(api: Caller) -> None:
    """RFC 9457 3.1, and its media type."""
    answer = await api.send("GET", f"{SERVERS}/99", headers={"X-Request-ID": "request-1"})

    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:mail-settings:problem:mail_server_not_found",
        "title": "No such mail server",
        "status": 404,
        "detail": "There is no such mail server.",
        "code": "mail_server_not_found",
        "request_id": "request-1",
    }


async def test_all_wrong_parameters_are_named_together(api: Caller) -> None:
    problem = (await api.send("GET", f"{SERVERS}?limit=0&colour=red&DEBUG=1&cursor={'x' * 600}")).json()

    assert problem["code"] == "invalid_request"
    assert {(each["parameter"], each["code"]) for each in problem["errors"]} == {
        ("limit", "too_small"),
        ("colour", "unknown"),
        ("DEBUG", "unknown"),
        ("cursor", "too_long"),
    }


@pytest.mark.parametrize("path", ["/v1/version", f"{SERVERS}/1"])
async def test_an_unknown_parameter_is_refused_everywhere(api: Caller, path: str) -> None:
    answer = await api.send("GET", f"{path}?verbose=1")

    assert answer.status_code == 400
    assert [each["parameter"] for each in answer.json()["errors"]] == ["verbose"]


async def test_a_parameter_with_an_unusual_name_is_not_repeated(api: Caller) -> None:
    answer = await api.send("GET", f"{SERVERS}?hunter2-canary=1&%7DA=1&=1")

    assert answer.status_code == 400
    assert "canary" not in answer.text
    assert answer.json()["detail"] == "A parameter with an unusual name is not known here."


async def test_pages_link_to_the_next_until_the_last(api: Caller, store: SQLStore) -> None:
    """RFC 8288 3: the target in angle brackets, and the relation type."""
    await stored(store, 3)
    seen: list[int] = []
    address, links = f"{SERVERS}?limit=2&fields=id", []
    while address:
        answer = await api.send("GET", address)
        seen += [item["id"] for item in answer.json()["items"]]
        link = answer.headers.get("Link", "")
        links.append(link)
        cursor = answer.json()["next_cursor"]
        address = f"{SERVERS}?limit=2&fields=id&cursor={cursor}" if cursor else ""
        assert link == (f'<{BASE_URL}{address}>; rel="next"' if cursor else "")

    assert seen == [1, 2, 3]
    assert len(links) == 2


@pytest.mark.parametrize("cursor", ["x", "YWZ0ZXI6", "YWZ0ZXI6LTE", "YWZ0ZXI6MQ==", "%C3%BC", "YWZ0ZXI6eA"])
async def test_a_broken_cursor_is_refused(api: Caller, cursor: str) -> None:
    answer = await api.send("GET", f"{SERVERS}?cursor={cursor}")

    assert answer.status_code == 400
    assert [each["parameter"] for each in answer.json()["errors"]] == ["cursor"]


async def test_fields_chooses_the_members(api: Caller, store: SQLStore) -> None:
    await stored(store, 1)

    assert (await api.send("GET", f"{SERVERS}?fields=host,id")).json()["items"] == [
        {"id": 1, "host": "mail.example.com"}
    ]
    refused = await api.send("GET", f"{SERVERS}?fields=hosts")
    assert [each["parameter"] for each in refused.json()["errors"]] == ["fields"]


async def test_a_login_gives_a_token_and_a_wrong_one_none(api: Caller) -> None:
    """RFC 6749 4.3, 5.1 and 5.2."""
    form = {"grant_type": "password", "username": "admin", "password": "correct horse"}
    good = await api(None).send("POST", "/v1/token", data=form)
    wrong = await api(None).send("POST", "/v1/token", data={**form, "password": "wrong"})

    assert good.json() == {"access_token": "admin", "token_type": "Bearer", "expires_in": 3600}
    assert good.headers["Cache-Control"] == "no-store"
    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_grant")


async def test_a_client_with_a_wrong_basic_secret_gets_a_challenge(api: Caller) -> None:
    """RFC 6749 5.2: the answer to a client that used the Authorization header is a 401 with its scheme."""
    basic = {"Authorization": "Basic Y2xpZW50OndvcmQ="}
    answer = await api(None).send("POST", "/v1/token", data={"grant_type": "client_credentials"}, headers=basic)

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


async def test_a_caller_in_process_needs_no_token(store: SQLStore, prober: ScriptedProber) -> None:
    await stored(store, 1)
    app = V1.build(use_cases_of(store, prober), caller=OPERATOR)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://in.process") as http:
        answer = await http.get(f"{SERVERS}/1")

    assert (answer.status_code, answer.json()["host"]) == (200, "mail.example.com")
