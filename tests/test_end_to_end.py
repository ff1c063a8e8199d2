"""The whole service with nothing replaced: real database, passwords, tokens, TLS, and mails that arrive."""

import email
import email.policy
import logging
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from mailsettings.bootstrap.backend import Backend
from mailsettings.domain.access import OPERATOR
from mailsettings.domain.mail_server import ConnectionSecurity
from mailsettings.store import engine
from mailsettings.store.tables import mail_servers

from support.real_service import ADMIN_PASSWORD
from support.service import MAIL_SERVER, SMTP_SETTINGS
from support.smtp_server import AUTHORITY_PEM, HOST, USERNAME, Behaviour, real_server

CANARY = ADMIN_PASSWORD  # the mail server takes the same password


def smtp_settings(port: int, **changes: Any) -> dict[str, Any]:
    return {
        "host": HOST,
        "port": port,
        "encryptionType": "Tls",
        "fromAddress": "scans@example.org",
        "displayName": "Scän results",
        "username": USERNAME,
        "password": CANARY,
    } | changes


async def test_a_mail_arrives_by_way_of_every_layer(
    http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with real_server(Behaviour(ConnectionSecurity.STARTTLS, CANARY)) as server:
        body = smtp_settings(server.port, recieverEmail="receiver@example.com")
        tested = await http.post(f"{SMTP_SETTINGS}/testconnection", json=body)

    assert (tested.status_code, tested.content) == (200, b"")
    mail = email.message_from_bytes(server.messages[0], policy=email.policy.default)
    assert mail["From"].addresses[0].display_name == "Scän results"
    assert mail["To"] == "receiver@example.com"
    assert "test of mail settings" in mail.get_content()
    assert CANARY.encode() not in server.messages[0]
    assert CANARY not in caplog.text


async def test_wrong_password_is_a_400_with_the_servers_reply(http: httpx.AsyncClient) -> None:
    async with real_server(Behaviour(ConnectionSecurity.STARTTLS, "another one")) as server:
        body = smtp_settings(server.port, recieverEmail="receiver@example.com")
        tested = await http.post(f"{SMTP_SETTINGS}/testconnection", json=body)

    assert tested.status_code == 400
    message = tested.json()["message"]
    assert message.startswith("Logging in failed")
    assert "535 5.7.8 Authentication credentials invalid" in message
    assert "(Setting: password)" in message
    assert CANARY not in tested.text
    assert server.messages == []


async def test_either_apis_stored_settings_are_tested_with_their_secret(
    http: httpx.AsyncClient, backend: Backend
) -> None:
    async with real_server(Behaviour(ConnectionSecurity.IMPLICIT_TLS, CANARY)) as server:
        await http.put(
            MAIL_SERVER,
            json={
                "host": HOST,
                "port": server.port,
                "sender": {"displayName": "Reports", "emailAddress": "reports@example.org"},
                "auth": {"authType": "USERNAME_PASSWORD_AUTH", "username": USERNAME, "password": CANARY},
                "connectionSecurity": {
                    "connectionSecurityType": "SSL_TLS_CONNECTION_SECURITY",
                    "tlsCertificateDetails": {
                        "certificateType": "CUSTOM_TLS_CERTIFICATE",
                        "certificate": AUTHORITY_PEM,
                    },
                },
            },
        )
        by_default = await backend.use_cases.probes.stored(OPERATOR, None, "receiver@example.com")
        by_id = await backend.use_cases.probes.stored(OPERATOR, 1, None)

    assert by_default.succeeded
    assert by_id.succeeded
    assert len(server.messages) == 1
    assert CANARY not in repr((by_default, by_id))


async def test_the_location_is_below_the_public_url(http: httpx.AsyncClient) -> None:
    created = await http.post(SMTP_SETTINGS, json=smtp_settings(587))

    assert created.headers["Location"] == f"https://mail-settings.example.org{SMTP_SETTINGS}/1"


async def test_one_token_opens_both_apis(http: httpx.AsyncClient) -> None:
    assert (await http.get(SMTP_SETTINGS)).status_code == 200
    assert (await http.get(MAIL_SERVER)).status_code == 404
    assert (await http.get("/health/ready")).json() == {"status": "ready"}


def swap_secrets(url: str, first: int, second: int) -> None:
    """As an attacker who can write the database and has no key."""
    database = engine.sync_engine(url)
    with database.begin() as connection:
        rows = connection.execute(select(mail_servers.c.id, mail_servers.c.sealed_secret))
        sealed = {row.id: row.sealed_secret for row in rows}
        for to, of in [(first, second), (second, first)]:
            moved = update(mail_servers).where(mail_servers.c.id == to).values(sealed_secret=sealed[of])
            connection.execute(moved)
    database.dispose()


async def test_secrets_swapped_in_database_are_refused_and_not_sent(
    http: httpx.AsyncClient, database_url: str
) -> None:
    """Case 17. A 400 instead of a 5xx: a caller with the secret can send it again."""
    async with real_server(Behaviour(ConnectionSecurity.STARTTLS, CANARY)) as server:
        paths = []
        for password in (CANARY, f"{CANARY} too"):
            stored = await http.post(SMTP_SETTINGS, json=smtp_settings(server.port, password=password))
            paths.append(stored.headers["Location"])
        swap_secrets(database_url, 1, 2)
        await http.put("/v1/mail-servers/default", json={"id": 1})
        body = smtp_settings(server.port)
        del body["password"]
        kept = await http.put(paths[0], json=body)
        tested = await http.post(f"{MAIL_SERVER}/actions/test", json={})
        listed = await http.get(SMTP_SETTINGS)
        given_again = await http.put(paths[0], json=smtp_settings(server.port))
        tested_again = await http.post(f"{MAIL_SERVER}/actions/test", json={})

    assert (kept.status_code, tested.status_code) == (400, 400)
    assert "cannot be decrypted with the current keys; send it again" in kept.json()["message"]
    assert set(tested.json()) == {"code", "message", "report"}
    assert tested.json()["report"]["failure"]["code"] == "secret_unreadable"
    assert (listed.status_code, len(listed.json())) == (200, 2)
    assert (given_again.status_code // 100, tested_again.status_code) == (2, 200)
    assert server.connections == 1
    assert CANARY not in kept.text + tested.text + listed.text
