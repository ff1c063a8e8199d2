"""A stored secret goes to the destination it was given for and nowhere else, by whatever trick it is asked for."""

import copy
import sqlite3
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest

from mailsettings.domain.mail_server import ConnectionSecurity

from support.certificates import authority_pem
from support.service import MAIL_SERVER, SMTP_SETTINGS
from support.smtp_server import HOST, USERNAME, Behaviour, RealServer, real_server

CANARY = "canary-51c0ffee"
MASK = "*" * 10
STORED = f"{SMTP_SETTINGS}/1"
TEST_GIVEN = f"{SMTP_SETTINGS}/testconnection"
TEST_STORED = f"{MAIL_SERVER}/actions/test"
STARTTLS = ConnectionSecurity.STARTTLS
Body = dict[str, Any]


@pytest.fixture
def kind() -> str:
    """The kind of database does not matter; the test must be able to read the file."""
    return "sqlite"


@pytest.fixture
def service_settings() -> Mapping[str, str]:
    return {"SMTP_MAX_TESTS_PER_MINUTE_PER_CLIENT": "1000", "SMTP_ALLOW_CLEARTEXT_LOGIN": "true"}


@pytest.fixture
async def home() -> AsyncIterator[RealServer]:
    """The server that the secret was given for."""
    async with real_server(Behaviour(STARTTLS, CANARY)) as server:
        yield server


@pytest.fixture
async def hostile() -> AsyncIterator[RealServer]:
    """A server that records every login, with a trusted certificate."""
    async with real_server(Behaviour(STARTTLS, "another")) as server:
        yield server


def oracle(port: int, password: str | None = MASK, **changes: Any) -> Body:
    """A whole body; *changes* are members by their path, with two underscores between."""
    body: Body = {
        "host": HOST,
        "port": port,
        "sender": {"displayName": "Reports", "emailAddress": "reports@example.org"},
        "auth": {"authType": "USERNAME_PASSWORD_AUTH", "username": USERNAME, "password": password},
        "connectionSecurity": {
            "connectionSecurityType": "START_TLS_CONNECTION_SECURITY",
            "tlsCertificateDetails": {"certificateType": "DEFAULT_TLS_CERTIFICATE"},
        },
    }
    for path, value in changes.items():
        place = body
        *parents, last = path.split("__")
        for name in parents:
            place = place[name]
        place[last] = copy.deepcopy(value)
    return body


def checkmarx(port: int, **changes: Any) -> Body:
    body = {
        "host": HOST,
        "port": port,
        "encryptionType": "Tls",
        "fromAddress": "reports@example.org",
        "displayName": "Reports",
        "username": USERNAME,
    }
    return body | changes


def stored_rows(database_url: str) -> list[tuple[Any, ...]]:
    """Every byte that is stored of mail servers."""
    connection = sqlite3.connect(database_url.removeprefix("sqlite:///"))
    try:
        return connection.execute("SELECT * FROM mail_servers").fetchall()
    finally:
        connection.close()


def is_refusal(answer: httpx.Response, *members: str) -> bool:
    return answer.status_code == 400 and list(answer.json()) == list(members) and CANARY not in answer.text


MS = {"oAuth2Provider": "MS_OAUTH2", "clientId": "c", "secret": MASK, "tenant": "t", "username": USERNAME}
OAUTH2 = {"authType": "OAUTH2_AUTH", "oAuth2Details": MS}
SSL_TLS = "SSL_TLS_CONNECTION_SECURITY"
CUSTOM = {"certificateType": "CUSTOM_TLS_CERTIFICATE", "certificate": authority_pem()}
BY_ORACLE: list[Body] = [
    {"host": "localhost"},
    {"host": "localhost."},
    {"host": "127.0.0.2"},
    {"host": f"{HOST}.example.com"},
    {"host": f"::ffff:{HOST}"},
    {"connectionSecurity": {"connectionSecurityType": "NO_CONNECTION_SECURITY"}},
    {"connectionSecurity__connectionSecurityType": SSL_TLS},
    {"connectionSecurity__tlsCertificateDetails": CUSTOM},
    {"auth__username": "bob"},
    {"auth__username": f"{USERNAME} "},
    {"auth__username": USERNAME.upper()},
    {"auth": OAUTH2},
]
BY_CHECKMARX: list[Body] = [
    {"host": "localhost"},
    {"host": "127.0.0.2"},
    {"encryptionType": "None"},
    {"encryptionType": "Ssl"},
    {"username": "bob"},
    {"username": f"{USERNAME} "},
]
NOT_SAID: list[Body] = [{}, {"password": None}]


