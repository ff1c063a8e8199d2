"""What one API has no word for survives a change by it: every state, by every API, shown and put back."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from sqlalchemy import select, update

from mailsettings.domain.certificates import CustomTrust, SystemTrust
from mailsettings.domain.device import Device
from mailsettings.domain.mail_server import (
    AmbientCredentials,
    ConnectionSecurity,
    MailServer,
    NoAuthentication,
    OAuth2ClientCredentials,
    PasswordAuthentication,
    Sender,
)
from mailsettings.domain.values import Secret
from mailsettings.store import engine
from mailsettings.store.database import SQLStore
from mailsettings.store.tables import mail_servers

from support.certificates import authority_pem
from support.operations import OPERATIONS, Operation
from support.service import MAIL_SERVER, SMTP_SETTINGS, Caller

SECRET = "canary-0a6f11"
PINNED = CustomTrust.parse(authority_pem())
PASSWORD = PasswordAuthentication("mailer", Secret(SECRET))
OAUTH2 = OAuth2ClientCredentials("mailer", "client", "tenant.example", Secret(SECRET))
NAMED, UNNAMED = Sender("old@example.org", "Scans"), Sender("old@example.org")
NONE, STARTTLS, IMPLICIT = ConnectionSecurity.NONE, ConnectionSecurity.STARTTLS, ConnectionSecurity.IMPLICIT_TLS
NEW = "new@example.org"
STATES = {
    "pinned, STARTTLS": MailServer("mail.example.org", 587, STARTTLS, NAMED, PASSWORD, PINNED),
    "pinned, implicit TLS": MailServer("mail.example.org", 465, IMPLICIT, NAMED, PASSWORD, PINNED),
    "pinned, no encryption now": MailServer("mail.example.org", 25, NONE, NAMED, PASSWORD, PINNED),
    "pinned, no login": MailServer("mail.example.org", 25, STARTTLS, NAMED, NoAuthentication(), PINNED),
    "OAuth2": MailServer("mail.example.org", 587, STARTTLS, NAMED, OAUTH2, SystemTrust()),
    "OAuth2, pinned": MailServer("mail.example.org", 587, STARTTLS, UNNAMED, OAUTH2, PINNED),
    "the machine's own login": MailServer("mail.example.org", 25, NONE, NAMED, AmbientCredentials("svc")),
    "the machine's own login, no name": MailServer("mail.example.org", 25, NONE, UNNAMED, AmbientCredentials()),
    "no sender name": MailServer("mail.example.org", 587, STARTTLS, UNNAMED, PASSWORD),
}


@pytest.fixture
def kind() -> str:
    """One database is enough: the cases differ only in their requests."""
    return "sqlite"


async def by_checkmarx(api: Caller, server_id: int) -> None:
    """Read it, change the sender's address, and put the rest back as it was shown."""
    shown = (await api.send("GET", f"{SMTP_SETTINGS}/{server_id}")).json()
    body = {name: value for name, value in shown.items() if name != "id"} | {"fromAddress": NEW}
    answer = await api.send("PUT", f"{SMTP_SETTINGS}/{server_id}", json=body)
    assert answer.status_code == 204, answer.text


async def by_oracle(api: Caller, _server_id: int) -> None:
    """The same."""
    shown = (await api.send("GET", MAIL_SERVER)).json()
    body = shown | {"sender": shown["sender"] | {"emailAddress": NEW}}
    answer = await api.send("PUT", MAIL_SERVER, json=body)
    assert answer.status_code == 200, answer.text


APIS: dict[str, Callable[[Caller, int], Awaitable[None]]] = {"checkmarx": by_checkmarx, "oracle": by_oracle}


async def add(store: SQLStore, server: MailServer) -> int:
    async with store.writing() as work:
        return await work.mail_servers.add(server, as_default=True)


async def stored(store: SQLStore) -> MailServer:
    async with store.reading() as view:
        found = await view.mail_servers.find_default()
    assert found is not None
    return found.server


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("first", APIS)
async def test_a_change_of_the_sender_changes_nothing_else(
    api: Caller, store: SQLStore, first: str, name: str
) -> None:
    """By one API, then by the other, then by a rollback."""
    before = STATES[name]
    server_id = await add(store, before)
    changed = replace(before, sender=replace(before.sender, address=NEW))
    (second,) = set(APIS) - {first}

    await APIS[first](api, server_id)
    assert await stored(store) == changed
    await APIS[second](api, server_id)
    assert await stored(store) == changed
    for _ in range(2):
        assert (await api.send("POST", f"{MAIL_SERVER}/actions/rollback")).is_success
    assert (await stored(store)).sender.address in {NEW, "old@example.org"}
    assert replace(await stored(store), sender=before.sender) == before


