"""Reading as leniently as the vendor's ASP.NET does, and refusing what cannot be meant."""

import json
from typing import Any

import pytest

from mailsettings.domain.mail_server import ConnectionSecurity, PasswordAuthentication
from mailsettings.domain.values import Secret

from support.databases import all_of
from support.fakes import ScriptedProber
from support.service import SMTP_SETTINGS, Caller

CANARY = "canary-77f0e1c2"
SETTINGS: dict[str, Any] = {
    "host": "mail.example.org",
    "port": 587,
    "encryptionType": "Tls",
    "fromAddress": "sender@example.com",
    "username": "sender",
    "password": CANARY,
}


async def create(api: Caller, **changes: Any) -> dict[str, Any]:
    """Create with *changes*, `...` leaving a member out, and show what became of it."""
    members = {name: value for name, value in {**SETTINGS, **changes}.items() if value is not ...}
    created = await api.send("POST", SMTP_SETTINGS, json=members)
    assert created.status_code == 201, created.text
    shown: dict[str, Any] = (
        await api.send("GET", created.headers["Location"].removeprefix("http://service.test"))
    ).json()
    return shown


@pytest.fixture
def kind() -> str:
    """One database is enough: the cases differ only in their requests."""
    return "sqlite"


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        *((sent, True) for sent in (True, "true", "True", "TRUE", 1, "1")),
        *((sent, False) for sent in (False, "false", "False", 0, "0", None, "", ...)),
    ],
    ids=repr,
)
async def test_flag_is_read_leniently_and_returned_as_a_boolean(api: Caller, sent: Any, shown: bool) -> None:
    view = await create(api, useDefaultCredentials=sent)

    assert view["useDefaultCredentials"] is shown


@pytest.mark.parametrize("sent", [25, "25", 1, 65535, "65535", 25.0])
async def test_port_in_a_string_is_returned_as_a_number(api: Caller, sent: Any) -> None:
    assert (await create(api, port=sent))["port"] == int(sent)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        *((sent, "Tls") for sent in ("Tls", "TLS", "tls")),
        *((sent, "Ssl") for sent in ("Ssl", "SSL", "ssl")),
        *((sent, "None") for sent in ("None", "NONE", "none", "", None, ...)),
    ],
)
async def test_encryption_is_read_in_any_case(api: Caller, sent: Any, shown: str) -> None:
    assert (await create(api, encryptionType=sent))["encryptionType"] == shown


@pytest.mark.parametrize(
    ("name", "security"),
    [
        ("None", ConnectionSecurity.NONE),
        ("Ssl", ConnectionSecurity.IMPLICIT_TLS),
        ("Tls", ConnectionSecurity.STARTTLS),
    ],
)
async def test_encryption_means_what_it_means_in_dotnet(
    api: Caller, prober: ScriptedProber, name: str, security: ConnectionSecurity
) -> None:
    await api.send("POST", f"{SMTP_SETTINGS}/testconnection", json=SETTINGS | {"encryptionType": name})

    assert prober.asked[0][0].security is security


BAD: dict[str, list[Any]] = {
    "useDefaultCredentials": ["yes", 2, -1, [], {}, 1.5],
    "port": [0, 65536, -1, "x", "", "1.0", "+1", " 25", "\u0662\u0665", 25.5, True, None, []],
    "encryptionType": ["starttls", "SSL/TLS", 1, True, []],
    "host": ["", None, 1, [], "a b", "127.1", "a\r\nb", "x" * 300],
    "fromAddress": ["", None, 1, "a\nb", "x" * 400],
    "username": [1, "a\0b", "a\r\nb", "x" * 400],
    "password": [1, [], "x" * 256, "*" * 10, "a\nb"],
    "displayName": [1, "a\r\nBcc: x", "x" * 400],
}


@pytest.mark.parametrize(
    ("member", "value"),
    [(member, value) for member, values in BAD.items() for value in values],
    ids=lambda value: repr(value)[:30],
)
async def test_a_bad_member_is_named_without_its_value(api: Caller, member: str, value: Any) -> None:
    refused = await api.send("POST", SMTP_SETTINGS, content=json.dumps(SETTINGS | {member: value}).encode())

    assert refused.status_code == 400, refused.text
    assert list(refused.json()) == ["message"]
    assert member in refused.json()["message"]
    assert CANARY not in refused.text
    assert (await api.send("GET", SMTP_SETTINGS)).json() == []


@pytest.mark.parametrize("member", ["host", "port", "fromAddress"])
async def test_a_missing_member_is_named(api: Caller, member: str) -> None:
    members = {name: value for name, value in SETTINGS.items() if name != member}

    refused = await api.send("POST", SMTP_SETTINGS, json=members)

    assert (refused.status_code, refused.json()) == (400, {"message": f"{member} is missing."})