async def test_new_destination_without_the_secret_is_refused_without_changes(
    http: httpx.AsyncClient, database_url: str, home: RealServer, hostile: RealServer
) -> None:
    """Cases 14 and 15."""
    await http.put(MAIL_SERVER, json=oracle(home.port, CANARY))
    before = stored_rows(database_url)

    changes: list[Body] = [{"port": hostile.port}]
    for change in changes + BY_ORACLE:
        wanted: Body = {"port": home.port} | change
        answer = await http.put(MAIL_SERVER, json=oracle(**wanted))
        assert is_refusal(answer, "code", "message"), change
        assert stored_rows(database_url) == before, change
    for change in changes + BY_CHECKMARX:
        for password in NOT_SAID:
            answer = await http.put(STORED, json=checkmarx(**{"port": home.port} | change | password))
            assert is_refusal(answer, "message"), change
            assert stored_rows(database_url) == before, change
    tested = await http.post(TEST_STORED)

    assert tested.status_code == 200
    assert (len(home.attempts), hostile.attempts) == (1, [])


async def test_the_client_secret_is_kept_by_the_same_rule(http: httpx.AsyncClient, database_url: str) -> None:
    """Case 15."""
    given = {"authType": "OAUTH2_AUTH", "oAuth2Details": MS | {"secret": CANARY}}
    await http.put(MAIL_SERVER, json=oracle(587, auth=given, host="mail.example.com"))
    before = stored_rows(database_url)

    for name, value in {"clientId": "d", "tenant": "u", "username": "bob"}.items():
        changed = {"authType": "OAUTH2_AUTH", "oAuth2Details": MS | {name: value}}
        answer = await http.put(MAIL_SERVER, json=oracle(587, auth=changed, host="mail.example.com"))
        assert is_refusal(answer, "code", "message"), name
    for host in ("mail.example.co", "mail.example.com.", "mail.example.com.evil.example", "example.com"):
        answer = await http.put(MAIL_SERVER, json=oracle(587, auth=OAUTH2, host=host))
        assert is_refusal(answer, "code", "message"), host
    for change in ({"host": "mail.example.co"}, {"port": 588}, {"encryptionType": "Ssl"}, {"username": "bob"}):
        wanted: Body = {"port": 587, "host": "mail.example.com"} | change
        by_the_other = await http.put(STORED, json=checkmarx(**wanted))
        assert is_refusal(by_the_other, "message"), change
    assert stored_rows(database_url) == before

    for_it = await http.put(STORED, json=checkmarx(587, host="mail.example.com"))
    assert for_it.status_code == 204
    assert (await http.get(MAIL_SERVER)).json()["auth"] == OAUTH2
    kept = await http.put(MAIL_SERVER, json=oracle(587, auth=OAUTH2, host="MAIL.example.com"))
    assert kept.status_code == 200


@pytest.mark.parametrize("host", ["LOCALHOST", "LocalHost"])
async def test_an_equivalent_host_name_keeps_the_secret(
    http: httpx.AsyncClient, home: RealServer, host: str
) -> None:
    """Case 15."""
    await http.put(MAIL_SERVER, json=oracle(home.port, CANARY, host="localhost"))

    by_oracle = await http.put(MAIL_SERVER, json=oracle(home.port, host=host))
    by_checkmarx = await http.put(STORED, json=checkmarx(home.port, host="localhost"))
    tested = await http.post(TEST_STORED)

    assert [answer.status_code for answer in (by_oracle, by_checkmarx, tested)] == [200, 204, 200]
    assert len(home.attempts) == 1