CHOICE = "set_default_mail_server"
"""Its body names a mail server, and has none of its settings."""
READ_AND_WRITTEN = [
    (reading, writing)
    for reading in OPERATIONS
    for writing in OPERATIONS
    if (reading.method, reading.path) == ("GET", writing.path)
    and writing.method in {"PUT", "PATCH"}
    and writing.id != CHOICE
]


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize(("reading", "writing"), READ_AND_WRITTEN, ids=str)
async def test_what_was_read_and_sent_back_changes_nothing(
    api: Caller, store: SQLStore, reading: Operation, writing: Operation, name: str
) -> None:
    await add(store, STATES[name])
    async with store.writing() as work:
        await work.devices.add(Device(0, "stored-1"), None)

    shown = (await api.send(reading.method, reading.path)).json()
    answer = await api.send(writing.method, writing.path, json=shown)

    assert answer.is_success, answer.text
    assert await stored(store) == STATES[name]


@pytest.mark.parametrize("by", APIS)
async def test_the_end_of_a_secret_stays_with_the_secret(
    api: Caller, store: SQLStore, database_url: str, by: str
) -> None:
    server_id = await add(store, STATES["pinned, STARTTLS"])
    database = engine.sync_engine(database_url)
    with database.begin() as connection:
        connection.execute(update(mail_servers).values(secret_ends_on=date(2027, 1, 2)))
    await APIS[by](api, server_id)
    with database.begin() as connection:
        ends = connection.execute(select(mail_servers.c.secret_ends_on)).scalar_one()
    database.dispose()

    assert ends == date(2027, 1, 2)


def checkmarx(encryption: str, **more: Any) -> dict[str, Any]:
    sender = {"fromAddress": "old@example.org", "displayName": "Scans"}
    return (
        {"host": "mail.example.org", "port": 587, "encryptionType": encryption, "username": "mailer"}
        | sender
        | more
    )


def oracle(security: dict[str, Any]) -> dict[str, Any]:
    auth = {"authType": "USERNAME_PASSWORD_AUTH", "username": "mailer", "password": SECRET}
    sender = {"displayName": "Scans", "emailAddress": "old@example.org"}
    return {
        "host": "mail.example.org",
        "port": 587,
        "auth": auth,
        "sender": sender,
        "connectionSecurity": security,
    }


CLEAR = {"connectionSecurityType": "NO_CONNECTION_SECURITY"}
DEFAULT = {
    "connectionSecurityType": "START_TLS_CONNECTION_SECURITY",
    "tlsCertificateDetails": {"certificateType": "DEFAULT_TLS_CERTIFICATE"},
}


@pytest.mark.parametrize("off", ["checkmarx", "oracle"])
async def test_a_pinned_certificate_survives_none_and_back(api: Caller, store: SQLStore, off: str) -> None:
    server_id = await add(store, STATES["pinned, STARTTLS"])
    path = f"{SMTP_SETTINGS}/{server_id}"
    if off == "oracle":
        cleared = await api.send("PUT", MAIL_SERVER, json=oracle(CLEAR))
    else:
        cleared = await api.send("PUT", path, json=checkmarx("None", password=SECRET))
    between = await stored(store)
    # Another encryption is another destination, which must not get the stored password.
    lent = await api.send("PUT", path, json=checkmarx("Tls"))
    back = await api.send("PUT", path, json=checkmarx("Tls", password=SECRET))

    assert (cleared.is_success, back.status_code, lent.status_code) == (True, 204, 400)
    assert (between.security, between.trust) == (NONE, PINNED)
    assert await stored(store) == STATES["pinned, STARTTLS"]


async def test_the_api_that_can_express_certificates_removes_them(api: Caller, store: SQLStore) -> None:
    await add(store, STATES["pinned, STARTTLS"])
    masked = oracle(DEFAULT) | {"auth": oracle(DEFAULT)["auth"] | {"password": "*" * 10}}
    lent = await api.send("PUT", MAIL_SERVER, json=masked)
    given = await api.send("PUT", MAIL_SERVER, json=oracle(DEFAULT))

    assert (lent.status_code, given.status_code) == (400, 200)
    assert (await stored(store)).trust == SystemTrust()


async def test_a_password_takes_the_place_of_an_oauth2_login(api: Caller, store: SQLStore) -> None:
    server_id = await add(store, STATES["OAuth2, pinned"])
    path = f"{SMTP_SETTINGS}/{server_id}"
    moved = await api.send("PUT", path, json=checkmarx("Tls", host="evil.example.org"))
    answer = await api.send("PUT", path, json=checkmarx("Tls", password="another secret"))

    assert (moved.status_code, moved.json()["message"].split(" ")[0]) == (400, "password")
    assert answer.status_code == 204
    assert (await stored(store)).authentication == PasswordAuthentication("mailer", Secret("another secret"))