async def test_a_password_without_a_user_name_is_refused(api: Caller) -> None:
    refused = await api.send("POST", SMTP_SETTINGS, json=SETTINGS | {"username": None})

    assert refused.status_code == 400
    assert refused.json()["message"].startswith("username ")


async def test_members_match_in_any_case_and_others_are_ignored(api: Caller) -> None:
    content = json.dumps({name.upper(): value for name, value in SETTINGS.items()} | {"somethingElse": [1]})

    created = await api.send("POST", SMTP_SETTINGS, content=content.encode())

    assert created.status_code == 201


async def test_one_member_in_two_spellings_is_refused(api: Caller) -> None:
    refused = await api.send("POST", SMTP_SETTINGS, json=SETTINGS | {"HOST": "other.example.org"})

    assert (refused.status_code, "host" in refused.json()["message"]) == (400, True)


async def test_a_display_name_is_kept_shown_and_replaced(api: Caller) -> None:
    assert (await create(api, displayName="Scans ü"))["displayName"] == "Scans ü"
    assert (await create(api))["displayName"] is None


@pytest.mark.parametrize(
    "headers",
    [
        *({"Content-Type": value} for value in ("text/plain", "application/x-www-form-urlencoded")),
        {"Content-Type": "application/json, text/plain"},
    ],
    ids=str,
)
async def test_a_body_declared_as_something_else_is_not_read(api: Caller, headers: dict[str, str]) -> None:
    refused = await api.send("POST", SMTP_SETTINGS, content=json.dumps(SETTINGS).encode(), headers=headers)

    assert (refused.status_code, list(refused.json())) == (415, ["message"])
    assert CANARY not in refused.text


@pytest.mark.parametrize(
    "accept",
    [
        "application/json",
        "application/json;v=1.0",
        "application/json; v=1",
        "*/*",
        "text/html",
        "application/xml",
        "",
    ],
)
async def test_no_accept_header_is_a_reason_to_refuse(api: Caller, accept: str) -> None:
    answer = await api.send("GET", SMTP_SETTINGS, headers={"Accept": accept})

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json; v=1.0; charset=utf-8")


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {"Accept": "application/json;v=2.0"}),
        ("POST", {"Content-Type": "application/json;v=9"}),
        ("POST", {"Content-Type": "application/json-patch+json; V=0.1"}),
    ],
    ids=str,
)
async def test_another_version_is_refused_in_both_known_shapes(
    api: Caller, method: str, headers: dict[str, str]
) -> None:
    content = json.dumps(SETTINGS).encode() if method == "POST" else None

    refused = await api.send(method, SMTP_SETTINGS, content=content, headers=headers)

    assert refused.status_code == 400
    assert refused.json()["error"] == {"code": "UnsupportedApiVersion", "message": refused.json()["message"]}


CHROME = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7"
)


@pytest.mark.parametrize(
    "accept",
    [
        CHROME,
        "*/*;v=9",
        "text/html;level=1;v=2",
        'text/x;y=", application/json;v=9"',
        "application/json;version=9",
    ],
)
async def test_only_the_vendors_media_types_name_a_version(api: Caller, accept: str) -> None:
    assert (await api.send("GET", SMTP_SETTINGS, headers={"Accept": accept})).status_code == 200


@pytest.mark.parametrize("accept", [f"{CHROME},application/json;v=9", 'application/JSON ; V = "2"'])
async def test_a_version_is_found_among_other_types(api: Caller, accept: str) -> None:
    assert (await api.send("GET", SMTP_SETTINGS, headers={"Accept": accept})).status_code == 400