@pytest.mark.parametrize("password", [{}, {"password": None}, {"password": ""}, {"password": MASK}], ids=str)
async def test_test_of_given_settings_never_uses_the_stored_secret(
    http: httpx.AsyncClient, home: RealServer, hostile: RealServer, password: Body
) -> None:
    """Case 14. Not even for the destination that it was given for."""
    await http.post(SMTP_SETTINGS, json=checkmarx(home.port, password=CANARY))

    for server in (hostile, home):
        for more in ({}, {"id": 1}, {"recieverEmail": "a@example.org"}):
            answer = await http.post(TEST_GIVEN, json=checkmarx(server.port, **password, **more))
            assert answer.status_code == 400
            assert CANARY not in answer.text

    assert (home.connections, hostile.connections) == (0, 0)


@pytest.mark.parametrize("mask", [MASK, "*" * 8, "•" * 10, "*" * 255])
async def test_a_mask_is_never_stored_as_a_secret(
    http: httpx.AsyncClient, database_url: str, home: RealServer, mask: str
) -> None:
    """Case 12."""
    fresh = await http.put(MAIL_SERVER, json=oracle(home.port, mask))
    created = await http.post(SMTP_SETTINGS, json=checkmarx(home.port, password=mask))
    assert is_refusal(fresh, "code", "message")
    assert is_refusal(created, "message")
    assert fresh.json()["message"] == "auth.password is a placeholder, and no secret is stored; send the secret."
    assert created.json()["message"] == "password is a placeholder, and no secret is stored; send the secret."
    assert stored_rows(database_url) == []

    await http.put(MAIL_SERVER, json=oracle(home.port, CANARY))
    before = stored_rows(database_url)
    by_checkmarx = await http.put(STORED, json=checkmarx(home.port, password=mask))
    assert is_refusal(by_checkmarx, "message")
    assert by_checkmarx.json()["message"] == "password is a placeholder, not a secret; send the secret."
    assert stored_rows(database_url) == before

    by_oracle = await http.put(MAIL_SERVER, json=oracle(home.port, mask))
    assert by_oracle.status_code == (200 if mask == MASK else 400)
    assert (await http.post(TEST_STORED)).status_code == 200
    assert len(home.attempts) == 1


@pytest.mark.parametrize("mask", [MASK, "*" * 8])
async def test_placeholder_without_stored_secret_is_refused_in_both_apis(
    http: httpx.AsyncClient, home: RealServer, mask: str
) -> None:
    await http.put(MAIL_SERVER, json=oracle(home.port, auth={"authType": "NO_AUTH"}))
    by_oracle = await http.put(MAIL_SERVER, json=oracle(home.port, mask))
    by_checkmarx = await http.put(STORED, json=checkmarx(home.port, password=mask))
    tested = await http.post(f"{SMTP_SETTINGS}/testconnection", json=checkmarx(home.port, password=mask))

    for answer in (by_oracle, by_checkmarx, tested):
        assert answer.status_code == 400
        assert "password is a placeholder, and no secret is stored; send the secret." in answer.json()["message"]


Step = tuple[str, str, Body | None, int]
NO_AUTH = {"authType": "NO_AUTH"}


def tricks(port: int) -> dict[str, list[Step]]:
    """Steps towards *port*, each with its status; a test of the stored settings follows."""
    o, c = MAIL_SERVER, STORED
    return {
        "clear the password, then move": [
            ("PUT", c, checkmarx(port, password=""), 204),
            ("PUT", o, oracle(port), 200),  # the same destination, and there is no secret to keep
        ],
        "move without a login, then ask for it back": [
            ("PUT", o, oracle(port, auth=NO_AUTH), 200),
            ("PUT", o, oracle(port), 400),
        ],
        "move without a login by one API, and back by the other": [
            ("PUT", o, oracle(port, auth=NO_AUTH), 200),
            ("PUT", c, checkmarx(port), 204),
        ],
        "move by the machine's login, and back by the other API": [
            ("PUT", c, checkmarx(port, useDefaultCredentials=True), 204),
            ("PUT", o, oracle(port), 400),
        ],
        "move by the machine's login, and back": [
            ("PUT", c, checkmarx(port, useDefaultCredentials=True), 204),
            ("PUT", c, checkmarx(port), 204),
        ],
        "move without a user name, and back": [
            ("PUT", c, checkmarx(port, username=None), 204),
            ("PUT", c, checkmarx(port), 204),
        ],
        "delete, and create with the mask": [("DELETE", o, None, 200), ("PUT", o, oracle(port), 400)],
        "delete, and create without a password": [
            ("DELETE", o, None, 200),
            ("POST", SMTP_SETTINGS, checkmarx(port), 201),
        ],
        "delete by one API, and put by the other": [
            ("DELETE", c, None, 400),  # the default of the other API
            ("DELETE", o, None, 200),
            ("PUT", c, checkmarx(port), 404),
            ("PUT", o, oracle(port), 400),
        ],
        "create a second one beside it": [
            ("POST", SMTP_SETTINGS, checkmarx(port), 201),
            ("DELETE", o, None, 200),
            ("PUT", f"{SMTP_SETTINGS}/2", checkmarx(port, password=None), 204),
            ("PUT", "/v1/mail-servers/default", {"id": 2}, 200),
        ],
        "move with a wrong password, then leave it out": [
            ("PUT", c, checkmarx(port, username=None), 204),
            ("PUT", c, checkmarx(port, username=USERNAME, password=None), 204),
            ("PUT", o, oracle(port, displayName="x"), 200),
        ],
    }


@pytest.mark.parametrize("name", tricks(1))
async def test_no_sequence_of_steps_brings_the_secret_elsewhere(
    http: httpx.AsyncClient, home: RealServer, hostile: RealServer, name: str
) -> None:
    """Case 16."""
    await http.put(MAIL_SERVER, json=oracle(home.port, CANARY))

    for method, path, body, status in tricks(hostile.port)[name]:
        answer = await http.request(method, path, json=body)
        assert (answer.status_code, CANARY in answer.text) == (status, False), (path, answer.text)
    for recipient in (None, "to@example.org"):
        await http.post(TEST_STORED, json={"recipient": recipient})

    assert (hostile.attempts, home.attempts) == ([], [])


SECRETS = [
    *(
        "  spaces at both ends  ",
        "non-breaking\u00a0at the end\u00a0",
        "pässwörd-日本語-Пароль",
        "👍🏽 emoji 🙈👨‍👩‍👧",
    ),
    *("quotes \"double\" 'single' `back`", "back\\slash\\\\ \\n \\u0041", "{}%s$HOME;--<b>&amp;", "=?utf-8?q?x?="),
    *(
        "decomposed a\u0301 e\u0308 o\u0302",
        "composed \u00e1 \u00eb \u00f4",
        "\ufb01 \u212b \u2126 \u017f ß \u0130 \u0131",
        "\u202eright to left",
    ),
    *("x" * 255, "é" * 255, "x" * 254 + " ", "********x", "null12345", "\ufeffbyte order mark", "\U0010fffd" * 64),
]


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("api", ["oracle", "checkmarx"])
async def test_any_secret_arrives_unchanged(http: httpx.AsyncClient, api: str, mechanism: str) -> None:
    """Case 13, from the other side: never shown, and never changed."""
    for secret in SECRETS:
        async with real_server(Behaviour(STARTTLS, secret, [mechanism])) as server:
            if api == "oracle":
                stored = await http.put(MAIL_SERVER, json=oracle(server.port, secret))
            else:
                stored = await http.post(SMTP_SETTINGS, json=checkmarx(server.port, password=secret))
                await http.put(
                    "/v1/mail-servers/default", json={"id": int(stored.headers["Location"].split("/")[-1])}
                )
            tested = await http.post(TEST_STORED)
        assert stored.is_success, ascii(secret)
        assert (tested.status_code, server.attempts) == (200, [mechanism]), ascii(secret)
        assert secret not in tested.text
        await http.delete(MAIL_SERVER)