@pytest.mark.parametrize(
    ("identifier", "status"),
    [
        *((text, 400) for text in ("x", "-1", "+1", "1.0", "1_0", "01", "%20", "1%20", "%00", "1e1", "%EF%BC%91")),
        *((text, 404) for text in ("0", "7", "2147483647", "2147483648", "9223372036854775808", "9" * 5000)),
    ],
    ids=lambda value: str(value)[:20],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_an_invalid_id_is_a_400_or_404(api: Caller, method: str, identifier: str, status: int) -> None:
    content = json.dumps(SETTINGS).encode() if method == "PUT" else None

    refused = await api.send(method, f"{SMTP_SETTINGS}/{identifier}", content=content)

    assert (refused.status_code, list(refused.json())) == (status, ["message"])
    assert "9999" not in refused.text


async def stored_password(api: Caller, prober: ScriptedProber, store: Any) -> str | None:
    """What a test of the stored settings would log in with."""
    async with store.reading() as view:
        (stored,) = await all_of(view.mail_servers)
    secret = stored.server.secret
    return secret.reveal() if secret else None


@pytest.mark.parametrize("password", [..., None], ids=["left out", "null"])
async def test_replacing_without_a_password_keeps_the_stored_one(
    api: Caller, prober: ScriptedProber, store: Any, password: Any
) -> None:
    await create(api)
    members = {
        name: value
        for name, value in {**SETTINGS, "password": password, "fromAddress": "new@example.com"}.items()
        if value is not ...
    }

    replaced = await api.send("PUT", f"{SMTP_SETTINGS}/1", json=members)

    assert replaced.status_code == 204
    assert await stored_password(api, prober, store) == CANARY


async def test_replacing_with_an_empty_password_clears_it(api: Caller, prober: ScriptedProber, store: Any) -> None:
    await create(api)

    replaced = await api.send("PUT", f"{SMTP_SETTINGS}/1", json=SETTINGS | {"password": ""})

    assert replaced.status_code == 204
    assert await stored_password(api, prober, store) is None


@pytest.mark.parametrize(
    "change",
    [
        {"host": "mail.example.com"},
        {"host": "mail.example.or"},
        {"port": 588},
        {"encryptionType": "None"},
        {"encryptionType": "Ssl"},
        {"username": "other"},
    ],
    ids=str,
)
async def test_a_changed_destination_needs_the_password_again(
    api: Caller, prober: ScriptedProber, store: Any, change: dict[str, Any]
) -> None:
    await create(api)
    before = (await api.send("GET", f"{SMTP_SETTINGS}/1")).json()

    refused = await api.send("PUT", f"{SMTP_SETTINGS}/1", json=SETTINGS | {"password": None} | change)

    assert refused.status_code == 400
    assert refused.json()["message"].startswith("password must be sent again")
    assert (await api.send("GET", f"{SMTP_SETTINGS}/1")).json() == before
    assert await stored_password(api, prober, store) == CANARY


async def test_the_host_in_other_letters_keeps_the_password(
    api: Caller, prober: ScriptedProber, store: Any
) -> None:
    await create(api)

    await api.send("PUT", f"{SMTP_SETTINGS}/1", json=SETTINGS | {"password": None, "host": "MAIL.example.org"})

    assert await stored_password(api, prober, store) == CANARY


async def test_a_final_dot_makes_another_host(api: Caller, prober: ScriptedProber, store: Any) -> None:
    """Without the dot a search list may lead to another machine, with it never (resolv.conf(5))."""
    await create(api)

    for host in ("mail.example.org.", "MAIL.example.org."):
        refused = await api.send("PUT", f"{SMTP_SETTINGS}/1", json=SETTINGS | {"password": None, "host": host})
        assert refused.status_code == 400
        assert refused.json()["message"].startswith("password must be sent again")

    assert await stored_password(api, prober, store) == CANARY


async def test_test_uses_the_sent_settings_without_the_stored_password(
    api: Caller, prober: ScriptedProber
) -> None:
    await create(api)

    await api.send("POST", f"{SMTP_SETTINGS}/testconnection", json=SETTINGS | {"password": None})
    await api.send("POST", f"{SMTP_SETTINGS}/testconnection", json=SETTINGS | {"password": "other one"})

    assert [server.authentication for server, _ in prober.asked] == [
        PasswordAuthentication("sender", None),
        PasswordAuthentication("sender", Secret("other one")),
    ]


@pytest.mark.parametrize(
    ("sent", "recipient"),
    [
        ({"receiverEmail": "a@b.c"}, "a@b.c"),
        ({"recieverEmail": "a@b.c"}, "a@b.c"),
        ({"receiverEmail": "a@b.c", "recieverEmail": "d@e.f"}, "d@e.f"),
        ({"receiverEmail": "a@b.c", "recieverEmail": None}, "a@b.c"),
        ({"recieverEmail": ""}, None),
        ({}, None),
    ],
    ids=str,
)
async def test_the_receiver_is_read_in_both_spellings(
    api: Caller, prober: ScriptedProber, sent: dict[str, Any], recipient: str | None
) -> None:
    tested = await api.send("POST", f"{SMTP_SETTINGS}/testconnection", json=SETTINGS | sent)

    assert (tested.status_code, tested.content) == (200, b"")
    assert prober.asked[0][1] == recipient


async def test_a_receiver_that_is_too_long_is_refused(api: Caller) -> None:
    refused = await api.send(
        "POST", f"{SMTP_SETTINGS}/testconnection", json=SETTINGS | {"recieverEmail": "x" * 257}
    )

    assert (refused.status_code, "recieverEmail" in refused.text) == (400, True)
